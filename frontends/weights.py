"""Weights files: float32 arrays named 'layer.role' in `.npz` archives (never pickles) or `.safetensors` files."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..allowance import allowance, charge
from ..errors import CnnccError, Location, OutputError, WeightsError
from ..files import opened, write_whole
from ..types import Array
from .symbols import Parameter

_UNREADABLE = (ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, MemoryError)


def read_weights(path: str | os.PathLike[str]) -> dict[str, Array]:
    """The arrays of a file, in the format of its extension; raises WeightsError if it is missing or unreadable."""
    if not isinstance(path, str | os.PathLike):
        raise WeightsError(f"expected the path of a weights file, got {type(path).__name__}")
    file = Path(path)
    with opened(file, "weights file", WeightsError) as stream:
        return _read_safetensors(file, stream) if _is_safetensors(file) else _read_npz(file, stream)


def write_weights(path: str | os.PathLike[str], arrays: Mapping[str, Array]) -> None:
    """Write `arrays` so that `path` is always the old file or the complete new one; raises OutputError."""

    def fill(stream: BinaryIO) -> None:
        if _is_safetensors(Path(path)):
            stream.write(_safetensors(path, OutputError).save(dict(arrays)))
        else:
            np.savez_compressed(stream, **dict(arrays))  # type: ignore[arg-type]

    write_whole(path, "weights file", fill)


def _is_safetensors(file: Path) -> bool:
    return file.suffix.lower() == ".safetensors"


def _safetensors(path: object, failure: type[CnnccError]) -> Any:
    """The package's module for NumPy."""
    try:
        import safetensors.numpy
    except ImportError:
        raise failure(f"weights file '{path}' needs a package: pip install 'cnncc[safetensors]'") from None
    return safetensors.numpy


def _read_safetensors(file: Path, stream: BinaryIO) -> dict[str, Array]:
    package = _safetensors(file, WeightsError)
    charge(os.fstat(stream.fileno()).st_size, f"weights file '{file}'", WeightsError)
    try:
        arrays: dict[str, Array] = package.load(stream.read())
        return arrays
    except OSError:
        raise
    except Exception as error:  # the package's own, and NumPy's for element types that it does not know
        raise WeightsError(f"weights file '{file}' is damaged or holds no plain arrays: {error}") from None


def _read_npz(file: Path, stream: BinaryIO) -> dict[str, Array]:
    if stream.read(4) != b"PK\3\4":
        raise WeightsError(f"weights file '{file}' is not an .npz archive")
    stream.seek(0)
    try:
        with np.load(stream, allow_pickle=False) as archive, allowance():
            names = archive.zip.namelist()
            if names and not any(name.endswith(".npy") for name in names):
                raise WeightsError(
                    f"weights file '{file}' is no archive of NumPy's: like='torch' or like='keras' reads one of these"
                )
            for entry in archive.zip.infolist():  # compressed zeros take a thousandth of their unpacked size
                charge(entry.file_size, f"'{entry.filename}' in weights file '{file}'", WeightsError)
            return {name: archive[name] for name in archive.files}
    except OSError:
        raise
    except _UNREADABLE as error:
        raise WeightsError(f"weights file '{file}' is damaged or holds no plain arrays: {error}") from None


def assign(
    parameters: Mapping[str, Parameter], arrays: Mapping[str, Array], source: str, where: Location | None
) -> None:
    """Set all parameters, or none: then raises WeightsError that names layer and source."""
    if not isinstance(arrays, Mapping):
        raise WeightsError(f"expected a dict of arrays, got {type(arrays).__name__}", where=where)
    for name in arrays:
        if name not in parameters:
            raise WeightsError(f"{source} holds '{name}', which the model does not have", where=where)
    for name, parameter in parameters.items():
        problem = _problem(parameter, arrays.get(name))
        if problem:
            layer = name.rpartition(".")[0]
            raise WeightsError(f"'{name}' in {source} {problem}", node=layer, where=parameter.layer.where)
    for name, parameter in parameters.items():
        parameter.set(arrays[name])


def _problem(parameter: Parameter, array: Array | None) -> str | None:
    """Why `array` cannot be the parameter's value."""
    if array is None:
        return f"is missing, expected {parameter.type}"
    if not isinstance(array, np.ndarray) or array.dtype != parameter.type.dtype.numpy:
        return f"is {getattr(array, 'dtype', type(array).__name__)}, expected {parameter.type.dtype}"
    if array.shape != parameter.type.shape:
        return f"has shape {array.shape}, expected {parameter.type.shape}"
    wrong = array.size - int(np.isfinite(array).sum())
    return f"holds {wrong} value{'s' * (wrong > 1)} that {'are' if wrong > 1 else 'is'} not finite" if wrong else None
