"""The choice among the candidates for a contraction.

The cheapest one by the cost model is taken, unless `PlanOptions.choices` names another, for example one that was
measured to be faster. A choice belongs to a signature: a text with everything that the speed depends on, without
names. Equal layers share one choice, in one model or in several.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..elements import FLOAT32
from .cost.step import series
from .kernels import Candidate, Convolution, Layer


@dataclass(frozen=True)
class Split:
    """Why a step is not in the epilogue of the layer before it: the choice, if there was one, and the cycles of both.

    `fused` are those of the cheapest way to hold it in registers, infinite if there is none.
    """

    cycles: float
    fused: float
    signature: str = ""
    label: str = ""


@dataclass(frozen=True)
class Chosen:
    """The kernel that was taken, the signature of the choice and the label that was chosen.

    `split` tells why the epilogue was split, if it was. `cycles` are those of an image.
    """

    kernel: Convolution
    signature: str
    label: str
    split: Split | None = None
    cycles: float = 0.0


def chosen(candidate: Candidate, among: Sequence[Candidate], signature: str = "") -> Chosen:
    """What it means to take `candidate` among others."""
    label, why = candidate.label if signature else "", None
    if candidate.split:
        fused = min((other.cycles for other in among if not other.split), default=math.inf)
        why = Split(candidate.cycles, fused, signature, label)
    return Chosen(candidate.kernel, signature, label, why, candidate.cycles)


def cheapest(candidates: Sequence[Candidate]) -> Candidate:
    """The candidate of the fewest cycles, the first of equals."""
    return min(candidates, key=lambda candidate: candidate.cycles)


class Choices:
    """Selects candidates, and records the alternatives: `offers` by signature."""

    def __init__(self, chosen: Mapping[str, str]):
        self.chosen = chosen
        self.offers: dict[str, tuple[Candidate, ...]] = {}

    def pick(self, signature: str, candidates: Sequence[Candidate]) -> Chosen:
        """The candidate whose label was chosen; else the cheapest, the first of equals.

        A label that no candidate has (for example of another version) is ignored.
        """
        self.offers[signature] = tuple(candidates)
        label = self.chosen.get(signature)
        named = [candidate for candidate in candidates if candidate.label == label]
        return chosen(named[0] if named else cheapest(candidates), candidates, signature)


def signature(layer: Layer) -> str:
    """What the candidates of a contraction and their speed depend on, canonically: '3>8 3/1p1,1of56 … bias'.

    Equal signatures have equal candidates. Functions like exp in the epilogue are counted; weights that are not `tame`
    are never transformed, and those that are not stored as float32 name what they are stored as.
    """
    c, stored, epilogue = layer.contraction, layer.stored, layer.epilogue
    exps, last = series(epilogue.before), series(epilogue.after)
    words = [f"{c.channels}>{c.outputs}"]
    if c.groups > 1:
        words.append(f"g{c.groups}")
    for axis in c.window:
        steps = f"{axis.kernel}/{axis.stride}" + (f"d{axis.dilation}" if axis.dilation > 1 else "")
        words.append(f"{steps}p{axis.low},{axis.reach[1]}of{axis.size}")
    words.append("to" + "x".join(map(str, stored)) if stored else "dense")
    if epilogue.pool:
        words.append("pool" + "x".join(map(str, epilogue.pool.kernel)))
        words += [epilogue.pool.combine] if epilogue.pool.combine != "maximum" else []
    flags = {
        "bias": c.bias,
        "each": c.weights_per_image,
        f"+{epilogue.operands}": epilogue.operands > 0,
        f"series{exps}" + (f"+{last}" if last else ""): exps + last > 0,
        "wild": not layer.tame,
        f"arriving{layer.arriving}": layer.arriving > 0,
        str(layer.weights): layer.weights is not FLOAT32,
        f"turned{layer.turned.images}+{layer.turned.copies}" if layer.turned else "": layer.turned is not None,
        "lines": layer.turned is not None and layer.turned.lines,
    }
    words += [flag for flag, holds in flags.items() if holds]
    return " ".join(
        [*words, "|".join(f"{along}+{copied}" if copied else along for along, copied in layer.copies.items())]
    )
