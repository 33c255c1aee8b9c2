"""Files → arrays for a model's inputs: `.npy`, `.npz` and, with Pillow, pictures. Nothing is ever unpickled."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..files import regular
from ..types import Array
from .pictures import read_picture

if TYPE_CHECKING:
    from ..ir import Graph
    from .pictures import InputPort

_NPY, _ZIP = (b"\x93NUMPY",), (b"PK\x03\x04", b"PK\x05\x06")  # how the files begin; the last is an empty archive


def is_picture(path: Path) -> bool:
    """Whether Pillow has to read it: everything but NumPy's two formats."""
    return path.suffix.lower() not in (".npy", ".npz")


def read(path: Path, port: InputPort, resize: bool = False) -> Array:
    """The array in a file for one input: a `.npz` holds it under the input's name or as its only array.

    Shape and element type are the model's to judge. Raises InputError for a file that is missing, damaged or no
    data at all, and for a picture that the input cannot take; OutputError if Pillow is needed and missing.
    """
    if is_picture(path):
        return read_picture(path, port, resize)
    if path.suffix.lower() == ".npy":
        return _read_npy(path)
    arrays = read_npz(path)
    if port.name in arrays:
        return arrays[port.name]
    if len(arrays) == 1:
        return next(iter(arrays.values()))
    held = ", ".join(map(repr, arrays)) or "nothing"
    raise InputError(f"'{path}' holds {held}, expected an array called '{port.name}'")


def _read_npy(path: Path) -> Array:
    with _Opened(path, _NPY, "a .npy array") as stream:
        array: Array = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def read_npz(path: Path) -> Mapping[str, Array]:
    """All arrays of a `.npz` archive by name. Raises InputError like `read`."""
    with _Opened(path, _ZIP, "a .npz archive") as stream, np.load(stream, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def of_files(graph: Graph, files: list[str], convert: bool) -> dict[str, Array]:
    """The inputs of a graph from files: one for each in order, or one .npz for several.

    Raises InputError for another number of files, and like `read`.
    """
    from ..runtime.conversion import converted, converts
    from ..runtime.executable import Port

    ports = [Port(name, type, False, graph.frame(name)) for name, type in graph.inputs.items()]
    if len(files) == 1 and len(ports) > 1 and files[0].endswith(".npz"):
        feeds = dict(read_npz(Path(files[0])))
    elif len(files) != len(ports):
        raise InputError(f"model '{graph.name}' has {len(ports)} inputs, got {len(files)} files")
    else:
        feeds = {port.name: read(Path(file), port) for port, file in zip(ports, files, strict=True)}
    if convert:
        for port in ports:
            if port.name in feeds and converts(port.type.dtype, feeds[port.name].dtype):
                feeds[port.name] = converted(port, feeds[port.name])
    return feeds


class _Opened:
    """A file that begins as it should; whatever goes wrong while it is read is an InputError."""

    def __init__(self, path: Path, starts: tuple[bytes, ...], what: str):
        self.path, self.starts, self.what = path, starts, what

    def __enter__(self) -> Any:
        try:
            self.stream = regular(self.path)
            start = self.stream.read(max(map(len, self.starts)))
            self.stream.seek(0)
        except OSError as error:
            raise InputError(f"cannot read '{self.path}': {error.strerror or error}") from None
        if start not in self.starts:
            self.stream.close()
            raise InputError(f"'{self.path}' is not {self.what}")
        self._quiet = warnings.catch_warnings()
        self._quiet.__enter__()
        warnings.simplefilter("ignore")
        return self.stream

    def __exit__(self, kind: Any, error: BaseException | None, _: Any) -> None:
        self._quiet.__exit__(None, None, None)
        self.stream.close()
        if isinstance(error, Exception):
            raise InputError(f"'{self.path}' is damaged or holds no plain arrays: {error}") from None
