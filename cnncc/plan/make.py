"""The planner from top to bottom."""

from __future__ import annotations

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
    s = schedule.streamed(placement.steps, homes.buffers, homes.links, target)
    s = shards.with_pieces(schedule.with_shares(s, target), target)
    s = with_barriers(s, placed=False)
    if options.sharing == "cost":
        s = shards.divided(s, target)
    arena = memory.arena(s)
    s = with_barriers(arena.schedule)
    inputs = tuple(
        Interface(name, type, works.batchable and works.batched[name]) for name, type in graph.inputs.items()
    )
    outputs = tuple(Interface(name, graph.type(value), works.batchable) for name, value in graph.outputs.items())
    images = next((port.type.shape[0] for port in inputs if port.batched and port.type.rank), 1)
    useful_shards = shards.useful(s, target) if options.sharing == "cost" else most_shards(target)
    plan = Plan(
        graph.name,
        target,
        inputs,
        outputs,
        images,
        works.batchable,
        s.buffers,
        s.steps,
        s.stages,
        homes.block.bytes(),
        arena.nbytes,
        arena.bound,
        arena.shard_bytes,
        useful_shards,
        layout.choices.offers,
        works.fixed,
    )
    if options.source:
        refuse_unknown(plan, options)
    return plan
