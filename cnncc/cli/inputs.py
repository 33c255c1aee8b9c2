"""Files → arrays for a model's inputs: `.npy`, `.npz` and, with Pillow, pictures. Nothing is ever unpickled."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, OutputError
from ..files import regular
from ..types import Array

if TYPE_CHECKING:
    from ..runtime.executable import Port

_NPY, _ZIP = (b"\x93NUMPY",), (b"PK\x03\x04", b"PK\x05\x06")  # how the files begin; the last is an empty archive
_MODES = {1: "L", 3: "RGB"}  # Pillow's name of a picture with that many channels


def is_picture(path: Path) -> bool:
    """Whether Pillow has to read it: everything but NumPy's two formats."""
    return path.suffix.lower() not in (".npy", ".npz")


def read(path: Path, port: Port, resize: bool = False) -> Array:
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


def read_picture(path: Path, port: Port, resize: bool) -> Array:
    """A picture as the input takes it: grey for one channel, RGB for three; bytes, or float32 from 0 to 1."""
    (channels, height, width), last = _picture_shape(path, port)
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise OutputError(f"reading the picture '{path}' needs Pillow: pip install 'cnncc[images]'") from None
    if not path.is_file():
        raise InputError(f"cannot read '{path}': " + ("it is not a file" if path.exists() else "it does not exist"))
    try:
        with warnings.catch_warnings(), Image.open(path) as opened:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = ImageOps.exif_transpose(opened)
            if picture.size != (width, height):
                if not resize:
                    raise InputError(_wrong_size(path, picture.size, port, (width, height)))
                picture = picture.resize((width, height), Image.Resampling.BILINEAR)
            pixels = _pixels(picture, _MODES[channels], port)
    except InputError:
        raise
    except Exception as error:  # Pillow's decoders raise anything on damaged data
        raise InputError(f"'{path}' is not a picture that can be read: {error}") from None
    pixels = pixels.reshape(1, height, width, channels)
    return pixels if last else np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def _wrong_size(path: Path, size: tuple[int, int], port: Port, wanted: tuple[int, int]) -> str:
    return (
        f"picture '{path}' has {size[0]}×{size[1]} pixels, input '{port.name}' takes {wanted[0]}×{wanted[1]} "
        "(--resize scales it)"
    )


def _picture_shape(path: Path, port: Port) -> tuple[tuple[int, int, int], bool]:
    """(channels, height, width) of an input that takes pictures, and whether its channels come last.

    Where the shape allows both, bytes have them last, as cameras do, and floats first.
    """
    first, last = (len(port.shape) == 4 and port.shape[axis] in _MODES for axis in (1, -1))
    if not (first or last):
        raise InputError(
            f"input '{port.name}' of shape {port.shape} takes no picture like '{path}': "
            "that needs (N, C, H, W) or (N, H, W, C) with one or three channels"
        )
    _, a, b, c = port.shape
    if last and (not first or _takes_bytes(port)):
        return (c, a, b), True
    return (a, b, c), False


def _takes_bytes(port: Port) -> bool:
    return port.dtype == "uint8"


def _pixels(picture: Any, mode: str, port: Port) -> Array:
    """Bytes, or pixels from 0 to 1: then pictures of 16 bits a pixel keep them, others are converted to 8."""
    if picture.mode.startswith("I"):
        deep = np.asarray(picture)
        deep = (deep >> 8).astype(np.uint8) if _takes_bytes(port) else deep.astype(np.float32) / np.float32(65535)
        return deep if mode == "L" else np.repeat(deep[..., None], 3, axis=-1)
    if picture.mode == "P":
        picture = picture.convert("RGBA")
    pixels = np.asarray(picture.convert(mode))
    return pixels if _takes_bytes(port) else pixels.astype(np.float32) / np.float32(255)
