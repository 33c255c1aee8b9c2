"""What a document holds of a command's output is what the command prints."""

from __future__ import annotations

import pytest

from .blocks import documents
from .generated import ROOT, renewed


@pytest.mark.parametrize("name", documents(ROOT))
def test_parts_are_what_their_commands_print(name: str) -> None:
    """If not, `python -m tests.docs.generated` writes them."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert renewed(text) == text


def test_a_part_is_replaced() -> None:
    text = "before\n<!-- begin: cnncc ops --markdown -->\nold\n<!-- end -->\nafter\n"
    first, *table, last = renewed(text).split("\n<!--")
    assert (first, last) == ("before", " end -->\nafter\n") and "| `Conv` | " in "".join(table)


@pytest.mark.parametrize(
    ("page", "command"),
    [("cnncc/ops/README.md", "ops --markdown"), ("frontends/onnx/README.md", "ops --onnx --markdown")],
)
def test_the_tables_of_operators_are_such_parts(page: str, command: str) -> None:
    assert f"<!-- begin: cnncc {command} -->" in (ROOT / page).read_text(encoding="utf-8")
