"""Branches and loops whose course is known at import: the nodes inside become layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ... import ops
from ...errors import ModelError, ShapeError
from ...ir import Value
from ...types import Array
from . import parameters
from .bodies import Closure
from .call import Anything, Items, NodeContext, Result, Tensor, Unsupported, whole
from .sequences import concatenated

FIX = "What decides is known when compiling if the input that it follows from is a constant (fixed=, --fix)"


def conditional(call: NodeContext) -> Result:
    """The branch that a known condition takes; its nodes become layers."""
    holds = truth(call, call.tensor(0))
    call.ignore("then_branch", "else_branch")
    return call.inline(graph(call, "then_branch" if holds else "else_branch"))


def graph(call: NodeContext, name: str) -> Closure:
    """An attribute that is a graph. Raises ModelError without."""
    if not isinstance(found := call.optional(name), Closure):
        raise ModelError(f"{call.operator} without {name}")
    return found


def truth(call: NodeContext, condition: Anything) -> bool:
    """A known condition. Raises Unsupported for one that only exists at run time."""
    if not isinstance(condition, np.ndarray):
        raise Unsupported(f"{call.operator} with a condition computed at run time is not supported", advice=FIX)
    if condition.size != 1:
        raise ModelError(f"{call.operator} with a condition of shape {condition.shape}, expected one truth value")
    return bool(call.deciding(condition).any())


def loop(call: NodeContext) -> Result:
    """As many copies of the body as the trip count says and until its condition is false.

    Raises Unsupported where either is not known. What the body returns behind the carried values is stacked along a new
    first axis.
    """
    body, most = graph(call, "body"), trips(call)
    going = truth(call, call.tensor(1)) if call.has(1) else True
    carried: list[Anything] = [call.anything(index) for index in range(2, call.count)]
    stacks: list[list[Tensor]] = [[] for _ in body.body.outputs[1 + len(carried) :]]
    done = 0
    while going and (most is None or done < most):
        results = call.inline(body, [np.array(done), np.array(True), *carried], f"{call.node.shown}.{done}.")
        if (made := complete(results, 1 + len(carried))) is None:
            return [None] * len(call.node.outputs)
        going, carried, done = truth(call, made[0]), made[1 : 1 + len(carried)], done + 1
        put(stacks, made[1 + len(carried) :])
    if not going and not call.has(1):
        raise Unsupported("Loop without a condition, with a body that has one, is not supported")
    return [*carried, *stacked(call, stacks, len(carried), [0] * len(stacks))]


def trips(call: NodeContext) -> int | None:
    """The trip count of a loop; None if there is none."""
    if not call.has(0):
        return None
    count = whole(call.deciding(call.array(0, "a trip count")), "a trip count")
    if count.size != 1:
        raise ModelError(f"Loop with a trip count of shape {count.shape}, expected a number")
    return int(count.reshape(()))


def complete(results: Sequence[Anything | None], least: int) -> list[Anything] | None:
    """The results of a body; None after a problem that is reported. Raises ModelError if they are too few."""
    if len(results) < least:
        raise ModelError(f"a body with {len(results)} outputs, expected at least {least}")
    made = [result for result in results if result is not None]
    return made if len(made) == len(results) else None


def put(stacks: Sequence[list[Tensor]], results: Sequence[Anything]) -> None:
    """Add what the body has made to what it made before."""
    for stack, result in zip(stacks, results, strict=True):
        if isinstance(result, Items):
            raise ModelError("a body that returns a sequence to be stacked")
        stack.append(result)


def scan(call: NodeContext) -> Result:
    """A copy of the body for each element of an axis. Up to opset 8 images have sequences of different lengths."""
    if call.version < 9:
        raise Unsupported(f"Scan of opset {call.version} is not supported")
    body, count = graph(call, "body"), call.required("num_scan_inputs", int)
    if not 0 < count <= call.count:
        raise ModelError(f"Scan with num_scan_inputs={count} and {call.count} inputs")
    first = call.count - count
    axes = settings(call, "scan_input_axes", count)
    backwards = settings(call, "scan_input_directions", count)
    axes = [parameters.front(axis, len(call.shape(first + k))) for k, axis in enumerate(axes)]
    lengths = [call.shape(first + k)[axis] for k, axis in enumerate(axes)]
    if any(length != lengths[0] for length in lengths):
        raise ShapeError(f"Scan over axes of {', '.join(map(str, lengths))} elements, expected as many of each")
    states: list[Anything] = [call.anything(index) for index in range(first)]
    stacks: list[list[Tensor]] = [[] for _ in body.body.outputs[first:]]
    for step in range(lengths[0]):
        places = [lengths[0] - 1 - step if back else step for back in backwards]
        parts = [part(call, first + k, axis, place) for k, (axis, place) in enumerate(zip(axes, places, strict=True))]
        results = call.inline(body, [*states, *parts], f"{call.node.shown}.{step}.")
        if (made := complete(results, first)) is None:
            return [None] * len(call.node.outputs)
        states = made[:first]
        put(stacks, made[first:])
    turned = settings(call, "scan_output_directions", len(stacks))
    stacks = [stack[::-1] if back else stack for stack, back in zip(stacks, turned, strict=True)]
    return [*states, *stacked(call, stacks, first, settings(call, "scan_output_axes", len(stacks)))]


def stacked(
    call: NodeContext, stacks: Sequence[Sequence[Tensor]], first: int, axes: Sequence[int]
) -> list[Tensor | None]:
    """What the copies of a body have made, stacked along new axes; nothing for outputs, from `first` on, that nobody
    reads."""
    return [
        concatenated(call, stack, axis, new=True, role=f"scan{k}") if call.reads(first + k) else None
        for k, (stack, axis) in enumerate(zip(stacks, axes, strict=True))
    ]


def settings(call: NodeContext, name: str, count: int) -> list[int]:
    """An attribute with a number for each of several tensors, 0 without it."""
    given = call.integers(name, (0,) * count)
    if len(given) != count:
        raise ModelError(f"{call.operator} with {len(given)} {name}, expected {count}")
    return list(given)


def part(call: NodeContext, index: int, axis: int, place: int) -> Tensor:
    """The elements of an input at a place of an axis."""
    tensor = call.tensor(index)
    if isinstance(tensor, Value):
        return call.add(ops.Gather(place, axis), tensor, role=f"{place}.part{index}")
    found: Array = call.deciding(tensor)[(slice(None),) * axis + (place,)]
    return np.asarray(found)
