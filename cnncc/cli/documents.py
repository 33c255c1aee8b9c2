"""`--json`: one document on standard output; `JSON.md` lists the fields of each verb's, and a test compares them."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

from ..plain import plain
from .console import say

VERSION = 1
"""Of every document; a higher one means other names or meanings, and not only more fields."""


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document in place of text")


def document(verb: str, **fields: Any) -> dict[str, Any]:
    """The fields behind the mark that says which document this is."""
    return {f"cnncc {verb}": VERSION, **fields}


def say_json(value: Any) -> None:
    """Print a document. NaN and infinities are texts, as JSON has no such numbers."""
    say(json.dumps(plain(value), indent=2, allow_nan=False))


def file_facts(path: str | Path) -> dict[str, Any]:
    """A file that was written: where, its bytes and their digest."""
    content = Path(path).read_bytes()
    return {"path": str(path), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
