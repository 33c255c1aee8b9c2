"""Chains whose result takes the place of a tensor that nobody reads after them.

The steps of a chain by need compute rows in a fixed order. Its last step may write row r of the result where row r of
another tensor lies, if from then on nobody reads that row:

- If the first step reads the tensor as its image, it has to be ahead: every row that it still reads lies behind those
  that are written. The convolutions of a residual block are ahead by themselves, since each reads one row more below;
  where a 3×3 convolution is followed by a 1×1, the first one runs one row ahead (`lead`).
- If the last step reads the tensor as an operand of its epilogue, it reads the same element that it then writes. For
  that it has to compute each result once.

(In-place schedules of this kind: Lin and others, MCUNetV2, 2021; Zheng and others, vMCU, 2024.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .kernels import RowNeed
from .plan import Step
from .views import ROW_AXIS, Buffer, View, elements


def overlaid(steps: Sequence[Step], first: int, last: int, buffers: Mapping[str, Buffer]) -> tuple[str, int] | None:
    """The buffer whose place the result of a chain, the steps first … last, may take, and the lead for it."""
    chain = steps[first : last + 1]
    result = chain[-1].target
    if not (_fills_rows(result, buffers[result.buffer]) and _touching(steps, result.buffer)[0] == last):
        return None
    names = dict.fromkeys(view.buffer for view in (chain[0].sources[0], *chain[-1].operands))
    for name in names:
        if (
            name != result.buffer
            and _touching(steps, name)[-1] <= last
            and buffers[name].dtype == buffers[result.buffer].dtype
        ):
            lead = _lead(chain, name, buffers)
            if lead is not None:
                return name, lead
    return None


def _touching(steps: Sequence[Step], buffer: str) -> list[int]:
    return [at for at, step in enumerate(steps) if any(view.buffer == buffer for view in step.views)]


def _lead(chain: Sequence[Step], name: str, buffers: Mapping[str, Buffer]) -> int | None:
    """Rows that the first step has to run ahead for the result to take the place of a buffer; None if it cannot."""
    result, last = chain[-1].target, chain[-1]
    touches = [(step, at, view) for step in chain for at, view in enumerate(step.views) if view.buffer == name]
    for step, at, view in touches:
        if not (_fills_rows(view, buffers[name]) and _same_rows(view, result)):
            return None
        as_image = step is chain[0] and at == 0
        as_operand = step is last and at >= step.kernel.sources and at < len(step.sources)
        if not (as_image or (as_operand and _same_elements(view, result) and last.kernel.computes_once)):
            return None
    if all(step is last and at > 0 for step, at, _ in touches):
        return 0
    needs = [step.row_need for step in chain]
    return next(
        (lead for lead in range(needs[0].extent + 1) if _is_ahead(needs, [step.target.rows for step in chain], lead)),
        None,
    )


def _fills_rows(view: View, buffer: Buffer) -> bool:
    """Whether a view of one image is a whole buffer of the arena without border, and each row lies by itself in it."""
    if buffer.space != "arena" or buffer.border or view.ring or view.lookups or view.offset or view.rank <= ROW_AXIS:
        return False
    axes = [(n, stride) for n, stride in zip(view.shape, view.strides, strict=True) if n > 1]
    inner = sum((n - 1) * stride for n, stride in axes) - (view.rows - 1) * view.strides[ROW_AXIS]
    whole = buffer.elements == elements(view.shape)
    return view.shape[0] == 1 and whole and min(view.strides) >= 0 and inner < view.strides[ROW_AXIS]


def _same_rows(a: View, b: View) -> bool:
    return a.rows == b.rows and a.strides[ROW_AXIS] == b.strides[ROW_AXIS]


def _same_elements(a: View, b: View) -> bool:
    """Whether two views have each element at the same place of their buffers."""
    axes = zip(a.shape, a.strides, b.strides, strict=True)
    return a.shape == b.shape and all(own == other for n, own, other in axes if n > 1)


def _is_ahead(needs: Sequence[RowNeed], rows: Sequence[int], lead: int) -> bool:
    """Whether the first step never reads a row of its image that the last one has written."""
    written = 0
    for place, begin, end in order_of_rows(needs, rows, lead):
        if place == len(needs) - 1:
            written = end
        if place == 0 and max(0, begin * needs[0].stride - needs[0].low) < written:
            return False
    return True


def order_of_rows(needs: Sequence[RowNeed], rows: Sequence[int], lead: int) -> Iterator[tuple[int, int, int]]:
    """The calls of a chain by need, as code generation makes them: (number of the step, its rows from, to)."""
    done = [0] * len(needs)

    def up_to(place: int, end: int) -> Iterator[tuple[int, int, int]]:
        while done[place] < end:
            begin = done[place]
            to = min(begin + needs[place].granularity, end)
            if place:
                yield from up_to(
                    place - 1, rows_before(needs[place - 1], needs[place], to, rows[place - 1], lead * (place == 1))
                )
            yield place, begin, to
            done[place] = to

    yield from up_to(len(needs) - 1, rows[-1])


def rows_before(producer: RowNeed, reader: RowNeed, end: int, rows: int, lead: int) -> int:
    """Up to which row, in whole grains, a step is read by the next one for its rows before `end`; `lead` rows more."""
    last = max(0, (end - 1) * reader.stride + reader.extent - reader.low) + lead
    return min(-(-last // producer.granularity) * producer.granularity, rows)
