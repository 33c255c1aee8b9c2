"""Picture files → arrays, with Pillow. A file has to say what its numbers mean, or it is refused.

| mode | read as |
|---|---|
| grey, RGB, palette, black and white, CMYK, YCbCr, HSV | 8 bits, converted to the channels of the input |
| 16 bits a pixel | 0 to 65535, and for bytes the upper 8 bits |
| 8 bits, for an input of 16 | 257 times as much, so that white is 65535 |
| with transparency | its colours, if every pixel is opaque: nobody knows what should shine through |
| 32-bit or signed integers, floats | refused: such files do not say which number is white |

Of several frames the first is read. An input that takes frames of a camera (`cnncc.Image`) says which axes and channels
they have; alpha is opaque.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..errors import InputError, OutputError
from ..types import Array

if TYPE_CHECKING:
    from ..runtime.executable import Port
    from ..runtime.open_model import OpenPort

    InputPort: TypeAlias = Port | OpenPort

_COLOURS = {1: "GRAY", 3: "RGB"}  # what a picture with that many channels has, if nothing is said
_FULL_RANGE = ("PNG", "PPM", "JPEG2000")  # formats whose 16-bit samples Pillow gives on a scale from 0 to 65535
_BITS, _PHOTOMETRIC, _SAMPLES = 258, 262, 339  # tags of TIFF


def read_picture(path: Path, port: InputPort, resize: bool) -> Array:
    """A picture as the input takes it: grey for one channel, RGB for three, or as its frames are; whole numbers, or
    float32 from 0 to 1.

    Where the input leaves height or width open, that of the picture is taken.

    Raises InputError for a picture that the input cannot take or whose meaning is not certain, OutputError without
    Pillow.
    """
    form = _form(path, port)
    wanted = [form.height, form.width]
    known = [size for size in wanted if isinstance(size, int)]
    if resize and len(known) < 2:
        raise InputError(f"--resize scales pictures to one size, input '{port.name}' has several: --shape chooses one")
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise OutputError(f"reading the picture '{path}' needs Pillow: pip install 'cnncc[images]'") from None
    if not path.is_file():
        raise InputError(f"cannot read '{path}': " + ("it is not a file" if path.exists() else "it does not exist"))
    try:
        with warnings.catch_warnings(), Image.open(path) as opened:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = ImageOps.exif_transpose(_certain(opened, path, "L" if form.order == "GRAY" else "RGB"))
            if any(a != b for a, b in zip(picture.size, reversed(wanted), strict=True) if isinstance(b, int)):
                if not resize:
                    raise InputError(_wrong_size(path, picture.size, port, wanted))
                picture = picture.resize((known[1], known[0]), Image.Resampling.BILINEAR)
            pixels = _pixels(picture, form, port.dtype)
    except InputError:
        raise
    except Exception as error:  # Pillow's decoders raise anything on damaged data
        raise InputError(f"'{path}' is not a picture that can be read: {error}") from None
    return form.laid(pixels)


def _wrong_size(path: Path, size: tuple[int, int], port: InputPort, wanted: list[int | str]) -> str:
    height, width = wanted
    return (
        f"picture '{path}' has {size[0]}×{size[1]} pixels, input '{port.name}' takes {width}×{height}"
        + " (--resize scales it)" * (isinstance(height, int) and isinstance(width, int))
    )


@dataclass(frozen=True)
class _Form:
    """What an input takes of a picture: the layout of its axes, the order of its channels, and a size, perhaps open."""

    layout: str
    order: str
    height: int | str
    width: int | str

    def laid(self, pixels: Array) -> Array:
        """(H, W, R G B or grey) as an array for the input."""
        if self.order != "GRAY":
            opaque = np.full_like(pixels[..., :1], np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1)
            channels = {"A": opaque} | {colour: pixels[..., k : k + 1] for k, colour in enumerate("RGB")}
            pixels = np.concatenate([channels[letter] for letter in self.order], axis=-1)
        pixels = pixels.reshape(1, *pixels.shape[:2], -1)
        if self.layout == "NHW":
            return pixels[..., 0]
        return pixels if self.layout == "NHWC" else np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def _form(path: Path, port: InputPort) -> _Form:
    """What an input takes of pictures.

    Where the shape alone tells and allows both, bytes have their channels last, as cameras do, and floats first.
    """
    shape = port.shape if port.shape is not None and len(port.shape) in (3, 4) else (0, 0, 0, 0)
    if port.frame and port.dtype in ("uint8", "uint16"):
        layout, order = port.frame.split()
        lengths = dict(zip(layout, shape, strict=True))
        return _Form(layout, order, lengths["H"], lengths["W"])
    _, a, b, c = shape if len(shape) == 4 and not port.frame else (0, 0, 0, 0)
    if isinstance(c, int) and c in _COLOURS and (a not in _COLOURS or port.dtype == "uint8"):
        return _Form("NHWC", _COLOURS[c], a, b)
    if isinstance(a, int) and a in _COLOURS:
        return _Form("NCHW", _COLOURS[a], b, c)
    if port.frame:
        raise InputError(
            f"input '{port.name}' takes frames of {port.dtype}, and nobody knows which number is white in them: "
            f"'{path}' has to be an array"
        )
    raise InputError(
        f"input '{port.name}' of shape {port.shape} takes no picture like '{path}': "
        "that needs (N, C, H, W) or (N, H, W, C) with one or three channels"
    )


def _certain(picture: Any, path: Path, mode: str) -> Any:
    """`picture` in `mode`, or with 16 bits a pixel, before it is scaled: means of a palette's numbers are no colours.

    Raises InputError for numbers of unknown range, and for pixels through which something else should be seen.
    """
    if picture.mode == "F" or picture.mode.startswith("I"):
        _check_range(picture, path)
        if "transparency" in picture.info and (np.asarray(picture) == picture.info["transparency"]).any():
            raise InputError(_transparent(path))
        return picture
    if "transparency" in picture.info or picture.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        picture = picture.convert("RGBA")
        if picture.getextrema()[3][0] < 255:
            raise InputError(_transparent(path))
    elif picture.mode == "P":
        picture = picture.convert("RGB")
    return picture.convert(mode)


def _transparent(path: Path) -> str:
    return f"picture '{path}' has transparent pixels: put it on a background first"


def _check_range(picture: Any, path: Path) -> None:
    """Raises InputError unless the numbers run from 0, black, to 65535, white."""
    tags = getattr(picture, "tag_v2", {})
    as_expected = (
        picture.mode.startswith("I;16")
        and tags.get(_BITS, (16,)) == (16,)
        and tags.get(_PHOTOMETRIC, 1) == 1
        and tags.get(_SAMPLES, (1,)) in (1, (1,))
    )
    if not (picture.format in _FULL_RANGE if picture.format != "TIFF" else as_expected):
        what = "floats" if picture.mode == "F" else "integers"
        raise InputError(
            f"picture '{path}' holds {what} (mode {picture.mode}) and does not say which number is white: "
            "save it with 8 bits a channel, or its numbers as the model takes them in a .npy file"
        )


def _pixels(picture: Any, form: _Form, dtype: str) -> Array:
    """(H, W, channels) of bytes, of numbers to 65535, or of pixels from 0 to 1: then pictures of 16 bits keep them."""
    pixels, deep = np.asarray(picture), picture.mode.startswith("I")
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    if deep and form.order != "GRAY":
        pixels = np.repeat(pixels, 3, axis=-1)
    if dtype == "uint8":
        return (pixels >> 8).astype(np.uint8) if deep else pixels
    if dtype == "uint16":
        return pixels.astype(np.uint16) * np.uint16(1 if deep else 257)
    return pixels.astype(np.float32) / np.float32(65535 if deep else 255)
