"""Window arithmetic: padding, stride, dilation and output sizes, for everyone and in one place.

Along one axis, a window of `kernel` taps that are `dilation` apart starts at position
`o * stride - low` for output `o`, and the input continues with `low` fill elements before its first and
`high` after its last one. All sizes are in elements; rounding is floor: a window lies entirely inside the
padded input.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .errors import ShapeError
from .types import MAX_ELEMENTS

Padding = str | int | tuple[int | tuple[int, int], ...]


@dataclass(frozen=True)
class WindowAxis:
    """A sliding window along one axis of `size` elements."""

    size: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    low: int = 0
    high: int = 0

    @property
    def extent(self) -> int:
        """Elements from the first tap to the last, both included."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def out(self) -> int:
        """Number of window positions: floor((n + low + high - extent) / stride) + 1."""
        return (self.size + self.low + self.high - self.extent) // self.stride + 1

    def start(self, position: int) -> int:
        """Input index of the first tap of the window at `position` (negative inside the padding)."""
        return position * self.stride - self.low

    @property
    def interior(self) -> tuple[int, int]:
        """Output range [begin, end) whose windows touch no padding (possibly empty)."""
        begin = min(-(-self.low // self.stride), self.out)
        end = (self.size + self.low - self.extent) // self.stride + 1
        return begin, max(begin, min(end, self.out))

    @property
    def reach(self) -> tuple[int, int]:
        """Padding that is really read: (before the first element, after the last)."""
        last = self.start(self.out - 1) + self.extent
        return self.low, max(0, last - self.size)


def _entries(value: Any, rank: int, what: str) -> tuple[Any, ...]:
    """One value for all axes, or one for each; raises ShapeError for another number of them."""
    values = tuple(value) if isinstance(value, Sequence) else (value,) * rank
    if len(values) != rank:
        raise ShapeError(f"{what} {values} has {len(values)} entries, expected {rank} (one for each axis)")
    return values


def per_axis(value: int | Sequence[int], rank: int, what: str, least: int = 1) -> tuple[int, ...]:
    """One number for all axes, or one for each of `rank` axes; raises ShapeError otherwise."""
    if not isinstance(value, int | Sequence):
        raise ShapeError(f"{what} {value!r} is neither a whole number nor one for each axis")
    values = _entries(value, rank, what)
    for number in values:
        if not _is_count(number, least):
            raise ShapeError(f"{what} {values}: each entry must be a whole number of at least {least}")
    return values


def resolve(
    sizes: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    padding: Padding,
    ceil: bool = False,
) -> tuple[WindowAxis, ...]:
    """The window of each axis, with `padding` turned into (low, high) pairs.

    `padding` is 'valid' (none), 'same' (output = ceil(n / stride); an odd element goes to the high side, as
    ONNX's SAME_UPPER), 'full' (every position that overlaps: extent - 1 on both sides), a number for all
    sides, or one number or (low, high) pair for each axis. With `ceil` the positions are rounded up (see
    `covering`). Raises ShapeError if nothing fits.
    """
    axes = []
    for axis, window in enumerate(padded(sizes, kernel, stride, dilation, padding)):
        window = covering(window) if ceil else window
        n, low, high, extent = window.size, window.low, window.high, window.extent
        if max(extent, n + low + high) > MAX_ELEMENTS:
            raise ShapeError(
                f"a window of {extent} elements on {n} + {low} + {high}: at most {MAX_ELEMENTS} fit "
                f"(axis {axis} of the window)"
            )
        if window.stride > MAX_ELEMENTS:
            raise ShapeError(f"a stride of {window.stride} elements: at most {MAX_ELEMENTS} fit (axis {axis})")
        if window.out < 1:
            raise ShapeError(
                f"a window of {extent} elements does not fit into {n} + {low} + {high} (axis {axis} of the window)"
            )
        axes.append(window)
    return tuple(axes)


def padded(
    sizes: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    padding: Padding,
) -> Iterator[WindowAxis]:
    """The windows with `padding` as `resolve` explains it, whether or not they fit."""
    rank = len(sizes)
    pairs = None if isinstance(padding, str) else explicit_padding(padding, rank)
    for axis, (n, k, s, d) in enumerate(zip(sizes, kernel, stride, dilation, strict=True)):
        extent = (k - 1) * d + 1
        if pairs is not None:
            low, high = pairs[axis]
        elif padding == "valid":
            low = high = 0
        elif padding == "full":
            low = high = extent - 1
        elif padding == "same":
            total = max(0, (-(-n // s) - 1) * s + extent - n)
            low, high = total // 2, total - total // 2
        else:
            raise ShapeError(f"padding {padding!r} is unknown: expected 'valid', 'same', 'full' or numbers")
        yield WindowAxis(n, k, s, d, low, high)


def covering(axis: WindowAxis) -> WindowAxis:
    """With a further window for the elements that are left over, unless it would start in the high padding.

    That is what PyTorch and ONNX call ceil mode; the padding grows by what the further window lacks.
    """
    over = (axis.size + axis.low + axis.high - axis.extent) % axis.stride
    if not over or axis.start(axis.out) >= axis.size:
        return axis
    return replace(axis, high=axis.high + axis.stride - over)


def explicit_padding(padding: int | tuple[int | tuple[int, int], ...], rank: int) -> tuple[tuple[int, int], ...]:
    """Numbers given as padding, as one (low, high) pair for each axis; raises ShapeError if malformed."""
    if not isinstance(padding, int | Sequence):
        raise ShapeError(f"padding {padding!r} is neither 'valid', 'same', 'full' nor numbers")
    pairs = []
    for entry in _entries(padding, rank, "padding"):
        pair = entry if isinstance(entry, Sequence) else (entry, entry)
        if len(pair) != 2 or not all(_is_count(n, 0) for n in pair):
            raise ShapeError(f"padding entry {entry!r} is neither a number of at least 0 nor a (low, high) pair")
        pairs.append((pair[0], pair[1]))
    return tuple(pairs)


def brief(numbers: Sequence[int]) -> int | tuple[int, ...]:
    """One number for all axes where they agree: graphs are easier to read, and equal windows are written alike."""
    return numbers[0] if len(set(numbers)) == 1 else tuple(numbers)


def brief_padding(pads: Sequence[tuple[int, int]]) -> Padding:
    """Padding of equal sides as a number an axis, and none at all by its name."""
    if any(low != high for low, high in pads):
        return tuple(pads)
    return brief([low for low, _ in pads]) or "valid"


def _is_count(number: object, least: int) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= least
