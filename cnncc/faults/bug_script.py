"""A failing graph as a script for a bug report: it holds all that it needs, and fails by itself in the same way.

The script is a model script as well, so `cnncc show` and `cnncc check` take it. Arrays are seeds where they are noise,
numbers where they are few, else compressed bytes.
"""

from __future__ import annotations

import base64
import platform
import zlib
from collections.abc import Mapping
from textwrap import wrap
from typing import Any

import numpy as np

from ..elements import FLOAT32
from ..op import Constant
from ..text import show
from ..types import Array, TensorType
from ..version import VERSION
from . import shrink
from .excerpt import Case
from .outcome import Outcome

FEW = 64
"""Elements of an array that is written as numbers."""

_SCRIPT = '''"""{sentence}

{origin}.
Versions: cnncc {version}, Python {python}, NumPy {numpy}; {machine}. Run it:

    python THIS_FILE              checks the graph: {end}
    cnncc show THIS_FILE          and other verbs take it as a model
"""

{imports}

GRAPH = """
{graph}"""

CONSTANTS = {constants}

INPUTS = {inputs}

SETTINGS = {settings}


def model():
    from cnncc.text import parse

    return parse(GRAPH, CONSTANTS)


if __name__ == "__main__":
    from cnncc.faults.outcome import rerun

    rerun(model(), INPUTS, **SETTINGS)
'''


def script(case: Case, found: Outcome, settings: Mapping[str, Any], origin: str) -> str:
    """The text of the script; `origin` tells where the graph comes from."""
    constants = {node.name: node.op.data for node in case.graph if isinstance(node.op, Constant)}
    arrays = [_arrays(constants), _arrays({name: np.asarray(data) for name, data in case.feeds.items()})]
    packed = any("b85decode" in text for text in arrays)
    return _SCRIPT.format(
        sentence=_quoted(found.sentence[:1].upper() + found.sentence[1:]),
        origin=_quoted(origin),
        version=VERSION,
        python=platform.python_version(),
        numpy=np.__version__,
        machine=platform.machine(),
        end=f"exit code {found.exit_code}" if found.exit_code >= 0 else found.signs[0],
        imports="\n".join((["import base64", "import zlib", ""] if packed else []) + ["import numpy as np"]),
        graph=_quoted(show(case.graph)),
        constants=arrays[0],
        inputs=arrays[1],
        settings=repr(dict(settings)),
    )


def _quoted(text: str) -> str:
    """As it stands inside of three quotation marks."""
    return text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')


def _arrays(arrays: Mapping[str, Array]) -> str:
    lines = [f"    {name!r}: {spelled(name, array)},\n" for name, array in arrays.items()]
    return "{\n" + "".join(lines) + "}" if lines else "{}"


def spelled(name: str, array: Array) -> str:
    """An expression of NumPy that gives this array, bit by bit."""
    if (
        array.dtype == FLOAT32.numpy
        and array.size
        and array.tobytes() == shrink.noise(TensorType.of(array), name).tobytes()
    ):
        return f"np.random.default_rng({shrink.seed(name)}).standard_normal({array.shape}).astype(np.float32)"
    if array.size <= FEW and (array.dtype.kind != "f" or np.isfinite(array).all()):
        return f"np.array({array.tolist()}, np.{array.dtype.name})"
    packed = base64.b85encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode()
    text = "\n".join(f"        {part!r}" for part in wrap(packed, 100))
    unpacked = f"zlib.decompress(base64.b85decode(\n{text}\n    ))"
    return f"np.frombuffer({unpacked}, np.{array.dtype.name}).reshape({array.shape})"
