"""The lowest versions that pyproject.toml declares, as pip's constraints: `python tests/packaging/lowest.py`.

Needs nothing but Python, since continuous integration asks it for them before anything is installed.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
AT_LEAST = re.compile(r"([\w-]+)>=([\d.]+)")


def lowest(project: Path = PROJECT) -> Iterator[str]:
    """`name==version` for whatever cnncc and its tests need, and for what builds it."""
    content = tomllib.loads(project.read_text(encoding="utf-8"))
    declared = {*content["build-system"]["requires"], *content["project"]["dependencies"]}
    for extra in ("images", "onnx", "safetensors", "test"):
        declared.update(content["project"]["optional-dependencies"][extra])
    for requirement in sorted(declared):
        if found := AT_LEAST.fullmatch(requirement):
            yield f"{found[1]}=={found[2]}"


if __name__ == "__main__":
    print("\n".join(lowest()))
