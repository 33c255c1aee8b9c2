"""`--image INPUT=WORD,…` as descriptions of frames: the words of `cnncc.Image`, each known by what it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..errors import UsageError
from ..frontends.image import FULL_SCALE, LAYOUTS, LETTERBOX, METHODS, ORDERS, STRETCH, Image

EXPECTED = "expected --image INPUT=WORD,…, as x=640x480,uint8,NHWC,BGR,resize=224x224,mean=0.485,0.456,0.406,std=0.2"
_WORDS = {
    **{element.name: "dtype" for element in FULL_SCALE},
    **{layout: "layout" for name in LAYOUTS for layout in (name, name[1:])},
    **dict.fromkeys(ORDERS, "order"),
    **dict.fromkeys(METHODS, "method"),
}
_FLAGS = ("crop", "antialias")
_NUMBERS = ("mean", "std", "scale", "fill")
_SIZE = re.compile(r"([1-9][0-9]{0,5})x([1-9][0-9]{0,5})", re.ASCII)


def images_of(given: Sequence[str]) -> dict[str, Image]:
    """The description of each input. Raises UsageError for words that mean nothing, and for an input given twice."""
    found: dict[str, Image] = {}
    for text in given:
        name, equals, words = text.partition("=")
        if not name or not equals:
            raise UsageError(f"'{text}' describes no frames: {EXPECTED}")
        if name in found:
            raise UsageError(f"--image of input '{name}' is given twice")
        found[name] = Image(**_settings(name, words))
    return found


def _settings(input: str, words: str) -> dict[str, Any]:
    """Keywords of `Image`. A number without a name is one more for the channels of the mean or std before it."""
    found: dict[str, Any] = {}
    last = ""
    for word in filter(None, words.split(",")):
        name, equals, value = word.partition("=")
        if not equals and last in ("mean", "std") and (number := _number(word)) is not None:
            found[last] = (*found[last], number)
            continue
        last, setting = (name, _named(name, value)) if equals else _known(word)
        if setting is None:
            raise UsageError(f"--image of input '{input}': '{word}' means nothing: {EXPECTED}")
        if last in found:
            raise UsageError(f"--image of input '{input}' says two things about {last}, the second one '{word}'")
        found[last] = setting
    return {key: value[0] if key in _NUMBERS and len(value) == 1 else value for key, value in found.items()}


def _known(word: str) -> tuple[str, Any]:
    """The keyword that a word without a name is a value of, and the value: None if it is of none."""
    if word in _FLAGS:
        return word, True
    if (size := _size(word)) is not None:
        return "size", size
    return _WORDS.get(word, ""), word if word in _WORDS else None


def _named(name: str, value: str) -> Any:
    """The value of a keyword; None if it has none like this."""
    if name in _NUMBERS:
        number = _number(value)
        return None if number is None else (number,)
    if name == "resize":
        whole = int(value) if re.fullmatch("[1-9][0-9]{0,5}", value) else None
        return value if value in (STRETCH, LETTERBOX) else _size(value) or whole
    return value if name == "network_order" else None


def _size(text: str) -> tuple[int, int] | None:
    """(height, width) of a text that has the width first, as cameras do."""
    found = _SIZE.fullmatch(text)
    return (int(found[2]), int(found[1])) if found else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
