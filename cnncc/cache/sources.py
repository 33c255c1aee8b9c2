"""Models in ONNX files or messages, which are read at the first request for their graph or its hash.

The hash of a graph identifies it in the cache of compiled models. It is stored under the digest of the file. So a file
that was compiled before is only hashed: nothing is parsed or imported, and no pass runs.

The digest is SHA-256, for which processors of this decade have instructions (2 GB/s): it is faster than hashes that
were designed for speed without them (BLAKE2b: 1.4 GB/s).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..alignment import read_aligned
from ..errors import ModelError
from ..files import MOST_BYTES, opened_below, regular
from ..types import Array
from . import store
from .identity import compiler_identity

if TYPE_CHECKING:
    from ..frontends.frames import FramePort
    from ..frontends.image import Image
    from ..frontends.inspection import Inspection
    from ..frontends.onnx.external import FileRange
    from ..frontends.onnx.read import Declared
    from ..ir import Graph, Value

_BLOCK = 1 << 20  # bytes that are hashed at a time


Shapes = Mapping[str, Sequence[int]]
Fixed = Mapping[str, Array]
"""The values of inputs that are known when compiling."""


class OnnxFile:
    """An ONNX file as a source of a graph or of its hash alone; what else is given as in `load_graph`.

    The file is read once, at the first use of `graph` or `hash`; both raise what `load_graph` raises.
    """

    given = False
    """Whether there is no file, only its content."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        shapes: Shapes | None = None,
        outputs: Sequence[str] = (),
        convert: bool = False,
        fixed: Fixed | None = None,
    ):
        self.path, self.shapes, self.outputs, self.convert = Path(path), shapes or {}, tuple(outputs), convert
        self.fixed = dict(fixed or {})
        self._outside: list[tuple[FileRange, str | None]] = []
        self._tensors: Mapping[str, Value] = {}

    @cached_property
    def graph(self) -> Graph:
        """The file's graph. Raises ModelError if weights in other files changed since `hash` was computed."""
        graph = self._graph(self._parsed())
        if graph.hash != self.__dict__.get("hash", graph.hash):
            raise ModelError(f"weights of '{self.path}' have changed since it was compiled")
        return graph

    @cached_property
    def hash(self) -> str:
        """The hash of the graph: from the store if a file with this content was imported before, else computed."""
        shapes = _plain(self.shapes)
        if self._content is None or shapes is None:
            return self.graph.hash
        digest = hashlib.sha256(self._content).hexdigest()
        name = "" if self.given else self.path.stem
        asked = f"{shapes}\n{json.dumps([self.outputs, self.convert])}\n{_values(self.fixed)}"
        key = f"onnx 5\n{compiler_identity()}\n{name}\n{asked}\n{digest}"
        return self._recalled(key) or self._remembered(key)

    def __reduce__(self) -> tuple[Callable[[Graph], Graph], tuple[Graph]]:
        """Pickled as its graph, since the file may be missing when it is unpickled."""
        return _itself, (self.graph,)

    def _recalled(self, key: str) -> str | None:
        """The stored hash, if the files with the weights are unchanged."""
        try:
            known: Any = json.loads(bytes(store.read(key) or b""))
            parts = [(name, *part) for name, found in known["files"].items() for part in found]
            unchanged = all(self._digest(*part) == digest for *part, digest in parts)
            return str(known["graph"]) if unchanged else None
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def _remembered(self, key: str) -> str:
        """The hash of the graph as it is now; it is stored."""
        from ..frontends.onnx.read import outside

        proto = self._parsed()
        parts = outside(self.path, proto)
        before = [self._digest(*part) for part in parts]
        self.graph = self._graph(proto)
        if None not in before and [self._digest(*part) for part in parts] == before:  # they have not changed meanwhile
            files: dict[str, list[tuple[object, ...]]] = {name: [] for name, *_ in parts}
            for (name, *part), digest in zip(parts, before, strict=True):
                files[name].append((*part, digest))
            store.write(
                key, json.dumps({"graph": self.graph.hash, "files": files}).encode(), f"hash of {self.path.name}"
            )
        return self.graph.hash

    @property
    def content(self) -> bytes:
        """The bytes of the file; none if it cannot be read."""
        return bytes(self._content or b"")

    @property
    def tensors(self) -> Mapping[str, Value]:
        """The values of the graph that are tensors of the file, by their names there (see `imported`)."""
        return self._tensors if self.graph else {}

    @cached_property
    def ports(self) -> tuple[str, list[Declared], list[Declared]]:
        """Name, inputs and outputs of the model, whose dimensions may be open. Raises ModelError for no ONNX model."""
        from ..frontends.onnx.importer import model_of
        from ..frontends.onnx.ports import ports
        from ..frontends.onnx.read import outside

        proto = self._parsed()
        self._outside = [(part, self._digest(*part)) for part in outside(self.path, proto)]
        model = model_of(self.path, proto, self.outputs, self.given, self.convert, self.fixed)
        return model.name, *ports(model)

    def at(self, shapes: Shapes) -> OnnxFile:
        """The same content with other shapes of its inputs.

        Raises ModelError if weights in other files changed since `ports` was asked for.
        """
        if any(self._digest(*part) != digest for part, digest in self._outside):
            raise ModelError(f"weights of '{self.path}' have changed since its first size was compiled")
        other = OnnxFile(self.path, shapes, self.outputs, self.convert, self.fixed)
        other.given, other._content = self.given, self._content
        return other

    def inspected(self) -> Inspection:
        """What the file holds, with what is unsupported in it. Raises ModelError for a file that is no ONNX model."""
        from ..frontends.onnx.demand import TooLarge
        from ..frontends.onnx.importer import model_of
        from ..frontends.onnx.inspection import inspect_large, inspect_onnx

        proto = self._parsed()
        try:
            model = model_of(self.path, proto, self.outputs, self.given, self.convert, self.fixed)
        except TooLarge as error:
            return inspect_large(self.path, proto, error)
        return inspect_onnx(model, self.shapes)

    @property
    def nodes(self) -> list[tuple[str, tuple[str, ...]]]:
        """Each node of the file by its name ('' for none), with the names of its tensors, those inside of others left
        out. Of a model that was given as bytes nothing is known any more once its graph has been made.
        """
        from ..frontends.onnx.plain import text

        if self.given and self._content is None:
            return []
        return [(text(node.name), tuple(map(text, node.output))) for node in self._parsed().graph.node]

    def holding(self, weights: Mapping[str, Array]) -> bytes:
        """The content of a file like this one that has these arrays in constants of its graph, by their names there.

        Raises ModelError where the file cannot hold them (see `frontends.onnx.writing`).
        """
        from ..frontends.onnx.writing import holding

        return holding(self.path, self._parsed(), self._imported, weights)

    def exposed(self) -> tuple[bytes, list[str]]:
        """The content of a file that has all its tensors as outputs, and their names (see `frontends.onnx.exposed`)."""
        from ..frontends.onnx.exposed import exposed

        names = self.tensors
        return exposed(self.path, self._parsed(), names)

    def _parsed(self) -> Any:
        from ..frontends.onnx.read import parse

        return parse(self.path, None if self._content is None else self._content.tobytes())

    def _graph(self, proto: Any) -> Graph:
        graph = self._imported(proto)
        self._content = None  # no longer needed
        return graph

    def _imported(self, proto: Any) -> Graph:
        from ..frontends.onnx.importer import imported

        given = self.shapes, self.outputs, self.given, self.convert, self.fixed
        graph, self._tensors = imported(self.path, proto, *given)
        return graph

    @cached_property
    def _content(self) -> memoryview | None:
        return _content(self.path)

    def _digest(self, location: str, offset: int, length: int) -> str | None:
        """The digest of some bytes of a file, named relative to the folder of this one; None if it cannot be read."""
        state = hashlib.sha256()
        try:
            with opened_below(self.path.parent, location) as stream:
                stream.seek(offset)
                while length > 0 and (block := stream.read(min(length, _BLOCK))):
                    state.update(block)
                    length -= len(block)
        except (OSError, ValueError):
            return None
        return state.hexdigest() if length == 0 else None


class OnnxMessage(OnnxFile):
    """The content of an ONNX file, which may never have been one. The model is named after its graph."""

    given = True

    def __init__(
        self,
        content: bytes,
        shapes: Shapes | None = None,
        outputs: Sequence[str] = (),
        convert: bool = False,
        fixed: Fixed | None = None,
    ):
        super().__init__("the given model", shapes, outputs, convert, fixed)
        self._content = memoryview(content)


class Framed:
    """A source whose graph takes frames of cameras at some inputs (see `frontends.frames`).

    `graph` raises what the source and `framed` raise.
    """

    def __init__(self, source: Graph | OnnxFile, images: Mapping[str, Image]):
        self.source, self.images = source, dict(images)

    @property
    def open(self) -> bool:
        """Whether frames of some input may have any size: then `at` gives the source for one of them."""
        return any(image.open for image in self.images.values())

    @property
    def network(self) -> Graph:
        """The graph behind the frames."""
        return self.source.graph if isinstance(self.source, OnnxFile) else self.source

    @cached_property
    def graph(self) -> Graph:
        from ..frontends.frames import framed

        return framed(self.network, self.images)

    @property
    def hash(self) -> str:
        """What the graph depends on."""
        return hashlib.sha256(f"{sorted(self.images.items())!r}\n{self.source.hash}".encode()).hexdigest()

    @cached_property
    def ports(self) -> tuple[str, list[FramePort], list[FramePort]]:
        """Name, inputs and outputs of the model, whose sizes may be open. Raises what `graph` raises."""
        from ..frontends.frames import open_ports

        return self.network.name, *open_ports(self.network, self.images)

    def at(self, shapes: Shapes) -> Framed:
        """The same with frames of one size."""
        from ..frontends.frames import sized

        return Framed(self.source, sized(self.images, shapes))

    def __reduce__(self) -> tuple[type[Framed], tuple[Graph, dict[str, Image]]]:
        """Pickled with its graph, since a file may be missing when it is unpickled."""
        return Framed, (self.network, self.images)


def _content(path: Path) -> memoryview | None:
    """The bytes of a model's file; None if it cannot be read."""
    try:
        with regular(path, MOST_BYTES) as stream:
            return read_aligned(stream.fileno())
    except (OSError, ValueError):
        return None


def _plain(shapes: Mapping[str, Sequence[int]]) -> str | None:
    """Shapes as text that is equal for equal shapes; None if they are malformed, which the importer then reports."""
    try:
        pairs = [(name, list(shape)) for name, shape in sorted(shapes.items())]
        return json.dumps(pairs) if all(type(size) is int for _, shape in pairs for size in shape) else None
    except (TypeError, ValueError, AttributeError):
        return None


def _values(fixed: Fixed) -> str:
    """Values as text that is equal for equal values."""
    digests = {name: hashlib.sha256(value.tobytes()).hexdigest() for name, value in fixed.items()}
    return json.dumps([(name, value.dtype.str, value.shape, digests[name]) for name, value in sorted(fixed.items())])


def _itself(graph: Graph) -> Graph:
    return graph
