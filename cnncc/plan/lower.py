"""Graph → works: the pieces of every op, on tensors of one image, with fused stages folded into epilogues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..allowance import charge
from ..batching import images_of
from ..computation import Arrangement, Computation, Contraction, Interleave, Piece, Pointwise, WindowReduction
from ..expr import RUNNING, Arg, Call, Expr, Number, evaluate, substitute
from ..ir import Graph, Node, Value
from ..op import Constant
from ..ops import Fused
from ..types import Array, TensorType


@dataclass(frozen=True)
class Operand:
    """A tensor that an epilogue reads, aligned to the work's own result by `dims` (see Pointwise)."""

    tensor: str
    dims: tuple[int, ...]


@dataclass
class Work:
    """One computation to be planned: tensors by name, and what follows in registers."""

    name: str
    computation: Computation
    operands: list[str]
    result: str
    before: Expr = RUNNING
    pool: WindowReduction | None = None
    after: Expr = RUNNING
    extras: list[Operand] = field(default_factory=list)

    @property
    def plain(self) -> bool:
        """Nothing follows."""
        return self.before == RUNNING and self.pool is None

    @property
    def reads(self) -> list[str]:
        """Its operands, and those of its epilogue."""
        return [*self.operands, *(extra.tensor for extra in self.extras)]


@dataclass(frozen=True)
class Works:
    """All works of a graph in order.

    `types` holds the shape of each tensor in one run of the program (one image, if batchable), `constants`
    what is known at compile time (in float64 where it was computed). `fixed` tells why it is not batchable.
    """

    works: list[Work]
    types: dict[str, TensorType]
    constants: dict[str, Array]
    inputs: dict[str, str]
    outputs: dict[str, str]
    batched: Mapping[str, bool]
    batchable: bool
    fixed: str = ""

    @property
    def makers(self) -> dict[str, Work]:
        """The work behind each tensor that is computed."""
        return {work.result: work for work in self.works}

    @property
    def readers(self) -> dict[str, list[Work]]:
        """The works that read each tensor, each once."""
        found: dict[str, list[Work]] = {}
        for work in self.works:
            for tensor in dict.fromkeys(work.reads):
                found.setdefault(tensor, []).append(work)
        return found


def tensor_name(value: Value) -> str:
    return value.node if value.index == 0 else f"{value.node}:{value.index}"


def lower(graph: Graph) -> Works:
    """The works of an optimised graph."""
    images = images_of(graph)
    inputs = {name: name for name in graph.inputs}
    outputs = {name: tensor_name(value) for name, value in graph.outputs.items()}
    result = Works([], {}, {}, inputs, outputs, images.batched or {}, images.batched is not None, images.fixed)
    for node in graph:
        if isinstance(node.op, Constant):
            result.constants[node.name] = node.op.data
            result.types[node.name] = node.types[0]
        elif node.op.source == "input":
            type = node.types[0]
            one = result.batchable and result.batched[node.name]
            result.types[node.name] = TensorType((1, *type.shape[1:]), type.dtype) if one else type
        else:
            _lower_node(node, result)
    return result


def _lower_node(node: Node, result: Works) -> None:
    names = [tensor_name(value) for value in node.inputs]
    if isinstance(node.op, Fused):
        _lower_fused(node, node.op, names, result)
        return
    lowering = node.op.lower(*(result.types[name] for name in names))
    finals = {reference: tensor_name(value) for reference, value in zip(lowering.results, node.values, strict=True)}
    _add_pieces(node.name, lowering.pieces, names, finals, result)


def _add_pieces(
    name: str, pieces: Sequence[Piece], inputs: Sequence[str], finals: Mapping[int, str], result: Works
) -> list[str]:
    """A work for each piece; returns the tensors of all references."""
    tensors = list(inputs)
    for number, piece in enumerate(pieces, start=len(inputs)):
        tensor = finals.get(number, f"{name}#{number - len(inputs)}")
        operands = [tensors[operand] for operand in piece.operands]
        result.types[tensor] = piece.type
        tensors.append(tensor)
        if all(operand in result.constants for operand in operands) and foldable(piece.computation):
            result.constants[tensor] = _fold(piece.computation, operands, piece.type, result)
        else:
            result.works.append(Work(name, piece.computation, operands, tensor))
    return tensors


def foldable(computation: Computation) -> bool:
    """Whether it is computed now where its operands are known (the passes fold the rest)."""
    return isinstance(computation, Pointwise | Arrangement)


def _fold(computation: Computation, operands: Sequence[str], type: TensorType, result: Works) -> Array:
    """A piece whose operands are all known, computed now, in float64."""
    charge(8 * type.size, f"a constant {type}, computed when compiling,")
    arrays = [result.constants[operand] for operand in operands]
    if isinstance(computation, Arrangement):
        return computation.arrange(arrays, type.shape)
    assert isinstance(computation, Pointwise)
    arguments = []
    for array, dims in zip(arrays, computation.dims, strict=True):
        shape = [1] * type.rank
        for axis, dim in enumerate(dims):
            shape[dim] = array.shape[axis]
        arguments.append(array.astype(np.float64).reshape(shape))
    return np.broadcast_to(evaluate(computation.expr, arguments), type.shape).copy()


def _lower_fused(node: Node, fused: Fused, names: Sequence[str], result: Works) -> None:
    """The anchor's work with the stages as its epilogue, or further works where an epilogue cannot hold them."""
    own, *extras = fused.split(names)
    begin = len(result.works)
    lowering = fused.anchor.lower(*(result.types[name] for name in own))
    final = tensor_name(node.values[0])
    tensors = _add_pieces(node.name, lowering.pieces, own, {}, result)
    running = tensors[lowering.results[0]]
    for number, (stage, others) in enumerate(zip(fused.epilogue, extras, strict=True)):
        arguments = stage.arguments(running, others)
        pieces = stage.op.lower(*(result.types[name] for name in arguments))
        label = f"{node.name}.{number + 1}"
        *earlier, last = pieces.pieces
        # What a stage prepares (scale and shift of a batch norm) stands before the works that take it up.
        before = result.works[begin:]
        del result.works[begin:]
        tensors = _add_pieces(label, earlier, arguments, {}, result)
        result.works.extend(before)
        operands = [tensors[operand] for operand in last.operands]
        if before and before[-1].result == running and _absorb(before[-1], last, operands, running):
            del result.types[running]
            before[-1].result = running = f"{label}#{len(earlier)}"
            result.types[running] = last.type
        elif not _absorb_interleaved(before, last, operands, running, result.types):
            finals = {len(operands): f"{label}#{len(earlier)}"}
            running = _add_pieces(label, [_renumber(last)], operands, finals, result)[-1]
    _rename(result, begin, running, final)


def _renumber(piece: Piece) -> Piece:
    """The piece on exactly its own operands."""
    return Piece(piece.computation, tuple(range(len(piece.operands))), piece.type)


def _rename(result: Works, begin: int, old: str, new: str) -> None:
    """Give a tensor that a work from number `begin` on makes another name."""
    for work in result.works[begin:]:
        if work.result == old:
            work.result = new
    if old in result.constants:
        result.constants[new] = result.constants.pop(old)
    result.types[new] = result.types.pop(old)


def _absorb(work: Work, piece: Piece, operands: Sequence[str], running: str) -> bool:
    """Take a stage into the epilogue of `work`, if it fits there."""
    computation = piece.computation
    if isinstance(computation, WindowReduction):
        rank = len(computation.window)
        if work.pool or rank > 2 or not isinstance(work.computation, Contraction):
            return False
        work.pool = computation
        if computation.combine in ("maximum", "minimum"):
            work.before, work.after = _clamped(work.before)  # after the pool there is less to clamp
        return True
    if not isinstance(computation, Pointwise):
        return False
    if isinstance(work.computation, Pointwise):
        return _compose(work, work.computation, computation, operands, running)
    if not isinstance(work.computation, Contraction):
        return False
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
    works: Sequence[Work], piece: Piece, operands: Sequence[str], running: str, types: Mapping[str, TensorType]
) -> bool:
    """Take a point-wise stage into the epilogues of the works whose results, interleaved, are the running value.

    Its other operands must not run along an interleaved axis, so that each of the works may read them whole.
    """
    computation = piece.computation
    parts, axes = _interleaved({work.result: work for work in works}, running)
    able = [part for part in parts if part and isinstance(part.computation, Contraction | Pointwise)]
    if not axes or not isinstance(computation, Pointwise) or len(able) < len(parts):
        return False
    for tensor, dims in zip(operands, computation.dims, strict=True):
        along = {dim for dim, size in zip(dims, types[tensor].shape, strict=True) if size > 1}
        if tensor != running and along & axes:
            return False
    for part in able:
        _absorb(part, piece, [part.result if tensor == running else tensor for tensor in operands], part.result)
    return True


def _interleaved(makers: Mapping[str, Work], tensor: str) -> tuple[list[Work | None], set[int]]:
    """The works whose results are interleaved to `tensor` (None where it is a known one), and along which axes."""
    work = makers.get(tensor)
    if work is None or not isinstance(work.computation, Interleave):
        return [work], set()
    found = [_interleaved(makers, operand) for operand in work.operands]
    axes = {work.computation.axis}.union(*(inner for _, inner in found))
    return [part for parts, _ in found for part in parts], axes


def _clamped(expr: Expr) -> tuple[Expr, Expr]:
    """(what `expr` clamps, how it clamps the running value): maxima and minima with numbers, outermost.

    Clamping rises with its argument, so it may change places with a maximum or minimum of several.
    """
    if isinstance(expr, Call) and expr.function in ("maximum", "minimum"):
        value, limit = expr.arguments
        if isinstance(limit, Number):
            inner, outer = _clamped(value)
            return inner, Call(expr.function, (outer, limit))
    return expr, RUNNING


def _compose(work: Work, first: Pointwise, second: Pointwise, operands: Sequence[str], running: str) -> bool:
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
