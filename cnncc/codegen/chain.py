"""Chains: steps that are streamed together, a few rows at a time, through the rings between them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..plan.plan import Stage, Step
from .emitter import Emitter
from .registers import Index, Ssa


@dataclass(frozen=True)
class Chain:
    """The steps of a stage; `run` emits the call of one, by its number in the plan, for rows [a, b)."""

    e: Emitter
    stage: Stage
    steps: Sequence[Step]
    run: Callable[[int, Index, Index], None]

    def rows(self, a: Index, b: Index) -> None:
        """Rows [a, b) of the last step, in rounds or by need."""
        begins = self.begins(a)
        if self.stage.by_need:
            self.by_need(len(self.steps) - 1, begins, b)
        else:
            self.in_rounds(begins[:-1], a, b)

    def begins(self, a: Index) -> list[Ssa]:
        """The rows at which each step begins if the last one begins at `a`: those that are read first, whole grains."""
        e, begins = self.e, [a]
        for producer, step in reversed(list(itertools.pairwise(self.steps))):
            need, rows = step.row_need, step.sources[0].rows
            begin = e.least(e.largest(e.sub(e.mul(begins[0], need.stride), need.low), 0), rows)
            begins.insert(0, e.mul(e.div(begin, producer.granularity), producer.granularity))
        return [e.value(begin) for begin in begins]

    def in_rounds(self, done: Sequence[Ssa], a: Index, b: Index) -> None:
        """Blocks of rows of the last step; before each, every other step computes the rows that the next one reads."""
        e, block = self.e, self.stage.block
        with e.loop(a, b, block, carry=done) as loop:
            ends: list[Index] = [e.least(e.add(loop.index, block), b)]
            for place in reversed(range(1, len(self.steps))):
                ends.insert(0, self.rows_before(place, ends[0]))
            following = []
            for place, number in enumerate(self.stage.steps[:-1]):
                end = e.largest(ends[place], loop.values[place])
                self.run(number, loop.values[place], end)
                following.append(e.value(end))
            self.run(self.stage.steps[-1], loop.index, ends[-1])
            loop.next(following)

    def by_need(self, place: int, done: Sequence[Ssa], end: Index) -> list[Ssa]:
        """A step up to row `end`, a grain at a time; before each, the steps before it, up to the rows that it reads.

        `done` are the rows that each step has computed; returns those after it. Each step has a loop of its own inside
        the loop of the step that reads it.
        """
        e, grain = self.e, self.steps[place].granularity
        with e.loop(done[place], end, grain, carry=done[:place]) as loop:
            to = e.least(e.add(loop.index, grain), end)
            before = list(loop.values)
            if place:
                before = self.by_need(place - 1, before, self.rows_before(place, to))
            self.run(self.stage.steps[place], loop.index, to)
            loop.next(before)
        return [*loop.results, e.value(e.largest(done[place], end))]

    def rows_before(self, place: int, end: Index) -> Index:
        """Up to which row a step reads the one before it for its rows before `end`: whole grains, and rows of lead."""
        e, step, grain = self.e, self.steps[place], self.steps[place - 1].granularity
        need, lead = step.row_need, self.stage.lead if place == 1 else 0
        last = e.add(e.largest(e.add(e.mul(e.sub(end, 1), need.stride), need.extent - need.low), 0), lead)
        return e.least(e.mul(e.div(e.add(last, grain - 1), grain), grain), step.sources[0].rows)
