"""Scale, mean and standard deviation of pictures, as layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import Location, ModelError
from ..ir import Builder, Value
from ..op import Op
from ..ops import Div, ImageToTensor, Mul, Sub

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
    def turned(self) -> Scaling:
        """The same for channels in the opposite order."""
        return Scaling(self.scale, self.means[::-1], self.stds[::-1])

    @property
    def factor(self) -> tuple[float, ...]:
        return tuple(self.scale / std for std in self.stds)

    @property
    def shift(self) -> tuple[float, ...]:
        return tuple(-mean / std for mean, std in zip(self.means, self.stds, strict=True))


def scaling_of(scale: Any, mean: Any, std: Any, channels: int) -> Scaling | None:
    """The numbers for each channel, in float64; None if they change nothing. Raises ModelError for wrong ones."""
    (factor,) = set(_numbers(scale, "scale", 1))
    means, stds = _numbers(mean, "mean", channels), _numbers(std, "std", channels)
    if 0.0 in stds:
        raise ModelError(f"std {std!r}: expected no 0, since it divides")
    plain = factor == 1.0 and set(means) == {0.0} and set(stds) == {1.0}
    return None if plain else Scaling(factor, means, stds)


def converted(
    builder: Builder,
    value: Value,
    conversion: ImageToTensor,
    scaling: Scaling | None,
    name: str,
    where: Location | None = None,
    *,
    whole: bool = False,
) -> Value:
    """Append what makes a tensor of a picture: one layer 'NAME.tensor', or where the mean is large beside std, and the
    numbers are neither bytes nor, as `whole` says, made of whole ones, a layer for each step of the scaling.
    """
    is_float = builder.nodes[value.node].types[value.index].dtype.is_float
    if scaling is not None and scaling.cancels and is_float and not whole:
        return _spelled_out(builder, value, conversion, scaling, name, where)
    vectors = [] if scaling is None else [("factor", scaling.factor), ("shift", scaling.shift)]
    known = [builder.constant(np.asarray(data), f"{name}.{role}", where) for role, data in vectors]
    return builder.add(conversion, [value, *known], f"{name}.tensor", where)[0]


def _spelled_out(
    builder: Builder, value: Value, conversion: ImageToTensor, scaling: Scaling, name: str, where: Location | None
) -> Value:
    """Layers for the layout and for each step of the scaling."""
    per_channel = (-1, *(1,) * (len(builder.nodes[value.node].types[value.index].shape) - 2))
    if conversion != ImageToTensor():
        (value,) = builder.add(conversion, [value], f"{name}.planes", where)
    steps: list[tuple[Op, str, str, Sequence[float]]] = [
        (Mul(), "scale", "scaled", (scaling.scale,)),
        (Sub(), "mean", "centred", scaling.means),
        (Div(), "std", "tensor", scaling.stds),
    ]
    for op, role, label, numbers in steps[scaling.scale == 1.0 :]:
        known = builder.constant(np.reshape(numbers, per_channel), f"{name}.{role}", where)
        (value,) = builder.add(op, [value, known], f"{name}.{label}", where)
    return value


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
