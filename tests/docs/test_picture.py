"""The picture of a report that the documents show."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from .picture import FILE, picture


def layers(text: str) -> list[str]:
    """The names in the boxes of the graph, in order."""
    found = ET.fromstring(text).iter("{http://www.w3.org/2000/svg}text")
    return [each.text or "" for each in found if each.attrib.get("class") == "name"]


def test_the_picture_can_be_made_again() -> None:
    made = picture()
    assert made == picture()
    assert len(made.encode()) <= 40_000
    assert {"Roofline", "Memory"} <= {
        each.text for each in ET.fromstring(made).iter("{http://www.w3.org/2000/svg}text")
    }


def test_the_picture_in_the_examples_is_of_the_same_graph() -> None:
    assert layers(FILE.read_text(encoding="utf-8")) == layers(picture())
