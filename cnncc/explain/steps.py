"""The reasons of single steps of a plan: what they do, what they move, and what bounds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from ..elements import Element
from ..expr import Expr
from ..plan.kernels import Kernel
from ..plan.plan import Plan, Stage, Step
from ..plan.text import border_words, roles_of, view_order
from ..plan.traffic import moved_bytes, step_traffic
from ..plan.views import View
from . import limits
from .reasons import StepReasons, ViewReasons

HIDDEN = ("window", "epilogue", "bias")
"""Fields of kernels that are told in other words."""


class StepTeller:
    """Tells of the steps of one plan."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.traffic = step_traffic(plan, lambda distance: limits.level(plan.target, distance))
        self.stages = {number: at for at, stage in enumerate(plan.stages) for number in stage.steps}

    def reasons(self, number: int, cycles: float) -> StepReasons:
        """All about the step of a number, for which a cost model says so many cycles.

        Estimates for steps without candidates are rough, and no step takes less than what bounds it.
        """
        plan, step, traffic = self.plan, self.plan.steps[number], self.traffic[number]
        multiplied = step.kernel.multiplied(step.target)
        bounds = limits.bounds(plan.target, multiplied, traffic)
        sources = tuple(dict.fromkeys(step.sources))
        stage = self.stages[number]
        return StepReasons(
            number,
            step.name,
            step.kernel.describe(),
            parameters(step.kernel),
            stage,
            step.macs,
            multiplied,
            sum(moved_bytes(plan, step, view) for view in sources),
            moved_bytes(plan, step, step.target),
            traffic,
            bounds,
            max(bounds, key=lambda name: bounds[name]),
            max(cycles, *bounds.values()),
            step.units,
            step.partitions,
            shared(plan.stages[stage], step),
            tuple(self.views(step)),
            plan.buffer(step.scratch).nbytes if step.scratch else 0,
            sum(moved_bytes(plan, step, view) for view in sources if plan.buffer(view).space == "weights"),
        )

    def views(self, step: Step) -> list[ViewReasons]:
        """What a step reads, then what it writes."""
        roles = roles_of(step)
        found = []
        for role, view in [*zip(roles, step.sources, strict=True), ("result", step.target)]:
            border = border_words(self.plan, step, view) if roles and role == roles[0] else ""
            found.append(self.view(step, role, view, border.removeprefix("; ")))
        return found

    def view(self, step: Step, role: str, view: View, border: str) -> ViewReasons:
        buffer = self.plan.buffer(view)
        order = view_order(view) if view.rank > 1 else ""
        size = moved_bytes(self.plan, step, view)
        return ViewReasons(role, buffer.name, buffer.space, view.shape, buffer.dtype.name, order, size, border)


def shared(stage: Stage, step: Step) -> str:
    """How the shards of a call share a step, as the end of a sentence."""
    once = "once a call, " if stage.once else ""
    if stage.single_shard:
        return f"{once}computed by one shard, since a barrier would take longer than what is saved"
    if stage.replicated:
        return f"{once}computed by every shard for itself, which takes less than a barrier"
    what = "images" if step.by_images else "rows or blocks"
    tile = f", {stage.tile.images} at a time with the steps around" if stage.tile else ""
    return f"{once}divided among shards: {step.units:,} {what} in up to {step.partitions} parts{tile}"


def parameters(kernel: Kernel) -> dict[str, str]:
    """The fields of a kernel as words, such as its tile, lanes and block; those left at their default are left out."""
    found: dict[str, str] = {}
    for field in fields(kernel):  # type: ignore[arg-type]  # kernels are frozen dataclasses
        value = getattr(kernel, field.name)
        if field.name not in HIDDEN and value != field.default and (told := words(value)):
            found[field.name] = told
    return found


def words(value: Any) -> str:
    """A parameter as a few words; nothing for what kernels compute, such as expressions and windows."""
    if isinstance(value, bool | int | float | str | Element):
        return str(value)
    if isinstance(value, tuple) and all(isinstance(part, int) for part in value):
        return "×".join(map(str, value))
    if is_dataclass(value) and not isinstance(value, Expr) and all(type(v) is int for v in vars_of(value).values()):
        return ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in vars_of(value).items() if number > 1)
    return ""


def vars_of(value: Any) -> Mapping[str, Any]:
    """The fields of a dataclass with their values."""
    return {field.name: getattr(value, field.name) for field in fields(value)}
