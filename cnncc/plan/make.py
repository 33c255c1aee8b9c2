"""The planner: a list of phases, each of which computes one result from earlier results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..elements import FLOAT32, Element
from ..ir import Graph
from ..machine.target import Target
from .borders import with_borders
from .bufferization import bufferize, state_offsets
from .depend import with_barriers
from .image_blocks import in_blocks
from .image_sums import images_last
from .image_tiles import in_image_tiles, settled
from .interleave import interleaved_apart
from .jobs import Layout, needed
from .layout import lay_out
from .lower import LoweredGraph, lower
from .memory import Arena, arena
from .minimise import least_memory_plan
from .once import once_first
from .options import PlanOptions
from .phases import phases_as_outputs
from .place import Placed, place
from .plan import Interface, Plan, Schedule, StateInterface, most_shards
from .recompute import recomputed
from .rows import rows_as_positions
from .saved import refuse_unknown
from .schedule import streamed, with_shares
from .shuffle import shuffles_as_tables
from .stage_partition import divided, useful, with_pieces
from .stream import links, rings_of_one_row
from .sweeps import swept
from .updates import updated_in_place


@dataclass(frozen=True)
class Phase:
    """One part of planning: `run` computes the result `name` from the earlier results `reads`.

    Before the first phase there are 'graph', 'target', 'options', 'strict', 'weights' and 'earlier'. A phase changes
    nothing that it reads.
    """

    name: str
    run: Callable[..., Any]
    reads: tuple[str, ...]
    reason: str


def make_plan(
    graph: Graph,
    target: Target,
    options: PlanOptions | None = None,
    *,
    strict: bool = False,
    weights: Element = FLOAT32,
    earlier: Sequence[Plan] = (),
) -> Plan:
    """The plan of an optimised graph for a target; `strict` allows only algorithms that round as one sum does.

    `weights` is what those of contractions are stored as. The block of weights goes on with that of the `earlier` plans
    (see `block_after`). Raises UsageError for choices from a file that do not fit it, ModelError for weights that
    cannot be stored so.
    """
    found = _given(graph, target, options, strict, weights, earlier)
    options = found["options"]
    plan = _least_memory_plan(found) if options.streaming == "memory" else _planned(found, PHASES)
    if options.source:
        refuse_unknown(plan, options)
    return plan


def results_until(
    phase: str, graph: Graph, target: Target, options: PlanOptions | None = None, *, strict: bool, weights: Element
) -> dict[str, Any]:
    """The results, by name, of all phases up to that one, which `make_plan` does not keep: for who explains a plan."""
    found = _given(graph, target, options, strict, weights)
    for each in PHASES:
        found[each.name] = each.run(*(found[name] for name in each.reads))
        if each.name == phase:
            break
    return found


def _given(
    graph: Graph,
    target: Target,
    options: PlanOptions | None,
    strict: bool,
    weights: Element,
    earlier: Sequence[Plan] = (),
) -> dict[str, Any]:
    """What there is before the first phase."""
    return {
        "graph": graph,
        "target": target,
        "options": options or PlanOptions(),
        "strict": strict,
        "weights": weights,
        "earlier": earlier,
    }


def _planned(found: dict[str, Any], phases: Sequence[Phase]) -> Plan:
    """The plan, by some phases, each of which adds to what was found."""
    for phase in phases:
        found[phase.name] = phase.run(*(found[name] for name in phase.reads))
    plan: Plan = found["plan"]
    return plan


def _least_memory_plan(found: dict[str, Any]) -> Plan:
    """The plan with the links that take the least memory: the phases behind 'links' run for each try."""
    at = next(number for number, phase in enumerate(PHASES) if phase.name == "links")
    for phase in PHASES[: at + 1]:
        found[phase.name] = phase.run(*(found[name] for name in phase.reads))
    low = rings_of_one_row(found["updates"], found["links"])
    return least_memory_plan(found["links"], low, lambda links: _planned({**found, "links": links}, PHASES[at + 1 :]))


def chains(placed: Placed, target: Target, options: PlanOptions) -> Schedule:
    """The schedule: one stage for each step, or for the steps of a chain."""
    return streamed(placed.steps, placed.buffers, placed.links, target, by_need=options.save_memory)


def first_barriers(schedule: Schedule) -> Schedule:
    """The schedule with the barriers that it needs if no two buffers share memory."""
    return with_barriers(schedule, placed=False)


def division(schedule: Schedule, target: Target, options: PlanOptions) -> Schedule:
    """The schedule, with some stages run by one shard or replicated, if the options allow it."""
    return divided(schedule, target) if options.sharing == "cost" else schedule


def barriers(arena: Arena) -> Schedule:
    """The schedule with the barriers that it needs in this arena."""
    return settled(with_barriers(arena.schedule))


def useful_shards(schedule: Schedule, target: Target, options: PlanOptions) -> int:
    """The number of shards that are worth starting."""
    return useful(schedule, target) if options.sharing == "cost" else most_shards(target)


def assembled(
    graph: Graph,
    target: Target,
    works: LoweredGraph,
    layout: Layout,
    placed: Placed,
    arena: Arena,
    s: Schedule,
    shards: int,
) -> Plan:
    """The plan: the results that code generation needs."""
    batchable = works.batchable
    inputs = tuple(Interface(name, type, batchable and works.batched[name]) for name, type in graph.inputs.items())
    outputs = tuple(
        Interface(name, graph.type(value), batchable and name not in works.own) for name, value in graph.outputs.items()
    )
    offsets, state_bytes = state_offsets(graph.states, target)
    states = tuple(StateInterface(name, type, offsets[name]) for name, type in graph.states.items())
    images = next((port.type.shape[0] for port in inputs if port.batched and port.type.rank), 1)
    return Plan(
        graph.name,
        target,
        inputs,
        outputs,
        images,
        batchable,
        s.buffers,
        s.steps,
        s.stages,
        placed.weights,
        arena.nbytes,
        arena.bound,
        arena.shard_bytes,
        shards,
        layout.offers,
        works.fixed,
        stored_narrower(layout),
        s.block,
        states,
        state_bytes,
    )


def stored_narrower(layout: Layout) -> dict[str, Element]:
    """The layers whose weights are not stored as float32 (see `Plan.stored`)."""
    kernels = ((job.work.name, job.kernel) for job in layout.jobs)
    return {name: kernel.weights for name, kernel in kernels if kernel and kernel.weights is not FLOAT32}


PHASES: tuple[Phase, ...] = (
    Phase(
        "lowered",
        lower,
        ("graph",),
        "ops say what they compute, in six kinds of computation; all that follows knows these and no ops",
    ),
    Phase(
        "recomputed",
        recomputed,
        ("lowered", "target"),
        "element-wise values are computed where they are read, if that costs no time and no memory; first, since all "
        "that follows counts readers and steps",
    ),
    Phase(
        "rows",
        rows_as_positions,
        ("recomputed",),
        "rows of a matrix that arrive together share loads of weights as positions of one image; before kernels are "
        "chosen, and before the moves around them are seen",
    ),
    Phase(
        "tables",
        shuffles_as_tables,
        ("rows",),
        "a shuffle of channels is a table of indices, not a copy; first, because kernels are chosen for what they read",
    ),
    Phase(
        "phases",
        phases_as_outputs,
        ("tables", "target", "options"),
        "phases of a transposed convolution that read the same points are one contraction, where that is cheaper; "
        "before its kernel is chosen",
    ),
    Phase(
        "layout",
        lay_out,
        ("phases", "target", "options", "strict", "weights"),
        "an algorithm for each contraction decides in which order tensors lie, and so which copies stand between them",
    ),
    Phase(
        "needed",
        needed,
        ("layout",),
        "copies and pieces that no output needs are left out, before they count as readers",
    ),
    Phase(
        "phases apart",
        interleaved_apart,
        ("needed", "options"),
        "elements that would be stored one by one, since parts alternate along the innermost axis, are moved together; "
        "after layout, which orders axes",
    ),
    Phase(
        "swept",
        swept,
        ("phases apart",),
        "reductions of the same fibres and the expressions around them are one job; after layout, which makes copies",
    ),
    Phase(
        "image sums",
        images_last,
        ("swept",),
        "shards share a sum over a batch by its images; after sweeps, which take together what reads one fibre",
    ),
    Phase(
        "updates",
        updated_in_place,
        ("image sums",),
        "a state is updated as soon as nobody reads it as it was; after sweeps, which take jobs together",
    ),
    Phase(
        "links",
        links,
        ("updates", "options"),
        "chains of layers that run a few rows at a time; before bufferization, since a ring of rows has no border",
    ),
    Phase(
        "buffers",
        bufferize,
        ("updates", "links"),
        "a part that is computed inside its whole need not be copied",
    ),
    Phase(
        "bufferization",
        with_borders,
        ("buffers", "options"),
        "a buffer brings the border that windows read, where that is cheaper; after all that says who touches it",
    ),
    Phase(
        "steps",
        place,
        ("bufferization", "earlier", "options"),
        "a kernel on views for each job, in order; weights are packed in the order in which steps read them",
    ),
    Phase(
        "chains",
        chains,
        ("steps", "target", "options"),
        "links whose views allow it become rings; from here on stages are known",
    ),
    Phase(
        "partitions",
        with_shares,
        ("chains", "target"),
        "what shards divide: rows or blocks of outputs; after chains, whose steps are always divided by rows",
    ),
    Phase(
        "aligned partitions",
        with_pieces,
        ("partitions", "target"),
        "a step that divides rows as the step before it does needs no barrier; before barriers are counted",
    ),
    Phase(
        "once",
        once_first,
        ("aligned partitions", "tables", "target", "options"),
        "what depends on no image is computed once a call; before barriers, which depend on the order of the stages",
    ),
    Phase(
        "image tiles",
        in_image_tiles,
        ("once", "target"),
        "where all images exceed the caches, neighbours that divide them compute a few at a time; after partitions, "
        "and before barriers, which depend on orders",
    ),
    Phase(
        "first barriers",
        first_barriers,
        ("image tiles",),
        "the barriers that any arena needs: what the division may save, and until when the arena keeps buffers",
    ),
    Phase(
        "division",
        division,
        ("first barriers", "target", "options"),
        "a stage that is shorter than a barrier is left to one shard, or replicated, which takes memory of each shard; "
        "so before the arena",
    ),
    Phase(
        "blocks",
        in_blocks,
        ("division", "tables", "target", "options"),
        "layers bound by their weights compute several images of a call at once; buffers around them then have a piece "
        "for each image, so before the arena",
    ),
    Phase(
        "arena",
        arena,
        ("blocks", "target"),
        "buffers whose live ranges do not overlap share memory; after all that makes or moves a buffer",
    ),
    Phase(
        "schedule",
        barriers,
        ("arena",),
        "barriers once more, because stages whose buffers share memory depend on each other as well",
    ),
    Phase(
        "shards",
        useful_shards,
        ("schedule", "target", "options"),
        "the number of shards beyond which a run gets no faster, all barriers counted",
    ),
    Phase(
        "plan",
        assembled,
        ("graph", "target", "phases", "phases apart", "steps", "arena", "schedule", "shards"),
        "code generation sees the result, and nothing of how it was found",
    ),
)
"""The phases in the order in which they run."""
