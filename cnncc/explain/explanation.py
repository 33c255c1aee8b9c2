"""The reasons of a compilation, from its graph, the entries of the passes, its plan, and the phases run once more."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cached_property

from ..compiler import Compilation
from ..elements import ELEMENTS
from ..ir import Node
from ..passes import Applied, Missed
from ..plan.cost import step
from ..plan.make import results_until
from ..plan.memory import root_of
from ..plan.memory_picture import memory_picture
from . import limits
from .choices import Choices, Recorder
from .decisions import Decisions
from .names import Names, aliases
from .reasons import Explanation, LayerReasons
from .standing import Standing
from .steps import StepTeller
from .trace import Trace


def explain(compilation: Compilation, names: Collection[str] | None = None) -> Explanation:
    """The reasons of all layers of a compilation.

    It costs about as much as planning, and for each different contraction ten times its comparison of candidates; with
    `names`, of layers, or of nodes or tensors of the model, candidates are told of these alone. Nothing is measured,
    and no code is generated. Raises what compiling raises up to the plan, and UsageError for a name that nothing has.
    """
    return Explainer(compilation).explanation(names)


class Explainer:
    """Gathers what is known of one compilation."""

    def __init__(self, compilation: Compilation):
        options = compilation.options
        self.compilation, self.plan, self.target = compilation, compilation.plan, options.target
        self.optimised = compilation.optimised
        self.trace = Trace(compilation.graph, self.optimised)
        strict, weights = options.precision == "strict", ELEMENTS[options.weights]
        found = results_until(
            "bufferization", self.optimised.graph, self.target, options.plan, strict=strict, weights=weights
        )
        recorder = Recorder(found["phases"], self.target, options.plan, strict=strict, weights=weights)
        self.choices = Choices(recorder, self.plan.offers, options.plan)
        self.standing = Standing(self.plan, found)
        self.decisions = Decisions(self.plan, found, self.standing)
        self.teller, self.memory = StepTeller(self.plan), memory_picture(self.plan)

    def explanation(self, names: Collection[str] | None) -> Explanation:
        nodes = [node for node in self.optimised.graph if node.op.source is None or node.name in self.numbers]
        known = Names(tuple(node.name for node in nodes), self.trace.origins, aliases(self.compilation))
        compared = set(known.left if names is None else (layer for name in names for layer in known.layers(name)))
        told = [self.layer(node, node.name in compared) for node in nodes]
        cycles = sum(layer.cycles for layer in told)
        return Explanation(
            self.compilation.graph.name,
            self.target.name,
            self.target.core.name,
            self.compilation.options.precision,
            "one image" if self.plan.batchable else "one call",
            tuple(replace(layer, share=layer.cycles / cycles if cycles else 0.0) for layer in told),
            known.origins,
            tuple(dict.fromkeys(entry for entry in self.optimised.not_fired if entry.layer is None)),
            self.memory,
            cycles,
            step.peak(self.target),
            limits.rates(self.target),
            known.aliases,
        )

    @cached_property
    def numbers(self) -> dict[str, list[int]]:
        """The steps that belong to each layer."""
        found: dict[str, list[int]] = {}
        for number, each in enumerate(self.plan.steps):
            if each.layers:
                found.setdefault(each.layers[0], []).append(number)
        return found

    def layer(self, node: Node, compared: bool) -> LayerReasons:
        """All about one layer; candidates only if they are to be `compared`."""
        numbers, entries = self.numbers.get(node.name, []), self.trace.entries(node.name)
        found = {number: self.choices.of(self.plan.steps[number]) if compared else None for number in numbers}
        choices = tuple({id(choice): choice for choice in found.values() if choice}.values())
        steps = tuple(self.teller.reasons(number, self.choices.cycles(self.plan.steps[number])) for number in numbers)
        return LayerReasons(
            node.name,
            str(node.op),
            node.where,
            node.types,
            next((view.order for each in reversed(steps) for view in each.views[-1:]), ""),
            self.trace.into(node.name),
            tuple(entry for entry in entries if isinstance(entry, Applied)),
            tuple(entry for entry in entries if isinstance(entry, Missed)),
            choices,
            steps,
            self.decisions.of(node.name, numbers, choices),
            tuple(life for life in self.memory.buffers if life.name in self.written(numbers)),
            stands="" if numbers else self.standing.why(node.name),
        )

    def written(self, numbers: Sequence[int]) -> set[str]:
        """The buffers that steps write or work in, by the names of those whose place they have."""
        views = (
            view for number in numbers for view in (self.plan.steps[number].target, self.plan.steps[number].scratch)
        )
        return {root_of(self.plan.buffers, view.buffer) for view in views if view}
