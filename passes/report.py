"""The result of a pass: the rewritten graph, and for each layer the rewrite, or the reason why there was none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..ir import Graph

Tag = Literal["exact", "finite", "rounding"]
"""The effect of a rewrite on results: the same bits; the same bits for finite inputs; other roundings."""


class Refused(Exception):
    """Why a rewrite that matches is not applied; passes turn it into a Missed entry."""


@dataclass(frozen=True)
class Rule:
    """A rewrite: its equation and its tag."""

    title: str
    tag: Tag


@dataclass(frozen=True)
class Applied:
    """`rule` was applied at `layer`.

    `absorbed` names other nodes whose work the layer does from then on, and `same` the node whose value takes the place
    of the layer's own. A rounding rewrite states in `bound` the largest difference of the new layer to exact arithmetic
    on the old one (x is its input, b its bias; without underflow).
    """

    pass_name: str
    rule: str
    tag: Tag
    layer: str
    detail: str = ""
    bound: str = ""
    absorbed: tuple[str, ...] = field(default=(), compare=False)
    same: str = field(default="", compare=False)

    def __str__(self) -> str:
        detail = f": {self.detail}" if self.detail else ""
        bound = f"; bound {self.bound}" if self.bound else ""
        return f"{self.pass_name} at '{self.layer}' ({self.tag}) {self.rule}{detail}{bound}"


@dataclass(frozen=True)
class Missed:
    """A pass left `layer` as it was; `layer` is None if the pass did not run at all."""

    pass_name: str
    layer: str | None
    why: str

    def __str__(self) -> str:
        place = f" at '{self.layer}'" if self.layer is not None else ""
        return f"{self.pass_name} not{place}: {self.why}"


Entry = Applied | Missed


@dataclass(frozen=True)
class Optimised:
    """A graph after one pass or several, and the entries about its layers.

    `made` has the names of all nodes that passes made, also of those that are gone, each with the node in whose place
    it was made (`Node.of`), and the pass.
    """

    graph: Graph
    log: tuple[Entry, ...] = ()
    made: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def fired(self) -> tuple[Applied, ...]:
        return tuple(entry for entry in self.log if isinstance(entry, Applied))

    @property
    def not_fired(self) -> tuple[Missed, ...]:
        return tuple(entry for entry in self.log if isinstance(entry, Missed))


@dataclass
class Notes:
    """Collects one pass's entries while it runs."""

    pass_name: str
    entries: list[Entry] = field(default_factory=list)

    def fired(
        self,
        rule: Rule,
        layer: str,
        detail: str = "",
        bound: str = "",
        absorbed: Iterable[str] = (),
        same: str = "",
    ) -> None:
        self.entries.append(Applied(self.pass_name, rule.title, rule.tag, layer, detail, bound, tuple(absorbed), same))

    def refused(self, layer: str, why: str) -> None:
        self.entries.append(Missed(self.pass_name, layer, why))

    def on(self, graph: Graph) -> Optimised:
        return Optimised(graph, tuple(self.entries))


@dataclass(frozen=True)
class Pass:
    """One entry of the pipeline; `reason` says what it is for, and why it stands at this place.

    `tag` is the strongest effect of its rules on results. A pass with `renames` may give the name of a rewritten layer
    to another value, as fusion names a chain after its anchor; in all others, values of one name keep their type.
    """

    name: str
    run: Callable[[Graph], Optimised]
    tag: Tag
    reason: str
    renames: bool = False
