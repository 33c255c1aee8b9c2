"""Operations that PyTorch's export to ONNX does not have, or translates to something else, in terms of others.

Left alone, pools with a divisor of their own and batch norms that compute their statistics are exported as those
without, and their numbers are wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

Rewrite = Callable[..., Any]


def rewritten(torch: Any, program: Any) -> Any:
    """The program of `torch.export` with these operations replaced, if it has any."""
    table = rewrites(torch)
    parts = [part for part in program.graph_module.modules() if isinstance(part, torch.fx.GraphModule)]
    found = [node for part in parts for node in part.graph.nodes if node.target in table]
    return program if all(_stays(torch.ops.aten, node) for node in found) else program.run_decompositions(table)


def _stays(aten: Any, node: Any) -> bool:
    """Whether the arguments of an operation that most modules have tell that it stays: to replace others takes time."""
    if node.target is aten.batch_norm.default:
        return bool(node.args[5:6] == (False,))  # training
    pools = (aten.avg_pool2d.default, aten.avg_pool3d.default)
    return node.target in pools and len(node.args) < 7 and "divisor_override" not in node.kwargs


def rewrites(torch: Any) -> dict[Any, Rewrite]:
    """By operation; one that returns NotImplemented stays."""
    aten = torch.ops.aten

    def bound(function: Callable[..., Any], *first: Any) -> Rewrite:
        return lambda x, *given, **named: function(torch, x, *first, *given, **named)

    return {
        aten.fmax.default: bound(fmax),
        aten.fmin.default: lambda x, y: -fmax(torch, -x, -y),
        aten.hypot.default: lambda x, y: torch.sqrt(x * x + y * y),
        aten.amax.default: lambda x, dim=(), keepdim=False: NotImplemented if dim else extreme(x, "amax", keepdim),
        aten.amin.default: lambda x, dim=(), keepdim=False: NotImplemented if dim else extreme(x, "amin", keepdim),
        aten.aminmax.default: aminmax,
        aten.squeeze.dim: lambda x, dim: squeezed(x, [dim]),
        aten.squeeze.dims: squeezed,
        aten.sort.stable: lambda x, *, stable, dim=-1, descending=False: x.sort(dim, descending),
        aten.topk.default: bound(in_line, torch.topk),
        aten.scatter.src: bound(in_line, torch.scatter),
        aten.scatter.value: bound(in_line, torch.scatter),
        aten.scatter_add.default: bound(in_line, torch.scatter_add),
        aten.scatter.reduce: bound(scatter),
        aten.scatter.value_reduce: bound(scatter),
        aten.atleast_1d.Sequence: lambda tensors: [*map(torch.atleast_1d, tensors)],
        aten.atleast_2d.Sequence: lambda tensors: [*map(torch.atleast_2d, tensors)],
        aten.atleast_3d.Sequence: lambda tensors: [*map(torch.atleast_3d, tensors)],
        aten.hstack.default: lambda tensors: stacked(torch, tensors, torch.atleast_1d, 1),
        aten.vstack.default: lambda tensors: stacked(torch, tensors, torch.atleast_2d, 0),
        aten.dstack.default: lambda tensors: stacked(torch, tensors, torch.atleast_3d, 2),
        aten.column_stack.default: lambda tensors: stacked(torch, tensors, column, 1),
        aten.index_put_.default: lambda *given: NotImplemented,  # it is the next one first
        aten.index_put.default: bound(masked),
        aten.pad.default: bound(repeated),
        aten.batch_norm.default: lambda *given: NotImplemented,  # it is one of the next two first
        aten._native_batch_norm_legit_functional.default: bound(norm_and_statistics),
        aten._native_batch_norm_legit.no_stats: bound(norm_of_batch),
        aten.scaled_dot_product_attention.default: bound(attention),
        aten.avg_pool2d.default: bound(divided, 2),
        aten.avg_pool3d.default: bound(divided, 3),
        aten.adaptive_avg_pool3d.default: lambda x, sizes: adaptive(
            torch, x, sizes, lambda part, k: part.mean(k, True)
        ),
        aten.adaptive_max_pool1d.default: bound(largest),
        aten.adaptive_max_pool2d.default: bound(largest),
        aten.adaptive_max_pool3d.default: bound(largest),
    }


def extreme(x: Any, name: str, keepdim: bool) -> Any:
    """Over all axes."""
    return getattr(x, name)(list(range(x.dim())), keepdim) if x.dim() else x.clone()


def fmax(torch: Any, x: Any, y: Any) -> Any:
    return torch.where(x.isnan(), y, torch.where(y.isnan(), x, torch.maximum(x, y)))


def aminmax(x: Any, *, dim: int | None = None, keepdim: bool = False) -> Any:
    if dim is None or not x.dim():
        return extreme(x, "amin", keepdim), extreme(x, "amax", keepdim)
    return x.amin(dim, keepdim), x.amax(dim, keepdim)


def stacked(torch: Any, tensors: Sequence[Any], shaped: Callable[[Any], Any], axis: int) -> Any:
    parts = [shaped(tensor) for tensor in tensors]
    return torch.cat(parts, min(axis, parts[0].dim() - 1))


def column(x: Any) -> Any:
    return x.reshape(-1, 1) if x.dim() < 2 else x


def squeezed(x: Any, axes: Sequence[int]) -> Any:
    """Without those of the axes that are of size 1; the others stay."""
    gone = {axis % max(1, x.dim()) for axis in axes}
    return x.reshape([size for axis, size in enumerate(x.shape) if axis not in gone or size != 1])


def in_line(torch: Any, x: Any, operation: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """What is along an axis, for a scalar: as for a line of one element."""
    if x.dim():
        return NotImplemented
    others = [each.reshape(-1) if isinstance(each, torch.Tensor) else each for each in given]
    found = operation(x.reshape(1), *others, **named)
    return found.reshape(()) if isinstance(found, torch.Tensor) else tuple(each.reshape(()) for each in found)


def scatter(torch: Any, x: Any, dim: int, index: Any, source: Any, *, reduce: str) -> Any:
    kind = {"add": "sum", "multiply": "prod"}.get(reduce)
    if kind is None:
        return NotImplemented
    source = source if isinstance(source, torch.Tensor) else torch.full_like(index, source, dtype=x.dtype)
    if x.dim():
        return x.scatter_reduce(dim, index, source, kind)
    return x.reshape(1).scatter_reduce(0, index.reshape(-1), source.reshape(-1), kind).reshape(())


def masked(torch: Any, x: Any, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Any:
    """`x[mask] = values`, where these are the same for all places of the mask."""
    mask = indices[0] if len(indices) == 1 else None
    if mask is None or mask.dtype is not torch.bool or values.dim() > x.dim() - mask.dim():
        return NotImplemented
    mask = mask.reshape(*mask.shape, *(1 for _ in range(x.dim() - mask.dim())))
    return torch.where(mask, x + values if accumulate else values, x)


def repeated(torch: Any, x: Any, pads: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """Borders that repeat the last element; negative ones take elements away after that, in ONNX before."""
    if mode != "replicate" or min(pads) >= 0:
        return NotImplemented
    for place in range(0, len(pads), 2):
        axis = x.dim() - 1 - place // 2
        indices = torch.arange(-pads[place], x.shape[axis] + pads[place + 1])
        x = x.index_select(axis, indices.clamp(0, x.shape[axis] - 1))
    return x


def standardised(torch: Any, x: Any, weight: Any, bias: Any, epsilon: float) -> tuple[Any, Any, Any]:
    """A batch norm that computes its statistics: the result, means, and sums of squares less the means, by channel."""
    axes = [axis for axis in range(x.dim()) if axis != 1]
    shape = [1, x.shape[1], *(1 for _ in axes[1:])]
    mean = x.mean(axes, True)
    centred = x - mean
    squares = (centred * centred).sum(axes)
    y = centred / torch.sqrt(squares.reshape(shape) * (x.shape[1] / x.numel()) + epsilon)
    y = y if weight is None else y * weight.reshape(shape)
    return y if bias is None else y + bias.reshape(shape), mean.flatten(), squares


def norm_of_batch(
    torch: Any, x: Any, weight: Any, bias: Any, training: bool, momentum: float, epsilon: float
) -> tuple[Any, ...]:
    """As one without running statistics does, also in its eval form."""
    y, mean, squares = standardised(torch, x, weight, bias, epsilon)
    return y, mean, torch.rsqrt(squares * (x.shape[1] / x.numel()) + epsilon)


def norm_and_statistics(
    torch: Any,
    x: Any,
    weight: Any,
    bias: Any,
    mean: Any,
    variance: Any,
    training: bool,
    momentum: float,
    epsilon: float,
) -> Any:
    """In training form, which changes the running statistics."""
    if not training:
        return NotImplemented
    y, own, squares = standardised(torch, x, weight, bias, epsilon)
    count = x.numel() // x.shape[1]
    means = mean * (1 - momentum) + own * momentum
    variances = variance * (1 - momentum) + squares * (momentum / max(1, count - 1))
    return y, own, torch.rsqrt(squares / count + epsilon), means, variances


def attention(torch: Any, query: Any, key: Any, value: Any, *given: Any, **named: Any) -> Any:
    """Attention with another number of axes than 4."""
    if query.dim() == key.dim() == value.dim() == 4:
        return NotImplemented
    lead = torch.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])
    flat = [part.expand(*lead, *part.shape[-2:]).reshape(-1, 1, *part.shape[-2:]) for part in (query, key, value)]
    mask = given[0] if given else named.pop("attn_mask", None)
    if mask is not None:
        mask = mask.expand(*lead, *mask.shape[-2:]).reshape(-1, 1, *mask.shape[-2:])
    found = torch.nn.functional.scaled_dot_product_attention(*flat, mask, *given[1:], **named)
    return found.reshape(*lead, *found.shape[-2:])


def divided(
    torch: Any,
    x: Any,
    rank: int,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """The sums over the windows of an average pool, divided by a number of their own."""
    if divisor_override is None:
        return NotImplemented
    kernel, padding = (tuple(given) * (rank if len(given) == 1 else 1) for given in (kernel, padding))
    stride = tuple(stride) * (rank if len(stride) == 1 else 1) or kernel
    borders: list[int] = []
    for n, k, s, p in zip(x.shape[-rank:], kernel, stride, padding, strict=True):
        count = (n + 2 * p - k + (s - 1 if ceil_mode else 0)) // s + 1
        if ceil_mode and (count - 1) * s >= n + p:  # a window that begins behind the border
            count -= 1
        borders = [p, max(0, (count - 1) * s + k - n - p), *borders]  # of the last axis first
    pool = (torch.nn.functional.avg_pool2d, torch.nn.functional.avg_pool3d)[rank - 2]
    return pool(torch.nn.functional.pad(x, borders), kernel, stride) * (math.prod(kernel) / divisor_override)


def bins(n: int, count: int) -> list[tuple[int, int]]:
    """Where the windows of an adaptive pool begin and end on an axis."""
    return [(k * n // count, -(-(k + 1) * n // count)) for k in range(count)]


def adaptive(torch: Any, x: Any, sizes: Sequence[int], reduce: Callable[[Any, int], Any]) -> Any:
    """A reduction over the windows of an adaptive pool: along one axis after the other."""
    for axis, count in zip(range(-len(sizes), 0), sizes, strict=True):
        parts = [reduce(x.narrow(axis, low, high - low), axis) for low, high in bins(x.shape[axis], count)]
        x = torch.cat(parts, axis)
    return x


def largest(torch: Any, x: Any, sizes: Sequence[int]) -> tuple[Any, Any]:
    """The maxima over the windows of an adaptive pool, and where the first of each stands among all positions."""
    rank = len(sizes)
    places = torch.arange(math.prod(x.shape[-rank:])).reshape(x.shape[-rank:])
    windows = [(x, places)]
    for axis, count in zip(range(-rank, 0), sizes, strict=True):
        windows = [
            (part.narrow(axis, low, high - low), number.narrow(axis, low, high - low))
            for part, number in windows
            for low, high in bins(x.shape[axis], count)
        ]
    found = [number.flatten()[part.flatten(-rank).argmax(-1)] for part, number in windows]
    values = adaptive(torch, x, sizes, lambda part, axis: part.amax(axis, True))
    return values, torch.stack(found, -1).reshape(values.shape)
