"""What is given as a model: a graph, or an ONNX file that is not read before its graph is needed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .cache.sources import Framed, OnnxFile, OnnxMessage
from .cut import checked_names, cut
from .errors import ModelError, ResourceError, UsageError
from .file_kinds import ONNX, explained, kind_of
from .files import opened
from .sizes import expect_one
from .types import Array

if TYPE_CHECKING:
    from .frontends.image import Image
    from .ir import Graph

    Source = Graph | OnnxFile | Framed

ONNX_ONLY = "shapes are given with ONNX models only; other models declare those of their inputs"


def load_graph(
    source: Any,
    shapes: Mapping[str, Sequence[int]] | None = None,
    outputs: Sequence[str] | None = None,
    *,
    convert: bool = False,
    fixed: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Image] | None = None,
) -> Graph:
    """The graph of a model script or an ONNX file (a path), of a model made with `cnncc.nn`, or of a graph itself.

    An ONNX model may also be given as a `ModelProto` or as bytes, and is then named after its graph. What a file is,
    its content tells; only a file called `.py` is run. `shapes` gives the shapes of an ONNX model's inputs by name,
    where it leaves them open. `outputs` cuts the model: the outputs of the graph are the results of these layers, or,
    of an ONNX model, these tensors; inputs and layers that they do not need are left out. With `convert`, what is
    float64 in an ONNX model is float32 in the graph. `fixed` gives inputs of an ONNX model values by name: they are no
    inputs of the graph, and what follows from them is computed when compiling. A value is repeated along the sizes that
    the file states. `inputs` has descriptions of the frames that come at inputs of floats, by name (see `Image`):
    what makes of them what the network reads is part of the graph.

    Raises UsageError for a name that the model does not have and for a file of another kind, ScriptError for a script
    that is missing, raises or defines no model or several, ModelError for what is wrong with an ONNX file, VerifyError
    for a graph made by hand that is none, such as one with a cycle, ResourceError where memory is used up.
    """
    with resources("reading"):
        opened = with_frames(open_source(source, shapes, outputs, convert, fixed), inputs)
        return opened.graph if isinstance(opened, OnnxFile | Framed) else opened


def open_source(
    source: Any,
    shapes: Mapping[str, Sequence[int]] | None = None,
    outputs: Sequence[str] | None = None,
    convert: bool = False,
    fixed: Mapping[str, Any] | None = None,
) -> Graph | OnnxFile:
    """The same, but an ONNX model is not read yet: the compiler may know it already."""
    expect_one(shapes, "a graph")
    names = () if outputs is None else checked_names(outputs)
    values = _values(fixed)
    if isinstance(source, str | os.PathLike) and _holds_onnx(source):
        return OnnxFile(source, shapes, names, convert, values)
    if (content := _message(source)) is not None:
        return OnnxMessage(content, shapes, names, convert, values)
    if shapes is not None:
        raise UsageError(ONNX_ONLY)
    if values:
        raise UsageError("values of inputs are given with ONNX models only")
    graph = _graph(source)
    return cut(graph, names) if names else graph


def with_frames(source: Graph | OnnxFile, inputs: Mapping[str, Image] | None) -> Source:
    """The source with frames of cameras at some inputs. Raises UsageError for what is no `Image`, or a wrong one."""
    if inputs is None:
        return source
    from .frontends.frames import expect_images

    return Framed(source, expect_images(inputs))


def _values(fixed: Mapping[str, Any] | None) -> dict[str, Array]:
    """The values of inputs as arrays. Raises UsageError for anything but numbers by name."""
    if fixed is not None and not isinstance(fixed, Mapping):
        raise UsageError(f"fixed={fixed!r}: expected values of inputs by name, such as {{'rate': 16000}}")
    values = {name: np.array(value) for name, value in (fixed or {}).items()}
    for name, value in values.items():
        if value.dtype.kind not in "biuf":
            raise UsageError(f"the value that is given for '{name}' is no array of numbers")
    return values


def _message(source: Any) -> bytes | None:
    """The content of an ONNX file, if that or the message in it is given. Raises ModelError for a message that is too
    large.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if type(source).__name__ != "ModelProto" or not hasattr(source, "SerializeToString"):
        return None
    try:
        return bytes(source.SerializeToString())
    except Exception as error:  # protobuf's own, above 2 GiB
        told = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"the given ModelProto cannot be made bytes: {told}") from None


def _graph(source: Any) -> Graph:
    """The graph of anything but an ONNX model."""
    from .ir import Graph

    if isinstance(source, Graph):
        return _verified(source)
    if isinstance(source, str | os.PathLike):
        from .frontends.script import load_script

        return _verified(load_script(source))
    graph = getattr(source, "graph", None)
    if isinstance(graph, Graph):
        return graph
    raise UsageError(f"expected a graph, a model, an ONNX model or the path of a model, got {type(source).__name__}")


def _holds_onnx(path: str | os.PathLike[str]) -> bool:
    """Whether a path leads to an ONNX file, by its name or its content; else a script may be run, which is or is not.

    Raises UsageError for a file that is neither: only what is called a script is ever executed.
    """
    ending = Path(path).suffix.lower()
    if ending in (".onnx", ".py") or not os.path.isfile(path):
        return ending == ".onnx"
    with opened(path, "model file", ModelError) as stream:
        kind = kind_of(stream)
    if kind is not ONNX:
        raise UsageError(
            f"unknown kind of model file: expected a model script (.py) or an ONNX file, but '{os.fspath(path)}' is "
            f"{explained(path, kind)}"
        )
    return True


def _verified(graph: Graph) -> Graph:
    from .check.graph import verify

    verify(graph)
    return graph


@contextmanager
def resources(what: str) -> Iterator[None]:
    """What Python raises when memory or its stack is used up becomes a ResourceError."""
    try:
        yield
    except MemoryError as error:
        told = " ".join(str(error).split())
        raise ResourceError(
            f"{what} the model takes more memory than there is" + (f": {told}" if told else "")
        ) from None
    except RecursionError:
        raise ResourceError(f"{what} the model failed, since it is nested too deeply") from None
