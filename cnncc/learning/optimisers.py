"""Optimisers: what a parameter becomes, as an expression of it, its gradient, and states of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

from ..errors import UsageError
from ..expr import Arg, sqrt, unary
from ..ir import Value
from .arguments import expect_decay, expect_rate, expect_share
from .net import Net


class Optimiser(Protocol):
    """An optimiser with its usual rate; the rate of each step is an input of it."""

    @property
    def rate(self) -> float: ...

    def prepare(self, net: Net) -> tuple[Value, ...]:
        """What all parameters share in a step."""

    def update(
        self, net: Net, name: str, weights: Value, gradient: Value, rate: Value, shared: tuple[Value, ...]
    ) -> None:
        """Add what updates one parameter, called `name`, and its states."""


@dataclass(frozen=True)
class SGD:
    """weights − rate · m, with m = momentum · m + gradient; with `nesterov`, gradient + momentum · m in its place.

    `decay` · weights is added to the gradient of what has two axes or more (Sutskever and others, 2013).
    """

    rate: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    decay: float = 0.0

    def __post_init__(self) -> None:
        expect_rate(self.rate)
        expect_share("momentum", self.momentum)
        expect_decay(self.decay)
        if self.nesterov and not self.momentum:
            raise UsageError("nesterov=True needs a momentum")

    def prepare(self, net: Net) -> tuple[Value, ...]:
        return ()

    def update(
        self, net: Net, name: str, weights: Value, gradient: Value, rate: Value, shared: tuple[Value, ...]
    ) -> None:
        slope = gradient
        if self.decay and len(net.shape(weights)) > 1:
            slope = net.expression(Arg(0) + self.decay * Arg(1), gradient, weights, like=weights)
        if self.momentum:
            held = net.state(f"{name}.momentum", net.shape(weights))
            mean = net.expression(self.momentum * Arg(0) + Arg(1), held, slope, like=weights)
            net.update(held, mean)
            if self.nesterov:
                slope = net.expression(Arg(0) + self.momentum * Arg(1), slope, mean, like=weights)
            else:
                slope = mean
        net.update(weights, net.expression(Arg(0) - Arg(2) * Arg(1), weights, slope, rate, like=weights))


@dataclass(frozen=True)
class AdamW:
    """weights − rate · (m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε) + decay · weights), the decay for two axes or more.

    m and v are running means of the gradient and of its square (Kingma and Ba, 2015; Loshchilov and Hutter, 2019).
    """

    rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    decay: float = 0.01

    def __post_init__(self) -> None:
        expect_rate(self.rate)
        expect_share("beta1", self.beta1)
        expect_share("beta2", self.beta2)
        expect_decay(self.decay)
        if not 0 < self.epsilon < math.inf:
            raise UsageError(f"epsilon={self.epsilon!r}: expected a positive number")

    def prepare(self, net: Net) -> tuple[Value, ...]:
        """1 / (1 − βᵗ) for both; a float counts the steps t exactly up to 2²⁴, where βᵗ is 0 long since."""
        count = net.state("adam.steps")
        steps = net.expression(Arg(0) + 1, count, like=count)
        net.update(count, steps)
        logs = (math.log(beta) if beta else -math.inf for beta in (self.beta1, self.beta2))
        return tuple(net.expression(-1 / unary("expm1", Arg(0) * max(log, -100.0)), steps, like=steps) for log in logs)

    def update(
        self, net: Net, name: str, weights: Value, gradient: Value, rate: Value, shared: tuple[Value, ...]
    ) -> None:
        shape, decay = net.shape(weights), self.decay if len(net.shape(weights)) > 1 else 0.0
        mean, square = net.state(f"{name}.mean", shape), net.state(f"{name}.square", shape)
        now = net.expression(Arg(0) + (1 - self.beta1) * (Arg(1) - Arg(0)), mean, gradient, like=weights)
        spread = Arg(0) + (1 - self.beta2) * (Arg(1) * Arg(1) - Arg(0))
        squares = net.expression(spread, square, gradient, like=weights)
        net.update(mean, now)
        net.update(square, squares)
        way = Arg(1) * Arg(4) / (sqrt(Arg(2) * Arg(5)) + self.epsilon)
        step = Arg(3) * (way + decay * Arg(0) if decay else way)
        net.update(weights, net.expression(Arg(0) - step, weights, now, squares, rate, *shared, like=weights))


def with_rate(optimiser: Optimiser, rate: float) -> Optimiser:
    """The optimiser with another rate. Raises UsageError."""
    expect_rate(rate)
    changed: Any = replace(cast("Any", optimiser), rate=rate)
    return cast("Optimiser", changed)


OPTIMISERS: Mapping[str, Optimiser] = {"sgd": SGD(momentum=0.9), "adamw": AdamW()}


def optimiser_of(given: str | Optimiser) -> Optimiser:
    """An optimiser, or that of a name. Raises UsageError for an unknown one."""
    if not isinstance(given, str):
        if not hasattr(given, "update") or not hasattr(given, "prepare"):
            raise UsageError(f"optimiser={given!r}: expected a name, or an object such as learn.SGD(0.05)")
        return given
    if given not in OPTIMISERS:
        names = " or ".join(map(repr, OPTIMISERS))
        raise UsageError(f"unknown optimiser '{given}': expected {names}, or an object such as learn.SGD(0.05)")
    return OPTIMISERS[given]
