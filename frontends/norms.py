"""Normalisation layers, each with a scale and a shift as parameters, and PReLU."""

from __future__ import annotations

import math

import numpy as np

from .. import ops
from ..errors import ShapeError
from ..op import Op
from ..types import Array, TensorType
from .arguments import located, whole
from .layers import OneResult, zeros
from .symbols import Spec


def ones(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.ones(shape)


def quarters(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.full(shape, 0.25)


class _Norm(OneResult):
    """The base class of normalisations. Parameters: scale and bias, one number of each for a channel."""

    def __init__(self, epsilon: float = 1e-5, name: str | None = None):
        super().__init__(name)
        if isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or not 0 <= epsilon < math.inf:
            message = f"epsilon {epsilon!r}: expected a finite number of at least 0"
            raise ShapeError(message, node=self.shown, where=self.where)
        self.epsilon = float(epsilon)

    def specify(self, *types: TensorType) -> dict[str, Spec]:
        shape = self.scaled(types[0])
        return {"scale": Spec(shape, ones), "bias": Spec(shape, zeros)}

    def scaled(self, x: TensorType) -> tuple[int, ...]:
        """Shape of scale and bias."""
        return x.shape[1:2] or (1,)


class BatchNorm(_Norm):
    """Batch normalisation with stored statistics, or with `batch_statistics` with those of the images of a call.

    Parameters: scale, bias and, where they are stored, mean and variance, each (C,).
    """

    kind = "norm"

    def __init__(self, epsilon: float = 1e-5, name: str | None = None, *, batch_statistics: bool = False):
        super().__init__(epsilon, name)
        self.batch_statistics = bool(batch_statistics)

    def operation(self, *types: TensorType) -> Op:
        if self.batch_statistics:
            return ops.BatchStandardization(self.epsilon)
        return ops.BatchNormalization(self.epsilon)

    def specify(self, *types: TensorType) -> dict[str, Spec]:
        specs, shape = super().specify(*types), self.scaled(types[0])
        if self.batch_statistics:
            return specs
        return specs | {"mean": Spec(shape, zeros), "variance": Spec(shape, ones)}


class InstanceNorm(_Norm):
    """Normalises each channel of each image by its own mean and variance."""

    kind = "norm"

    def operation(self, *types: TensorType) -> Op:
        return ops.InstanceNormalization(self.epsilon)


class GroupNorm(_Norm):
    """Normalises each of `groups` equal groups of channels of each image by its own mean and variance."""

    kind = "norm"

    def __init__(self, groups: int, epsilon: float = 1e-5, name: str | None = None):
        super().__init__(epsilon, name)
        with located(self.shown, self.where):
            self.groups = whole(groups, "groups")

    def operation(self, *types: TensorType) -> Op:
        return ops.GroupNormalization(self.groups, self.epsilon)


class LayerNorm(_Norm):
    """Normalises all axes from `axis` on together; scale and bias have the shape of these axes."""

    kind = "norm"

    def __init__(self, axis: int = -1, epsilon: float = 1e-5, name: str | None = None):
        super().__init__(epsilon, name)
        with located(self.shown, self.where):
            self.axis = whole(axis, "axis", least=None)

    def operation(self, *types: TensorType) -> Op:
        return ops.LayerNormalization(self.axis, self.epsilon)

    def scaled(self, x: TensorType) -> tuple[int, ...]:
        return x.shape[self.axis :] if -x.rank <= self.axis < x.rank else (1,)


class PReLU(OneResult):
    """x where it is positive, slope · x elsewhere. Parameter: slope, one for each channel."""

    kind = "prelu"

    def operation(self, *types: TensorType) -> Op:
        return ops.PRelu()

    def specify(self, *types: TensorType) -> dict[str, Spec]:
        (x,) = types
        return {"slope": Spec((*x.shape[1:2], *(1,) * (x.rank - 2)), quarters)}
