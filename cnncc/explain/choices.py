"""The choices among candidates, made once more with everything kept that was compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from ..elements import Element
from ..machine.target import Target
from ..plan import PlanOptions, kernels
from ..plan.candidates import Chosen
from ..plan.kernels import Candidate
from ..plan.layout import LayoutBuilder, laid_out
from ..plan.lower import LoweredGraph
from ..plan.plan import Step
from ..plan.split import Way, signature_of, with_steps
from ..plan.tensors import node_of
from .limits import RESOURCES, accounts, relieved
from .reasons import CandidateCost, Choice

ORDERS = "changes of order"


class Recorder(LayoutBuilder):
    """Makes a layout, and keeps what it compares.

    `compared` has the ways of each signature, `alone` for each node those whose kernel is taken without a comparison.
    """

    def __init__(self, works: LoweredGraph, target: Target, options: PlanOptions, *, strict: bool, weights: Element):
        super().__init__(works, target, options, strict=strict, weights=weights)
        self.compared: dict[str, Sequence[Way]] = {}
        self.alone: dict[str, list[Sequence[Way]]] = {}
        laid_out(self)

    def pick(self, ways: Sequence[Way]) -> Chosen:
        self.compared.setdefault(signature_of(ways), ways)
        return super().pick(ways)

    def choose(self, ways: Sequence[Way]) -> tuple[Way, Chosen, Chosen | None]:
        way, chosen, merged = super().choose(ways)
        if not (merged or chosen).signature:
            self.alone.setdefault(node_of(ways[0].parts.held.result), []).append(ways)
        return way, chosen, merged


class Choices:
    """The choices of a plan, by the steps that they were made for."""

    def __init__(self, recorder: Recorder, offers: Mapping[str, Sequence[Candidate]], options: PlanOptions):
        self.recorder, self.target, self.offers = recorder, recorder.target, offers
        self.named = dict(options.choices)
        self.known: dict[tuple[str, str], Choice] = {}
        self.offered: dict[tuple[str, str], Sequence[Candidate]] = {}

    @cached_property
    def machines(self) -> dict[str, Target]:
        """For each resource the machine that has more of it."""
        return {resource: relieved(self.target, resource) for resource in RESOURCES}

    def of(self, step: Step) -> Choice | None:
        """The choice of the kernel of a step; None if there never is one for its kind."""
        key = step.signature, step.label
        if step.signature in self.recorder.compared:
            if key not in self.known:
                self.known[key] = self.compared(*key)
            return self.known[key]
        if not step.macs or not step.layers:
            return None
        for ways in self.recorder.alone.get(step.layers[0], ()):
            found = self.preferred(self.target, ways)
            if any(one.kernel.own_window == step.kernel.own_window for one in found):
                return self.only(ways, found)
        return None

    def compared(self, signature: str, label: str) -> Choice:
        """The choice of a candidate by its label."""
        ways, offered = self.recorder.compared[signature], list(self.offers[signature])
        others = {resource: self.relieved(signature, resource) for resource in RESOURCES}
        costs = self.costs(offered, others, label)
        taken = next(cost for cost in costs if cost.chosen)
        decided = "options" if label == self.named.get(signature) and taken is not costs[0] else "cost"
        told = by_cost(costs) if decided == "cost" else by_options(costs, taken)
        flat = len(ways[0].layer.contraction.window) == 1 and ways[0].layer.contraction.taps == 1
        what = "over merged axes" if flat else "the layer"
        return Choice(what, signature, decided, told, least(self.target, offered), costs)

    def relieved(self, signature: str, resource: str) -> Sequence[Candidate]:
        """The candidates of the machine that has more of a resource."""
        key = signature, resource
        if key not in self.offered:
            machine, ways = self.machines[resource], self.recorder.compared[signature]
            self.offered[key] = with_steps(machine, ways, [kernels.candidates(machine, way.layer) for way in ways])
        return self.offered[key]

    def cycles(self, step: Step) -> float:
        """The modelled cycles of a step: those of its candidate, copies around it left out, else what the kernel says.

        A candidate whose pool is a step of its own counts that step as well, so the kernel is asked there, too.
        """
        taken = next((one for one in self.offers.get(step.signature, ()) if one.label == step.label), None)
        if taken is None or taken.split or step.signature not in self.recorder.compared:
            return step.cycles(self.target)
        apart = (one.cycles for one in self.relieved(step.signature, ORDERS) if one.label == step.label)
        return step.target.shape[0] * next(apart, taken.cycles)

    def only(self, ways: Sequence[Way], found: Sequence[Candidate]) -> Choice:
        """The choice of a kernel that is taken without a comparison with other kernels."""
        others = {resource: self.preferred(machine, ways) for resource, machine in self.machines.items()}
        cheapest = min(found, key=lambda one: one.cycles)
        costs = self.costs(found, others, cheapest.label)
        told = f"its kind is taken for each layer that it fits, without a comparison: it {kernels.PREFERRED[0].why}"
        return Choice("the layer", "", "only", told, least(self.target, found), costs)

    @staticmethod
    def preferred(target: Target, ways: Sequence[Way]) -> list[Candidate]:
        """The kernels that are taken without a comparison, one for each way."""
        alone = [kernels.preferred(target, way.layer) for way in ways]
        return with_steps(target, ways, [[one] if one else [] for one in alone])

    @staticmethod
    def costs(
        offered: Sequence[Candidate], others: Mapping[str, Sequence[Candidate]], label: str
    ) -> tuple[CandidateCost, ...]:
        """All candidates with what limits them, the cheapest first, the first of equals before the others."""
        shares, found, chosen = accounts(others, offered), [], False
        for one in sorted(offered, key=lambda one: one.cycles):
            limits = shares[one.label]
            limit = next(iter(limits), "")
            taken, chosen = one.label == label and not chosen, chosen or one.label == label
            words, without = one.kernel.describe().split("; then")[0], one.cycles - limits.get(limit, 0.0)
            found.append(CandidateCost(one.label, words, one.cycles, limit, without, limits, taken, one.split))
        return tuple(found)


def least(target: Target, offered: Sequence[Candidate]) -> float:
    """The least cycles of the definition's multiply-adds, for one image."""
    return offered[0].kernel.least_cycles(target)


def by_cost(costs: Sequence[CandidateCost]) -> str:
    """Why the cheapest candidate was taken."""
    first, *others = costs
    if not others:
        return f"it is the only candidate: {first.cycles:,.0f} cycles by the model"
    second = others[0]
    more = f"{second.cycles / first.cycles - 1:.1%} more" if second.cycles > first.cycles else "as many"
    return (
        f"it is the cheapest of {len(costs)} candidates by the model: {first.cycles:,.0f} cycles; the next one, "
        f"'{second.label}', takes {second.cycles:,.0f}, {more}"
    )


def by_options(costs: Sequence[CandidateCost], taken: CandidateCost) -> str:
    """Why another candidate than the cheapest was taken."""
    return (
        f"the options name it (a saved plan, or one that was measured): {taken.cycles:,.0f} cycles by the model, which "
        f"would have taken '{costs[0].label}' with {costs[0].cycles:,.0f}"
    )
