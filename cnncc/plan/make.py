"""The planner from top to bottom."""

from __future__ import annotations

from dataclasses import replace

from ..ir import Graph
from ..target import Target
from . import memory, schedule, shards
from .depend import with_barriers
from .homes import Homes
from .layout import Layout
from .lower import lower
from .options import PlanOptions
from .place import Placement
from .plan import Interface, Plan, most_shards
from .saved import refuse_unknown
from .shuffle import shuffles_as_tables


def make_plan(graph: Graph, target: Target, options: PlanOptions | None = None, *, strict: bool = False) -> Plan:
    """The plan of an optimised graph for a target; `strict` allows only algorithms that round as one sum does.

    Raises UsageError for choices from a file that do not fit it.
    """
    options = options or PlanOptions()
    works = shuffles_as_tables(lower(graph))
    frugal = options.streaming == "chains"
    limit = 1.0 if frugal else options.border_limit
    layout = Layout(works, target, dict(options.choices), limit, strict=strict, frugal=frugal)
    homes = Homes(layout, limit, options.streaming)
    placement = Placement(homes)
    staged = schedule.schedule(placement.steps, homes.buffers, homes.links, target)
    stages, useful_shards = staged.stages, most_shards(target)
    staged.steps = shards.with_pieces(staged.steps, stages, target)
    if options.sharing == "cost":
        stages = shards.divided(stages, staged.steps, staged.buffers, target)
        staged.buffers = shards.with_own_buffers(stages, staged.steps, staged.buffers)
    lives = schedule.lives(staged, "arena")
    free = with_barriers(stages, staged.steps, staged.buffers, placed=False)
    places, arena_bytes = memory.assign(memory.to_barriers(lives, [stage.barrier for stage in free]))
    ring_places, ring_bytes = memory.assign(schedule.lives(staged, "ring"))
    used = {view.buffer for step in staged.steps for view in step.views}
    used.update(table for step in staged.steps for table in step.tables)
    buffers = {
        name: replace(buffer, place={**places, **ring_places}.get(name, buffer.place))
        for name, buffer in staged.buffers.items()
        if name in used or buffer.space in ("input", "output")
    }
    inputs = tuple(
        Interface(name, type, works.batchable and works.batched[name]) for name, type in graph.inputs.items()
    )
    outputs = tuple(Interface(name, graph.type(value), works.batchable) for name, value in graph.outputs.items())
    images = next((port.type.shape[0] for port in inputs if port.batched and port.type.rank), 1)
    stages = list(with_barriers(stages, staged.steps, buffers))
    if options.sharing == "cost":
        useful_shards = shards.useful(stages, staged.steps, target)
    plan = Plan(
        graph.name,
        target,
        inputs,
        outputs,
        images,
        works.batchable,
        buffers,
        tuple(staged.steps),
        tuple(stages),
        homes.block.bytes(),
        arena_bytes,
        memory.lower_bound(lives),
        ring_bytes,
        useful_shards,
        layout.choices.offers,
        works.fixed,
    )
    if options.source:
        refuse_unknown(plan, options)
    return plan
