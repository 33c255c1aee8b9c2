"""What a compiled model tells of the model that it was compiled from: reasons, a report, a drawing."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import UsageError
from ..shown import shown
from .arrays import ordered_inputs
from .executable import Executable


class Page(Protocol):
    """A report: its name, and its text as HTML."""

    @property
    def name(self) -> str: ...

    @property
    def html(self) -> str: ...

    def save(self, path: str | os.PathLike[str]) -> None: ...


@dataclass(frozen=True)
class Origin:
    """What is known of where a model comes from; each reads that once more.

    `told` gives the reasons of layers by their names as a text, `reporter` a page of all there is to tell, `graph` the
    graph after the passes.
    """

    told: Callable[[tuple[str, ...]], str]
    reporter: Callable[..., Page]
    graph: Callable[[], Any]


class Explained:
    """A model that knows its origin, or none: what was loaded from a library holds no graph."""

    __slots__ = ()
    _executable: Executable
    _threads: int
    _origin: Origin | None

    def why(self, *layers: str) -> str:
        """Why these layers were compiled as they were, as a text; without names, a line for each layer.

        A name is that of a layer, or of any node or tensor of the model that went into one. The model is read and
        planned once more, which takes about as long as when it was compiled. Raises UsageError for an unknown name, and
        for a model that was loaded from a library, which holds no graph.
        """
        if self._origin is None:
            name = self._executable.name
            raise UsageError(f"model '{name}' was not compiled here: its library does not hold why it is as it is")
        return self._origin.told(layers)

    def report(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        against: Sequence[str] | str | None = None,
        data: Any = None,
        threads: Sequence[int] | None = None,
        seconds: float = 1.0,
        check: bool = True,
    ) -> Page:
        """A page that shows what became of the model, and why; it is written to `path`, if one is given.

        `against` names other engines for a model from an ONNX file (None: those that are installed), `data` is what a
        call would take (an array, a tuple or a dict; None: random arrays), `threads` are numbers of cores (None: as
        many as this model uses), `seconds` is the time of each measurement; `check` compares each layer with the
        interpreter. The model is compiled again for it. Raises UsageError for a model of object code alone and for an
        unknown engine, InputError for data that does not fit, OutputError where the file cannot be written.
        """
        executable = self._executable
        if self._origin is None:
            raise UsageError(f"model '{executable.name}' was made from object code alone, of which there is no report")
        given = data if isinstance(data, tuple) else (data,)
        feeds = None if data is None else ordered_inputs(executable, given)
        return self._origin.reporter(
            path,
            against=against,
            feeds=None if feeds is None else {port.name: a for port, a in zip(executable.inputs, feeds, strict=True)},
            threads=(self._threads,) if threads is None else tuple(threads),
            seconds=seconds,
            check=check,
        )

    def optimised(self) -> Any:
        """The graph after the passes, of which the code was made, read once more; None where there is no origin."""
        return None if self._origin is None else self._origin.graph()

    def _repr_html_(self) -> str:
        """Ports, sizes and the graph after the passes as a drawing, for notebooks."""
        return shown("model", self)
