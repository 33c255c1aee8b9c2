"""The function of a step: its kernel on its views, for rows [a, b), or for images [a, b)."""

from __future__ import annotations

from ..plan.plan import Plan, Step
from .emitter import Emitter
from .kernels import KERNELS, Tensors
from .memory import Access
from .registers import POINTER


def step_function(e: Emitter, plan: Plan, number: int, step: Step, images: int = 1) -> str:
    """The function of a step, or of a step that computes several images; equal kernels are emitted once."""
    views = step.views
    tables = step.tables
    parameters = [(POINTER, f"b{index}") for index in range(len(views))]
    parameters += [(POINTER, f"t{index}") for index in range(len(tables))]
    parameters += [(e.index_type, "a"), (e.index_type, "b")]
    if e.checked:
        parameters.append((POINTER, "fault"))
    with e.function("kernel", parameters, internal=True) as values:
        bases, (*pointers, a, b) = values[: len(views)], values[len(views) : len(views) + len(tables) + 2]
        fault = values[-1] if e.checked else None
        named = dict(zip(tables, pointers, strict=True))
        accesses = []
        for view, base in zip(views, bases, strict=True):
            looked_up = {axis: named[table] for axis, table in view.lookups}
            entries = {axis: plan.entries(table) for axis, table in view.lookups}
            buffer = plan.buffer(view)
            if buffer.space != "weights":
                buffer = buffer.of_images(images)
            accesses.append(Access(e, view, base, buffer, looked_up, fault, number, entries))
        own, operands = accesses[: step.kernel.sources], accesses[step.kernel.sources : len(step.sources)]
        target, *scratch = accesses[len(step.sources) :]
        emitter = KERNELS[type(step.kernel)](e, step.kernel, Tensors(own, operands, target, scratch))
        if step.by_images:
            emitter.images = a, b
            emitter.emit(0, step.kernel.units(step.target))
        else:
            emitter.emit(a, b)
        e.ret()
    return e.share_function("kernel")
