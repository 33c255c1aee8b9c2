"""Inputs of a model: tensors as they are, or pictures that the compiled code converts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..batching import with_one_more
from ..elements import FLOAT32, UINT8, VALUES, Element
from ..errors import ModelError, ShapeError, caller_location
from ..ir import Builder, Value
from ..ops import ImageToTensor
from ..types import TensorType
from .arguments import checked_name, located, whole, wholes
from .scaling import PerChannel, Scaling, converted, scaling_of
from .symbols import Tensor

_LAYOUTS = {rank: (f"NC{axes}", f"N{axes}C") for rank, axes in ((3, "W"), (4, "HW"), (5, "DHW"))}


class Input(Tensor):
    """A tensor that the caller of the compiled model provides.

    `shape` is without N, the number of images, which is `batch`; with `batch=None` the shape is complete
    (weights that arrive at run time). The caller's array has this shape, in `layout` 'NCHW' or 'NHWC' (for other
    ranks 'NCW', 'NWC', 'NCDHW', 'NDHWC') and of `dtype` 'float32', 'uint8', 'int32', 'int64' or 'bool'. Of floats and
    bytes, layers always see (N, C, spatial…) in float32, that is (x · scale − mean) / std, where mean and std are
    numbers or one for each channel; the conversion is compiled in: as one multiply-add, or for floats whose mean is
    large beside std as it stands here, so that the difference keeps its digits (a byte is known to half a unit, which
    is far more). The others arrive as they are.

    A camera's picture is `nn.Input((H, W, 3), layout="NHWC", dtype="uint8", scale=1 / 255)`.

    Raises ShapeError for a shape that is no tuple of positive numbers, ModelError for other wrong arguments.
    """

    def __init__(
        self,
        shape: Sequence[int],
        name: str = "input",
        *,
        batch: int | None = 1,
        layout: str | None = None,
        dtype: str = FLOAT32.name,
        scale: float = 1.0,
        mean: PerChannel = 0.0,
        std: PerChannel = 1.0,
    ):
        self.where = caller_location()
        self.name = checked_name(name, self.where)
        with located(None, self.where):
            images = () if batch is None else (whole(batch, "batch"),)
            self.arriving = TensorType(images + wholes(shape, "shape"), _dtype(dtype))
            self._conversion = ImageToTensor(_channels_last(layout, self.arriving.rank))
            self._scaling = self._scaled(scale, mean, std)
            plain = self.arriving.dtype is not UINT8 and self._conversion == ImageToTensor() and not self._scaling
            self.plain = plain
            self.counts = batch is not None
            super().__init__(self._logical(self.arriving), more=self._logical(self._more()))

    def _scaled(self, scale: float, mean: PerChannel, std: PerChannel) -> Scaling | None:
        """Raises ShapeError for numbers that would change a tensor without channels."""
        type = self.arriving
        channels = type.shape[-1 if self._conversion.channels_last else 1] if type.rank > 1 else 1
        scaling = scaling_of(scale, mean, std, channels)
        if scaling is not None and type.rank < 2:
            raise ShapeError(f"scale, mean and std need channels, {type} has none")
        return scaling

    def _logical(self, arriving: TensorType) -> TensorType:
        return arriving if self.plain else self._conversion.infer(arriving)[0]

    def _more(self) -> TensorType:
        """The input's type with one image more; None if their number is fixed."""
        try:
            return with_one_more(self.arriving) if self.counts else self.arriving
        except ShapeError:  # more than a tensor may hold
            return self.arriving

    def place(self, builder: Builder) -> Value:
        """Add the input to a graph, with the conversion after it; its last layer is 'NAME.tensor'."""
        value = builder.input(self.name, self.arriving, self.where)
        if self.plain:
            return value
        return converted(builder, value, self._conversion, self._scaling, self.name, self.where)

    def __repr__(self) -> str:
        return f"Input({self.arriving}, name={self.name!r})"


def _dtype(name: Any) -> Element:
    known = {element.name: element for element in VALUES}
    if not isinstance(name, str) or name not in known:
        raise ModelError(f"dtype {name!r}: expected {' or '.join(map(repr, known))}")
    return known[name]


def _channels_last(layout: Any, rank: int) -> bool:
    if layout is None:
        return False
    known = list(_LAYOUTS.get(rank, ()))
    if layout not in known:
        expected = f"expected {' or '.join(map(repr, known))}" if known else "such a tensor has none"
        raise ModelError(f"layout {layout!r} of a tensor of {rank} axes: {expected}")
    return bool(layout == known[1])
