"""What pictures are that arrive at an input, as a camera or a decoder gives them: `cnncc.Image`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ..elements import ELEMENTS, FLOAT16, FLOAT32, UINT8, UINT16
from ..errors import ModelError
from ..ops import Resize
from .arguments import whole, wholes
from .scaling import PerChannel, Scaling, scaling_of

LAYOUTS = ("NHWC", "NCHW", "NHW")
COLOURS = {"RGB": "RGB", "BGR": "BGR", "RGBA": "RGB", "BGRA": "BGR"}
"""Orders of channels, and the colours without alpha, which is last."""
ORDERS = (*COLOURS, "GRAY")
LUMA = {"R": 0.299, "G": 0.587, "B": 0.114}
"""What colours have of a grey (ITU-R BT.601)."""
FULL_SCALE = {UINT8: 1 / 255, UINT16: 1 / 65535, FLOAT16: 1.0, FLOAT32: 1.0}
"""The element types of frames, and what makes numbers from 0 to 1 of them."""
METHODS = ("linear", "cubic", "nearest")
STRETCH, LETTERBOX = "stretch", "letterbox"

Size = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True)
class Image:
    """Frames of a camera in place of a network's input of floats; what is between them is compiled in.

    `size` is (height, width) of the frames: by default what the network reads, or, where frames are resized or cropped,
    any size, each compiled when it comes. `layout` 'NHWC', 'NCHW', or 'NHW' for grey; where N is 1, calls may leave it
    out, as the layout may. `dtype` 'uint8', 'uint16', 'float32' or 'float16'. `order` 'RGB', 'BGR', 'RGBA', 'BGRA'
    (alpha is dropped) or 'GRAY'; by default 'RGB' for a network of three channels, and 'GRAY' for one. A network of one
    channel reads the luma of colours (ITU-R BT.601, as OpenCV's and Pillow's conversion to grey), one of three reads
    grey three times; else it reads its channels in `network_order`.

    `resize` scales to (height, width), or with 'stretch' to what the network reads; a number, the shorter side, keeps
    the proportions, as 'letterbox' does: this is the largest size that the network holds, with borders of `fill` (a
    number as frames have them). `crop` takes what the network reads from the centre of what is larger. `method`
    'linear', 'cubic' or 'nearest' is OpenCV's of that name in float32, without rounding back to bytes; 'linear' and
    'cubic' with `antialias` are Pillow's.

    Then numbers are (x · scale − mean) / std, where mean and std are numbers or one for each channel of the network, in
    its order. `scale` is 1/255 for uint8, 1/65535 for uint16 and 1 for floats, if it is not given.

    What is wrong with it is told where it meets an input, with its name.
    """

    size: Sequence[int] | None = None
    layout: str = "NHWC"
    dtype: str = UINT8.name
    order: str | None = None
    resize: Sequence[int] | int | str | None = None
    crop: bool = False
    method: str = "linear"
    antialias: bool = False
    fill: float = 0.0
    scale: float | None = None
    mean: PerChannel = 0.0
    std: PerChannel = 1.0
    network_order: str = "RGB"

    def __post_init__(self) -> None:
        """Sequences as tuples of Python's numbers: equal images then have equal texts, which keep every digit."""
        for name in ("size", "resize", "scale", "mean", "std", "fill"):
            value = getattr(self, name)
            value = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
            plain = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
            object.__setattr__(self, name, plain)

    @property
    def open(self) -> bool:
        """Whether frames may have any size."""
        return self.size is None and (self.resize is not None or self.crop)

    def checked(self) -> None:
        """Raise CnnccError for what no network could take."""
        _one_of("layout", self.layout, (*LAYOUTS, *(layout[1:] for layout in LAYOUTS)))
        _one_of("dtype", self.dtype, [element.name for element in FULL_SCALE])
        if self.order is not None:
            _one_of("order", self.order, ORDERS)
        _one_of("method", self.method, METHODS)
        _one_of("network_order", self.network_order, ("RGB", "BGR"))
        for flag in ("crop", "antialias"):
            if not isinstance(getattr(self, flag), bool):
                raise ModelError(f"{flag} {getattr(self, flag)!r}: expected True or False")
        if self.size is not None:
            _pair(self.size, "size")
        self._check_resize()

    def _check_resize(self) -> None:
        if isinstance(self.resize, str):
            if self.resize not in (STRETCH, LETTERBOX):
                known = f"a number, {STRETCH!r} or {LETTERBOX!r}"
                raise ModelError(f"resize {self.resize!r}: expected (height, width), {known}")
        elif isinstance(self.resize, tuple):
            _pair(self.resize, "resize")
        elif self.resize is not None:
            whole(self.resize, "resize")
        if isinstance(self.fill, bool) or not isinstance(self.fill, int | float) or not math.isfinite(self.fill):
            raise ModelError(f"fill {self.fill!r}: expected a finite number")
        if self.fill and self.resize != LETTERBOX:
            raise ModelError(f"fill {self.fill!r} belongs to resize='{LETTERBOX}', which alone makes borders")
        if self.antialias and self.method == "nearest":
            raise ModelError("antialias belongs to the methods 'linear' and 'cubic'")

    @property
    def planes(self) -> str:
        """The layout with N."""
        return self.layout if self.layout.startswith("N") else f"N{self.layout}"

    @property
    def channels_last(self) -> bool:
        return self.planes == "NHWC"

    def channels(self, network: int) -> tuple[str, int]:
        """Order and number of the channels of frames, for a network that reads so many. Raises ModelError."""
        if network not in (1, 3):
            raise ModelError(f"the network reads {network} channels, and frames have one or three")
        order = self.order or ("GRAY" if network == 1 else "RGB")
        count = 1 if order == "GRAY" else len(order)
        if self.planes == "NHW" and count != 1:
            raise ModelError(f"layout {self.layout!r} has no channels, and order {order!r} has {count}")
        return order, count

    def scaling(self, channels: int) -> Scaling | None:
        """The numbers for each channel of the network. Raises ModelError."""
        if self.scale is None:
            means = self.mean if isinstance(self.mean, tuple) else (self.mean,)
            if self.dtype.startswith("u") and any(isinstance(mean, int | float) and abs(mean) > 1 for mean in means):
                raise ModelError(
                    f"mean {self.mean!r} is beyond 0…1, where frames of {self.dtype} are after scaling: "
                    "scale=1 leaves their numbers as they are"
                )
        scale = FULL_SCALE[ELEMENTS[self.dtype]] if self.scale is None else self.scale
        return scaling_of(scale, self.mean, self.std, channels)

    def resized(self, frame: Size, network: Size) -> Size:
        """The size that frames are scaled to."""
        if self.resize is None:
            return frame
        if self.resize == STRETCH:
            return network
        if self.resize == LETTERBOX:
            scale = min(Fraction(has, is_) for is_, has in zip(frame, network, strict=True))
            height, width = (max(1, math.floor(side * scale + Fraction(1, 2))) for side in frame)
        elif isinstance(self.resize, int):
            height, width = (side * self.resize // min(frame) for side in frame)
        else:
            height, width = _pair(self.resize, "resize")
        return height, width

    def borders(self, frame: Size, network: Size) -> tuple[tuple[int, int], ...]:
        """Rows and columns to add before and after the scaled frame, or, below 0, to take away. Raises ModelError."""
        made = self.resized(frame, network)
        for has, wanted in zip(made, network, strict=True):
            if (has > wanted and not self.crop) or (has < wanted and self.resize != LETTERBOX):
                told = f"frames of {_told(frame)} pixels" + (f", scaled to {_told(made)}," if made != frame else "")
                cut = ", and crop takes the centre of what is larger" if has > wanted else ""
                raise ModelError(
                    f"{told} do not fit the network, which reads {_told(network)}: "
                    f"resize 'stretch' or 'letterbox' scales them{cut}"
                )
        return tuple(_sides(wanted - has) for has, wanted in zip(made, network, strict=True))

    def resampling(self, made: Size) -> Resize:
        """The layer that scales to a size."""
        if self.method == "nearest":
            return Resize(made, coordinates="asymmetric", nearest="floor")
        keys = -0.5 if self.antialias else -0.75
        alike = {"cubic": keys, "antialias": self.antialias, "exclude_outside": self.antialias}
        return Resize(made, mode=self.method, **alike)  # type: ignore[arg-type]


def _sides(more: int) -> tuple[int, int]:
    """Before and after: of an odd border the smaller half first, as detectors have it; a crop begins at half of what
    is left over, rounded to even, as torchvision's does.
    """
    first = more // 2 if more > 0 else -round(Fraction(-more, 2))
    return first, more - first


def _told(size: Size) -> str:
    return f"{size[1]}×{size[0]}"


def _pair(value: Any, what: str) -> Size:
    given = wholes(value, what)
    if len(given) != 2:
        raise ModelError(f"{what} {value!r}: expected (height, width)")
    return given[0], given[1]


def _one_of(what: str, value: Any, known: Sequence[str]) -> None:
    if not isinstance(value, str) or value not in known:
        raise ModelError(f"{what} {value!r}: expected {', '.join(map(repr, known))}")
