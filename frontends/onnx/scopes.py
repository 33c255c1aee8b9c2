"""Names: each value of a model has one, also inside functions, branches and loops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class Names:
    """The names that are in use."""

    def __init__(self, taken: Iterable[str] = ()):
        self.taken = dict.fromkeys(taken, 0)
        """Each name, with the last number that was added to it."""

    def fresh(self, hint: str) -> str:
        """`hint`, or `hint_1`, `hint_2`… if that is or will be in use."""
        name, number = hint, self.taken.get(hint, 0)
        while name in self.taken:
            number += 1
            name = f"{hint}_{number}"
        self.taken[hint], self.taken[name] = number, self.taken.get(name, 0)
        return name


class Scope:
    """What names mean in one use of a graph or a function.

    `known` are the names in the model by those of the file. Others are looked up in `outer`, the scope of the node that
    the graph stands in; a function has none. New names begin with `prefix`. `attributes` are those of the call of the
    function around, and `calls` the functions that are being called.
    """

    def __init__(
        self,
        names: Names,
        outer: Scope | None = None,
        prefix: str = "",
        attributes: Mapping[str, Any] | None = None,
        calls: tuple[object, ...] = (),
    ):
        self.names, self.outer, self.prefix = names, outer, prefix
        self.attributes, self.calls = attributes or {}, calls
        self.known: dict[str, str] = {"": ""}

    def find(self, name: str) -> str | None:
        """The name in the model of a value that is made here or in a scope around."""
        if name in self.known:
            return self.known[name]
        return self.outer.find(name) if self.outer else None

    def name(self, name: str) -> str:
        """The name in the model; one that nothing makes, if there is no such value."""
        if name in self.known:
            return self.known[name]
        return self.outer.name(name) if self.outer else self.own(name)

    def own(self, name: str) -> str:
        """The name in the model of a value that is made here."""
        if name not in self.known:
            self.known[name] = self.names.fresh(self.prefix + name)
        return self.known[name]

    def inner(self, prefix: str) -> Scope:
        """The scope of a graph inside a node."""
        return Scope(self.names, self, prefix, self.attributes, self.calls)


class File(Scope):
    """The scope of the outermost graph: all names stay as they are."""

    def name(self, name: str) -> str:
        return name

    def own(self, name: str) -> str:
        return self.known.setdefault(name, name)
