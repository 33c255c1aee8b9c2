"""Graph → lowered ops: the computations of every op, on tensors of one image, with fused ops in epilogues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..allowance import charge
from ..batching import images_of
from ..computation import (
    Arrangement,
    Computation,
    ComputationNode,
    Contraction,
    Indexed,
    Interleave,
    Pointwise,
    WindowReduction,
)
from ..expr import RUNNING, Arg, Expr, substitute
from ..ir import Graph, Node, Value
from ..meaning import pointwise
from ..op import Constant
from ..ops import Fused
from ..ops.elementwise import widened
from ..types import Array, EmptyType, TensorType
from . import tensors
from .tensors import Tensor


@dataclass(frozen=True)
class Operand:
    """A tensor that an epilogue reads, aligned to the lowered op's own result by `dims` (see Pointwise)."""

    tensor: Tensor
    dims: tuple[int, ...]


@dataclass
class LoweredOp:
    """One computation to be planned, its tensors, and its epilogue in registers."""

    name: str
    computation: Computation
    operands: list[Tensor]
    result: Tensor
    before: Expr = RUNNING
    pool: WindowReduction | None = None
    after: Expr = RUNNING
    extras: list[Operand] = field(default_factory=list)

    @property
    def plain(self) -> bool:
        """Whether the epilogue is empty."""
        return self.before == RUNNING and self.pool is None

    @property
    def reads(self) -> list[Tensor]:
        """Its operands, and those of its epilogue."""
        return [*self.operands, *(extra.tensor for extra in self.extras)]


@dataclass(frozen=True)
class LoweredGraph:
    """All lowered ops of a graph in order.

    `types` holds the shape of each tensor in one run of the program (one image, if batchable), `constants`
    what is known at compile time (in float64 where it was computed), `coefficients` those of them that are no constants
    of the graph's, nor made of such, but an op's own numbers. `fixed` tells why it is not batchable. Values without
    elements are left out; `places` are the numbers of all outputs, and `own` the names of those that are the same for
    all images. `states` are the states as they were before the call, `updates` what some of them become.
    """

    works: list[LoweredOp]
    types: dict[Tensor, TensorType]
    constants: dict[Tensor, Array]
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    places: dict[str, int]
    batched: Mapping[str, bool]
    batchable: bool
    fixed: str = ""
    coefficients: set[Tensor] = field(default_factory=set)
    own: frozenset[str] = frozenset()
    states: Mapping[str, Tensor] = field(default_factory=dict)
    updates: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def arriving(self) -> set[Tensor]:
        """The tensors that lie in the caller's memory before the call."""
        return {*self.inputs.values(), *self.states.values()}

    @property
    def leaving(self) -> set[Tensor]:
        """The tensors that have to get into the caller's memory."""
        return {*self.outputs.values(), *self.updates.values()}

    @property
    def makers(self) -> dict[Tensor, LoweredOp]:
        """The lowered op that computes each tensor."""
        return {work.result: work for work in self.works}

    @property
    def readers(self) -> dict[Tensor, list[LoweredOp]]:
        """The lowered ops that read each tensor, each once."""
        found: dict[Tensor, list[LoweredOp]] = {}
        for work in self.works:
            for tensor in dict.fromkeys(work.reads):
                found.setdefault(tensor, []).append(work)
        return found


def lower(graph: Graph) -> LoweredGraph:
    """The lowered ops of an optimised graph."""
    images = images_of(graph)
    inputs = {name: tensors.value(Value(name)) for name in graph.inputs}
    outputs = {name: tensors.value(value) for name, value in graph.outputs.items() if graph.type(value).size}
    places = {name: place for place, name in enumerate(graph.outputs)}
    batchable = images.batched is not None
    states = {name: tensors.value(Value(name)) for name in graph.states}
    updates = {name: tensors.value(value) for name, value in graph.updates.items() if value != Value(name)}
    result = LoweredGraph(
        [],
        {},
        {},
        inputs,
        outputs,
        places,
        images.batched or {},
        batchable,
        images.fixed,
        own=images.own,
        states=states,
        updates=updates,
    )
    for node in graph:
        if isinstance(node.types[0], EmptyType):
            continue
        if isinstance(node.op, Constant):
            result.constants[tensors.value(Value(node.name))] = node.op.data
            result.types[tensors.value(Value(node.name))] = node.types[0]
        elif node.op.source == "state":
            result.types[states[node.name]] = node.types[0]
        elif node.op.source == "input":
            type = node.types[0]
            one = result.batchable and result.batched[node.name]
            result.types[inputs[node.name]] = type.shaped((1, *type.shape[1:])) if one else type
        else:
            _lower_node(node, result)
    return result


def _lower_node(node: Node, result: LoweredGraph) -> None:
    names = [tensors.value(value) for value in node.inputs]
    if isinstance(node.op, Fused):
        _lower_fused(node, node.op, names, result)
        return
    lowering = node.lowering(tuple(result.types[name] for name in names))
    finals = {reference: tensors.value(value) for reference, value in zip(lowering.results, node.values, strict=True)}
    _add_pieces(node.name, 0, lowering.pieces, names, finals, result)


def _add_pieces(
    node: str,
    stage: int,
    pieces: Sequence[ComputationNode],
    inputs: Sequence[Tensor],
    finals: Mapping[int, Tensor],
    result: LoweredGraph,
) -> list[Tensor]:
    """A lowered op for each computation of a node's op, or of an op fused into it; returns all tensors by reference."""
    found = list(inputs)
    for number, piece in enumerate(pieces):
        tensor = finals.get(len(found), tensors.piece(node, stage, number))
        operands = [found[operand] for operand in piece.operands]
        result.types[tensor] = piece.type
        found.append(tensor)
        if all(operand in result.constants for operand in operands) and foldable(piece.computation):
            result.constants[tensor] = _fold(piece.computation, operands, piece.type, result)
            if result.coefficients.issuperset(operands):
                result.coefficients.add(tensor)
        else:
            result.works.append(LoweredOp(tensors.stage_name(node, stage), piece.computation, operands, tensor))
    return found


def foldable(computation: Computation) -> bool:
    """Whether it is computed now if its operands are constant (the passes fold the other kinds)."""
    return isinstance(computation, Pointwise | Arrangement | Indexed)


def _fold(computation: Computation, operands: Sequence[Tensor], type: TensorType, result: LoweredGraph) -> Array:
    """A piece whose operands are all known, computed now; floats in float64."""
    charge(8 * type.size, f"a constant {type}, computed when compiling,")
    arrays = [result.constants[operand] for operand in operands]
    if isinstance(computation, Arrangement):
        return computation.arrange(arrays, type.shape)
    if isinstance(computation, Indexed):
        return computation.apply(arrays, type.shape)
    assert isinstance(computation, Pointwise)
    return pointwise(computation, [widened(array) for array in arrays], type.shape)


def _lower_fused(node: Node, fused: Fused, names: Sequence[Tensor], result: LoweredGraph) -> None:
    """The anchor with the fused ops as its epilogue, or further lowered ops where an epilogue cannot hold them."""
    own, *extras = fused.split(names)
    begin = len(result.works)
    lowering = fused.anchor.lower(*(result.types[name] for name in own))
    found = _add_pieces(node.name, 0, lowering.pieces, own, {}, result)
    running = found[lowering.results[0]]
    for number, (stage, others) in enumerate(zip(fused.epilogue, extras, strict=True), start=1):
        arguments = stage.arguments(running, others)
        pieces = stage.op.lower(*(result.types[name] for name in arguments))
        *earlier, last = pieces.pieces
        # What a fused op prepares (scale and shift of a batch norm) stands before the lowered ops that read it.
        before = result.works[begin:]
        del result.works[begin:]
        found = _add_pieces(node.name, number, earlier, arguments, {}, result)
        result.works.extend(before)
        operands = [found[operand] for operand in last.operands]
        made = tensors.piece(node.name, number, len(earlier))
        if before and before[-1].result == running and _absorb(before[-1], last, operands, running):
            del result.types[running]
            before[-1].result = running = made
            result.types[running] = last.type
        elif not _absorb_interleaved(before, last, operands, running, result.types):
            running = _add_pieces(node.name, number, [_renumber(last)], operands, {len(operands): made}, result)[-1]
    _rename(result, begin, running, tensors.value(node.values[0]))


def _renumber(piece: ComputationNode) -> ComputationNode:
    """The computation with its operands numbered 0, 1, 2, …"""
    return ComputationNode(piece.computation, tuple(range(len(piece.operands))), piece.type)


def _rename(result: LoweredGraph, begin: int, old: Tensor, new: Tensor) -> None:
    """Rename a tensor that a lowered op from number `begin` on makes."""
    for work in result.works[begin:]:
        if work.result == old:
            work.result = new
    if old in result.constants:
        result.constants[new] = result.constants.pop(old)
    result.types[new] = result.types.pop(old)


def _absorb(work: LoweredOp, piece: ComputationNode, operands: Sequence[Tensor], running: Tensor) -> bool:
    """Add a fused op to the epilogue of `work`, if it fits there; returns whether it did."""
    computation = piece.computation
    if isinstance(computation, WindowReduction):
        return isinstance(work.computation, Contraction) and _absorb_pool(work, computation)
    if not isinstance(computation, Pointwise):
        return False
    if isinstance(work.computation, Pointwise):
        return _compose(work, work.computation, computation, operands, running)
    return isinstance(work.computation, Contraction) and _absorb_pointwise(work, computation, operands, running)


def _absorb_pool(work: LoweredOp, pool: WindowReduction) -> bool:
    """Add one pool over at most two axes to an epilogue."""
    if work.pool or len(pool.window) > 2:
        return False
    work.pool = pool
    return True


def _absorb_pointwise(work: LoweredOp, computation: Pointwise, operands: Sequence[Tensor], running: Tensor) -> bool:
    """Add an expression to an epilogue; its operands besides the running value become `extras`."""
    arguments: dict[int, Expr] = {}
    for number, (tensor, dims) in enumerate(zip(operands, computation.dims, strict=True)):
        if tensor == running:
            arguments[number] = work.after if work.pool else work.before
        else:
            work.extras.append(Operand(tensor, dims))
            arguments[number] = Arg(len(work.extras))
    expr = substitute(computation.expr, arguments)
    if work.pool:
        work.after = expr
    else:
        work.before = expr
    return True


def _absorb_interleaved(
    works: Sequence[LoweredOp],
    piece: ComputationNode,
    operands: Sequence[Tensor],
    running: Tensor,
    types: Mapping[Tensor, TensorType],
) -> bool:
    """Add a point-wise op to the epilogues of the lowered ops whose results, interleaved, are the running value.

    Its other operands must not run along an interleaved axis, so that each epilogue can read them whole.
    """
    computation = piece.computation
    parts, axes = _interleaved({work.result: work for work in works}, running)
    able = [part for part in parts if part and isinstance(part.computation, Contraction | Pointwise)]
    if not axes or not isinstance(computation, Pointwise) or len(able) < len(parts):
        return False
    if _reads_along(axes, computation, operands, running, types):
        return False
    for part in able:
        _absorb(part, piece, [part.result if tensor == running else tensor for tensor in operands], part.result)
    return True


def _reads_along(
    axes: set[int],
    computation: Pointwise,
    operands: Sequence[Tensor],
    running: Tensor,
    types: Mapping[Tensor, TensorType],
) -> bool:
    """Whether an operand besides the running value has several elements along some of the axes."""
    others = ((types[t].shape, dims) for t, dims in zip(operands, computation.dims, strict=True) if t != running)
    return any(dim in axes and size > 1 for shape, dims in others for dim, size in zip(dims, shape, strict=True))


def _interleaved(makers: Mapping[Tensor, LoweredOp], tensor: Tensor) -> tuple[list[LoweredOp | None], set[int]]:
    """The lowered ops whose results are interleaved to `tensor` (None for a constant part), and along which axes."""
    work = makers.get(tensor)
    if work is None or not isinstance(work.computation, Interleave):
        return [work], set()
    found = [_interleaved(makers, operand) for operand in work.operands]
    axes = {work.computation.axis}.union(*(inner for _, inner in found))
    return [part for parts, _ in found for part in parts], axes


def _compose(work: LoweredOp, first: Pointwise, second: Pointwise, operands: Sequence[Tensor], running: Tensor) -> bool:
    """Two expressions in one: the second reads the first's result from registers."""
    arguments: dict[int, Expr] = {}
    dims = list(first.dims)
    for number, (tensor, own) in enumerate(zip(operands, second.dims, strict=True)):
        if tensor == running:
            arguments[number] = first.expr
        else:
            arguments[number] = Arg(len(work.operands))
            work.operands.append(tensor)
            dims.append(own)
    work.computation = Pointwise(substitute(second.expr, arguments), tuple(dims))
    return True
