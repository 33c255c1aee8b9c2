"""Where a value of a graph is after the passes, or which pass took it into another layer.

A value that is an output has to survive. So the passes run a second time with the value as one more output, beside the
passes on the graph as it is: as long as both leave the same layers, the value is still there, and the output says under
which name. The first pass that leaves others is the one that took it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..compiler import Compilation
from ..ir import Graph, Value, with_outputs
from ..passes import Optimised, Pass
from ..passes.manager import stages

_MARK = "the value that is followed"


@dataclass(frozen=True)
class Place:
    """A value of the graph after the passes; if there is none, the pass that took it (`gone`), and what that did."""

    value: Value | None
    gone: str = ""
    layer: str = ""
    detail: str = ""

    @property
    def why(self) -> str:
        """The reason why there is none, with what to do."""
        if not self.layer:
            return f"pass '{self.gone}' leaves it out, since no layer that stays reads it"
        return (
            f"pass '{self.gone}' takes it into layer '{self.layer}', which {self.detail}: '{self.layer}' names the "
            f"result, and without that pass (--passes=-{self.gone}, off=('{self.gone}',)) the value stays"
        )


def follow(compilation: Compilation, value: Value) -> Place:
    """Where a value of `compilation.graph` is in `compilation.optimised.graph`."""
    graph, options = compilation.graph, compilation.options
    marked = with_outputs(graph, {**graph.outputs, _MARK: value})
    runs = (stages(each, options.precision, compilation.off) for each in (graph, marked))
    place = value
    for (step, _, plain), (_, _, seen) in zip(*runs, strict=True):
        if plain.graph.nodes != seen.graph.nodes:
            return _gone(step, plain, seen)
        place = _marked(seen.graph)
    return Place(place)


def _marked(graph: Graph) -> Value:
    return graph.outputs[_MARK]


def _gone(step: Pass, plain: Optimised, seen: Optimised) -> Place:
    """What the pass did that it could not do where the value is an output."""
    done = [entry for entry in plain.fired if entry not in seen.fired and entry.layer in plain.graph.nodes]
    return Place(None, step.name, done[0].layer, done[0].detail) if done else Place(None, step.name)
