"""Parts of the documents that a command prints: `python -m tests.docs.generated` writes them anew.

Before, it tries again what the importer of ONNX files takes (`tests/onnx/survey`), which one of the commands prints. A
part stands between `<!-- begin: cnncc VERB … -->` and `<!-- end -->`.
"""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

from cnncc.cli import main

from .blocks import documents

ROOT = Path(__file__).resolve().parents[2]
_PART = re.compile(r"(<!-- begin: cnncc (.*?) -->\n).*?(<!-- end -->)", re.DOTALL)


def renewed(text: str) -> str:
    """A document with what its commands print today."""
    return _PART.sub(lambda found: f"{found[1]}{_printed(found[2].split())}{found[3]}", text)


def _printed(words: list[str]) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert main(words) == 0, words
    return said.getvalue()


if __name__ == "__main__":
    subprocess.run([sys.executable, "-m", "tests.onnx.survey"], cwd=ROOT, check=True)
    for page in (ROOT / name for name in documents(ROOT)):
        page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")
