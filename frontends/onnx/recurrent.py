"""LSTM, GRU and RNN as the layers of each of their steps, whose number is known when compiling.

The products with the input are one dense layer for all steps; a step then adds the product with the state before it.
With lengths of sequences, a step behind the end of a sequence keeps its state, and its output is 0; so the backward
direction begins at the end of each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ... import ops
from ...elements import INT32
from ...errors import ModelError, ShapeError
from ...ir import Value
from ...op import Op
from .call import NodeContext, Result, Tensor, Unsupported
from .sequences import concatenated

MOST_STEPS = 1000
"""Steps of all recurrent layers of a model, in all directions: each has some five to ten layers."""

DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
"""Whether each direction goes backwards."""

FUNCTIONS: dict[str, tuple[Callable[..., Op], tuple[str, ...]]] = {
    "sigmoid": (ops.Sigmoid, ()),
    "tanh": (ops.Tanh, ()),
    "relu": (ops.Relu, ()),
    "softsign": (ops.Softsign, ()),
    "softplus": (ops.Softplus, ()),
    "elu": (ops.Elu, ("alpha",)),
    "leakyrelu": (ops.LeakyRelu, ("alpha",)),
    "thresholdedrelu": (ops.ThresholdedRelu, ("alpha",)),
    "hardsigmoid": (ops.HardSigmoid, ("alpha", "beta")),
}
"""The activations, with the lists that they take their parameters from."""

Cell = Callable[["Direction", Value, Sequence[Value], str], list[Value]]
"""The states behind a step, the output first: from the product with the input, the states before, and a prefix."""


@dataclass(frozen=True)
class Kind:
    """What differs between the operators: gates, activations, the inputs with the first states, and a step."""

    gates: int
    functions: tuple[str, ...]
    initial: tuple[int, ...]
    cell: Cell


def recurrent(call: NodeContext, kind: Kind) -> list[Tensor | None]:
    """The outputs of all steps, and the last states."""
    call.only("clip", 0.0)
    call.ignore("hidden_size", "output_sequence")
    images_first = bool(call.attribute("layout", 0))
    x = call.value(0)
    if images_first:
        x = call.add(ops.Transpose((1, 0, 2)), x, role="steps")
    backwards = directions(call)
    check(call, x, kind.gates, len(backwards))
    functions = activations(call, kind.functions * len(backwards))
    steps: list[Tensor] = []
    ends: list[list[Value]] = []
    for number, back in enumerate(backwards):
        own = functions[number * len(kind.functions) : (number + 1) * len(kind.functions)]
        one = Direction(call, number, kind.gates, own)
        made, last = one.unrolled(x, [one.state(index, x, images_first) for index in kind.initial], kind.cell, back)
        ends.append(last)
        if call.reads(0):
            steps.append(concatenated(call, made, 0, new=True, role=f"{number}.steps"))
    turned = ((2, 0, 1, 3), (1, 0, 2)) if images_first else ((), ())
    every = joined(call, steps, 1, turned[0], "all") if steps else None
    lasts = [
        joined(call, [last[k] for last in ends], 0, turned[1], f"last{k}") if call.reads(k + 1) else None
        for k in range(len(kind.initial))
    ]
    return [every, *lasts]


def directions(call: NodeContext) -> tuple[bool, ...]:
    name = call.attribute("direction", "forward").lower()
    if name not in DIRECTIONS:
        raise ModelError(f"{call.operator} with direction={name!r}, expected one of {', '.join(DIRECTIONS)}")
    return DIRECTIONS[name]


def activations(call: NodeContext, default: tuple[str, ...]) -> list[Op]:
    """Those of all directions; parameters stand in the order of the activations that have them.

    A list may be longer, as the one that the standard gives an RNN is.
    """
    names = call.attribute("activations", default)
    if len(names) < len(default):
        raise ModelError(f"{call.operator} with {len(names)} activations, expected {len(default)}")
    given: dict[str, list[float]] = {key: list(call.optional(f"activation_{key}") or ()) for key in ("alpha", "beta")}
    made = []
    for name in map(str.lower, names[: len(default)]):
        if name not in FUNCTIONS:
            raise Unsupported(f"{call.operator} with activation {name} is not supported")
        op, parameters = FUNCTIONS[name]
        made.append(op(**{key: given[key].pop(0) for key in parameters if given[key]}))
    return made


def check(call: NodeContext, x: Value, gates: int, directions: int) -> None:
    """Raise ShapeError for inputs that do not fit together, Unsupported for too many steps."""
    shape, weights, states = call.type(x).shape, call.shape(1), call.shape(2)
    fit = len(shape) == 3 and weights == (directions, gates * states[-1], shape[2])
    if not fit or states != (directions, weights[1], states[-1]):
        raise ShapeError(f"{call.operator}: weights {weights} and {states} do not fit the input {shape}")
    call.importer.steps[call.node.outputs] = shape[0] * directions  # by the node: a row may run again
    if sum(call.importer.steps.values()) > MOST_STEPS:
        raise Unsupported(
            f"{call.operator} of {shape[0] * directions} steps is not supported, where all recurrent layers together "
            f"may have {MOST_STEPS}",
            f"{call.operator} of many steps",
        )


def joined(call: NodeContext, parts: Sequence[Tensor], axis: int, order: tuple[int, ...], role: str) -> Tensor:
    """What all directions have made along a new axis, with the axes in the order that was asked for."""
    result = concatenated(call, parts, axis, new=True, role=role)
    return result if not order else call.add(ops.Transpose(order), call.layer(result, role), role=role)


class Direction:
    """One direction of a layer: its weights, and its layers, whose names have its number."""

    def __init__(self, call: NodeContext, number: int, gates: int, functions: Sequence[Op]):
        self.call, self.number, self.gates, self.functions = call, number, gates, functions
        self.hidden = call.shape(2)[-1]
        self.constants: dict[object, Value] = {}

    def add(self, op: Op, *inputs: Value, role: str) -> Value:
        return self.call.add(op, *inputs, role=f"{self.number}.{role}")

    def apply(self, function: int, x: Value, role: str) -> Value:
        return self.add(self.functions[function], x, role=role)

    def part(self, index: int, first: int = 0, last: int | None = None) -> Value:
        """Rows of what an input has for this direction; constants are made once for all steps."""
        key = (index, first, last)
        if key not in self.constants:
            known = self.call.known(index)
            role = f"input{index}.{first}"
            if known is not None:
                array = np.ascontiguousarray(known[self.number][first:last])
                self.constants[key] = self.call.constant(array, f"{self.number}.{role}")
            else:
                own = self.add(ops.Gather(self.number, 0), self.call.value(index), role=f"{role}.own")
                end = self.call.type(own).shape[0] if last is None else last
                self.constants[key] = self.add(ops.Slice((first,), (end,), (0,)), own, role=role)
        return self.constants[key]

    def state(self, index: int, x: Value, images_first: bool) -> Value:
        """The state before the first step, (images, hidden): 0 without an input for it."""
        if self.call.has(index):
            return self.add(ops.Gather(self.number, 1 if images_first else 0), self.call.value(index), role=f"h{index}")
        images = self.call.type(x).shape[1]
        return self.call.constant(np.zeros((images, self.hidden), np.float32), f"{self.number}.zero{index}")

    @property
    def late(self) -> bool:
        """Whether a GRU's reset multiplies the product with the state, its bias included, in place of the state."""
        return bool(self.call.attribute("linear_before_reset", 0))

    def from_input(self, x: Value) -> Value:
        """The products of all steps with the input, plus the biases: those of the state too, but a late one."""
        steps, images, features = self.call.type(x).shape
        rows = self.gates * self.hidden
        biases = []
        if self.call.has(3):
            early = 2 * self.hidden if self.late else rows
            bias = self.part(3, rows, rows + early)
            if early < rows:
                bias = self.add(ops.Pad(((0, rows - early),)), bias, role="padded")
            biases.append(self.add(ops.Add(), self.part(3, 0, rows), bias, role="bias"))
        flat = self.add(ops.Reshape((steps * images, features)), x, role="flat")
        product = self.add(ops.Dense(), flat, self.part(1), *biases, role="products")
        return self.add(ops.Reshape((steps, images, rows)), product, role="apart")

    def from_state(self, state: Value, first: int, last: int, role: str, *biases: Value) -> Value:
        """The products of some gates with the state."""
        return self.add(ops.Dense(), state, self.part(2, first * self.hidden, last * self.hidden), *biases, role=role)

    def parts(self, x: Value, role: str) -> tuple[Value, ...]:
        """The gates of `x`."""
        count = self.call.type(x).shape[1] // self.hidden
        if count == 1:
            return (x,)
        return self.call.add_all(ops.Split((self.hidden,) * count, 1), x, role=f"{self.number}.{role}")

    def unrolled(self, x: Value, states: list[Value], cell: Cell, back: bool) -> tuple[list[Value], list[Value]]:
        """The output of each step, in their order, and the last states."""
        products = self.from_input(x)
        steps = self.call.type(x).shape[0]
        made: dict[int, Value] = {}
        for step in reversed(range(steps)) if back else range(steps):
            own = self.add(ops.Gather(step, 0), products, role=f"{step}.input")
            after = cell(self, own, states, f"{step}.")
            goes_on = self._goes_on(step, steps)
            if goes_on is None:
                states, made[step] = after, after[0]
                continue
            pairs = zip(after, states, strict=True)
            states = [self.add(ops.Where(), goes_on, new, old, role=f"{step}.kept") for new, old in pairs]
            zero = self._number(0.0)
            made[step] = self.add(ops.Where(), goes_on, after[0], zero, role=f"{step}.output")
        return [made[step] for step in range(steps)], states

    def _goes_on(self, step: int, steps: int) -> Value | None:
        """Which sequences have this step, (images, 1); None if all have it for certain."""
        if not self.call.has(4):
            return None
        known = self.call.known(4)
        if known is not None and (self.call.deciding(known) >= steps).all():
            return None
        if "lengths" not in self.constants:
            lengths = self.call.value(4)
            self.constants["lengths"] = self.add(ops.Unsqueeze((1,)), lengths, role="lengths")
        place = self.call.constant(np.array(step, INT32.numpy), f"{self.number}.{step}.place")
        return self.add(ops.Greater(), self.constants["lengths"], place, role=f"{step}.inside")

    def _number(self, value: float) -> Value:
        if value not in self.constants:
            self.constants[value] = self.call.constant(np.array(value, np.float32), f"{self.number}.number")
        return self.constants[value]

    def rest(self, share: Value, role: str) -> Value:
        """1 − share."""
        return self.add(ops.Sub(), self._number(1.0), share, role=role)


def lstm_cell(one: Direction, x: Value, states: Sequence[Value], role: str) -> list[Value]:
    """c′ = f·c + i·g and h′ = o·tanh(c′); peepholes add multiples of c to the sums of i and f, of c′ to that of o."""
    before, cell = states
    sums = one.add(ops.Add(), one.from_state(before, 0, 4, f"{role}state"), x, role=f"{role}sums")
    enter, leave, forget, new = one.parts(sums, f"{role}gates")
    enter, forget = peephole(one, enter, 0, cell, f"{role}i"), peephole(one, forget, 2, cell, f"{role}f")
    kept = one.add(ops.Mul(), one.apply(0, forget, f"{role}forget"), cell, role=f"{role}kept")
    entered = one.apply(0, enter, f"{role}enter"), one.apply(1, new, f"{role}new")
    cell = one.add(ops.Add(), kept, one.add(ops.Mul(), *entered, role=f"{role}entered"), role=f"{role}cell")
    leave = one.apply(0, peephole(one, leave, 1, cell, f"{role}o"), f"{role}leave")
    return [one.add(ops.Mul(), leave, one.apply(2, cell, f"{role}curve"), role=f"{role}h"), cell]


def peephole(one: Direction, sums: Value, gate: int, cell: Value, role: str) -> Value:
    if not one.call.has(7):
        return sums
    weights = one.part(7, gate * one.hidden, (gate + 1) * one.hidden)
    return one.add(ops.Add(), sums, one.add(ops.Mul(), cell, weights, role=f"{role}.seen"), role=f"{role}.sum")


def gru_cell(one: Direction, x: Value, states: Sequence[Value], role: str) -> list[Value]:
    """h′ = (1 − z)·n + z·h; the reset r multiplies the state, or, `linear_before_reset`, the product with it."""
    (before,) = states
    update_x, reset_x, new_x = one.parts(x, f"{role}input")
    update_h, reset_h = one.parts(one.from_state(before, 0, 2, f"{role}state"), f"{role}gates")
    update = one.apply(0, one.add(ops.Add(), update_h, update_x, role=f"{role}z"), f"{role}update")
    reset = one.apply(0, one.add(ops.Add(), reset_h, reset_x, role=f"{role}r"), f"{role}reset")
    if one.late:
        biases = [one.part(3, 5 * one.hidden, 6 * one.hidden)] if one.call.has(3) else []
        added = one.add(ops.Mul(), reset, one.from_state(before, 2, 3, f"{role}inner", *biases), role=f"{role}left")
    else:
        added = one.from_state(one.add(ops.Mul(), reset, before, role=f"{role}left"), 2, 3, f"{role}inner")
    new = one.apply(1, one.add(ops.Add(), added, new_x, role=f"{role}n"), f"{role}new")
    entered = one.add(ops.Mul(), one.rest(update, f"{role}rest"), new, role=f"{role}entered")
    return [one.add(ops.Add(), entered, one.add(ops.Mul(), update, before, role=f"{role}kept"), role=f"{role}h")]


def rnn_cell(one: Direction, x: Value, states: Sequence[Value], role: str) -> list[Value]:
    sums = one.add(ops.Add(), one.from_state(states[0], 0, 1, f"{role}state"), x, role=f"{role}sums")
    return [one.apply(0, sums, f"{role}h")]


LSTM = Kind(4, ("Sigmoid", "Tanh", "Tanh"), (5, 6), lstm_cell)
GRU = Kind(3, ("Sigmoid", "Tanh"), (5,), gru_cell)
RNN = Kind(1, ("Tanh",), (5,), rnn_cell)


def lstm(call: NodeContext) -> Result:
    call.only("input_forget", 0)
    return recurrent(call, LSTM)


def gru(call: NodeContext) -> Result:
    return recurrent(call, GRU)


def rnn(call: NodeContext) -> Result:
    return recurrent(call, RNN)
