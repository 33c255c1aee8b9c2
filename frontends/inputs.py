"""Inputs of a model: tensors as they are, or pictures that the compiled code converts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..batching import with_one_more
from ..elements import FLOAT32, UINT8, VALUES, Element
from ..errors import ModelError, ShapeError, caller_location
from ..ir import Builder, Value
from ..op import Op
from ..ops import Div, ImageToTensor, Mul, Sub
from ..types import TensorType
from .arguments import checked_name, located, whole, wholes
from .symbols import Tensor

_LAYOUTS = {rank: (f"NC{axes}", f"N{axes}C") for rank, axes in ((3, "W"), (4, "HW"), (5, "DHW"))}

PerChannel = float | Sequence[float]

LARGEST_MEAN = 3.0  # in units of std: beyond it, x · scale / std − mean / std would cancel and is computed in steps


@dataclass(frozen=True)
class Scaling:
    """(x · scale − mean) / std, with a mean and a std for each channel."""

    scale: float
    means: tuple[float, ...]
    stds: tuple[float, ...]

    @property
    def cancels(self) -> bool:
        return any(abs(mean) > LARGEST_MEAN * abs(std) for mean, std in zip(self.means, self.stds, strict=True))

    @property
    def factor(self) -> tuple[float, ...]:
        return tuple(self.scale / std for std in self.stds)

    @property
    def shift(self) -> tuple[float, ...]:
        return tuple(-mean / std for mean, std in zip(self.means, self.stds, strict=True))


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
            self._scaling = _scaling(scale, mean, std, self.arriving, self._conversion.channels_last)
            plain = self.arriving.dtype is not UINT8 and self._conversion == ImageToTensor() and not self._scaling
            self.plain = plain
            self.counts = batch is not None
            super().__init__(self._logical(self.arriving), more=self._logical(self._more()))

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
        value, scaling = builder.input(self.name, self.arriving, self.where), self._scaling
        if self.plain:
            return value
        if scaling is not None and scaling.cancels and self.arriving.dtype.is_float:
            return self._spelled_out(builder, value, scaling)
        vectors = [] if scaling is None else [("factor", scaling.factor), ("shift", scaling.shift)]
        known = [builder.constant(np.asarray(data), f"{self.name}.{role}", self.where) for role, data in vectors]
        return builder.add(self._conversion, [value, *known], f"{self.name}.tensor", self.where)[0]

    def _spelled_out(self, builder: Builder, value: Value, scaling: Scaling) -> Value:
        """Layers for the layout and for each step of the scaling."""
        per_channel = (-1, *(1,) * (self.arriving.rank - 2))
        if self._conversion != ImageToTensor():
            (value,) = builder.add(self._conversion, [value], f"{self.name}.planes", self.where)
        steps: list[tuple[Op, str, str, Sequence[float]]] = [
            (Mul(), "scale", "scaled", (scaling.scale,)),
            (Sub(), "mean", "centred", scaling.means),
            (Div(), "std", "tensor", scaling.stds),
        ]
        for op, role, label, numbers in steps[scaling.scale == 1.0 :]:
            known = builder.constant(np.reshape(numbers, per_channel), f"{self.name}.{role}", self.where)
            (value,) = builder.add(op, [value, known], f"{self.name}.{label}", self.where)
        return value

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


def _scaling(scale: Any, mean: Any, std: Any, type: TensorType, channels_last: bool) -> Scaling | None:
    """The numbers for each channel, in float64; None if they change nothing."""
    if (scale, mean, std) == (1.0, 0.0, 1.0):
        return None
    if type.rank < 2:
        raise ShapeError(f"scale, mean and std need channels, {type} has none")
    channels = type.shape[type.rank - 1 if channels_last else 1]
    (factor,) = set(_numbers(scale, "scale", 1))
    means, stds = _numbers(mean, "mean", channels), _numbers(std, "std", channels)
    if 0.0 in stds:
        raise ModelError(f"std {std!r}: expected no 0, since it divides")
    return Scaling(factor, means, stds)


def _numbers(value: Any, what: str, channels: int) -> tuple[float, ...]:
    """One finite number for each channel."""
    given = tuple(value) if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str) else (value,)
    for number in given:
        if isinstance(number, bool) or not isinstance(number, int | float | np.floating | np.integer):
            raise ModelError(
                f"{what} {value!r}: expected a number{'' if channels == 1 else ' or one for each channel'}"
            )
        if not math.isfinite(number):
            raise ModelError(f"{what} {value!r}: expected finite numbers")
    if len(given) not in (1, channels):
        raise ModelError(f"{what} {value!r} has {len(given)} numbers for {channels} channels")
    return tuple(map(float, given)) * (channels if len(given) == 1 else 1)
