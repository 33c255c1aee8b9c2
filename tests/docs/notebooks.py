"""Notebooks as they stand in the checkout: without outputs, in one spelling.

After a notebook was edited, `python -m tests.docs.notebooks` takes out what its cells printed and writes it as the
tests want it; `ruff format` formats its cells.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def spelled(notebook: dict[str, Any]) -> str:
    """The text of a notebook: its cells with numbers for names, no outputs, nothing of the tool that wrote it."""
    cells = [_cell(number, cell) for number, cell in enumerate(notebook["cells"], start=1)]
    whole = {"cells": cells, "metadata": {"kernelspec": KERNEL}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _cell(number: int, cell: dict[str, Any]) -> dict[str, Any]:
    lines = "".join(cell["source"]).rstrip("\n").splitlines(keepends=True)
    common = {"cell_type": cell["cell_type"], "id": f"cell{number}", "metadata": {}}
    outputs: dict[str, Any] = {"execution_count": None, "outputs": []} if cell["cell_type"] == "code" else {}
    return {**common, **outputs, "source": lines}


def programs(notebook: dict[str, Any]) -> Iterable[str]:
    """The text of each cell of code."""
    return ("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")


def main(paths: Iterable[str]) -> None:
    for path in map(Path, paths or map(str, NOTEBOOKS)):
        text = spelled(json.loads(path.read_text(encoding="utf-8")))
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
