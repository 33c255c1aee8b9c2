"""Write `frontends/onnx/operators.json` anew: `python -m tests.onnx.survey`."""

from __future__ import annotations

from .write import write

if __name__ == "__main__":
    write()
