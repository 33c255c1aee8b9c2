"""Everything that a report tells, as data; what could not be found out is a sentence in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..check.model import Report as Checked
from ..compiler import Options
from ..explain import Explanation
from ..frontends.inspection import Inspection
from ..ir import Graph
from ..measure.benchmark import Timing
from ..measure.counting import Counts
from ..measure.peers import PeerTiming
from ..measure.profiling import Profile
from ..timings import Timing as StageTiming
from ..types import Array

STAGES = ("read", "passes", "plan", "code", "object")
"""The stages of a compilation in their order."""


@dataclass(frozen=True)
class Stopped:
    """Why something is not there, as a sentence."""

    why: str


NOT_REACHED = Stopped("The compilation stopped before.")


@dataclass(frozen=True)
class Failure:
    """The stage at which a compilation stopped, the error's sentence, and the layer, if it names one."""

    stage: str
    why: str
    layer: str = ""


@dataclass(frozen=True)
class Request:
    """What is asked for besides the compilation.

    `source` tells where the model comes from, if it is no ONNX file, which does. `threads` are the numbers of cores for
    a call; `against` other engines (None: those that are installed); `feeds` arrays for the inputs, else random ones;
    `seconds` is the time of each measurement; `check` compares each layer with the interpreter.
    """

    source: str = ""
    threads: tuple[int, ...] = (1,)
    against: tuple[str, ...] | None = None
    feeds: Mapping[str, Array] | None = None
    seconds: float = 1.0
    check: bool = True


@dataclass(frozen=True)
class Calls:
    """The time of whole calls, by number of threads, and the peak of one core in GFLOP/s."""

    peak: float
    timings: tuple[Timing, ...]


@dataclass(frozen=True)
class Peers:
    """Timings of this engine and others, names of engines that are not installed, sentences about those that failed."""

    timings: tuple[PeerTiming, ...]
    missing: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


@dataclass(frozen=True)
class LayerTimes:
    """A profile of a call of so many images, and the microseconds of each layer, all steps of it together."""

    profile: Profile
    us: Mapping[str, float]
    images: int


@dataclass(frozen=True)
class Facts:
    """What is known of a model and of its compilation.

    `original` and `optimised` are the graphs before and after the passes, `after` and `before` the times of the
    optimised layers and of those that are compiled without passes.
    """

    name: str
    source: str
    options: Options
    original: Graph | Stopped = NOT_REACHED
    optimised: Graph | Stopped = NOT_REACHED
    reasons: Explanation | Stopped = NOT_REACHED
    manifest: Mapping[str, Any] | Stopped = NOT_REACHED
    calls: Calls | Stopped = NOT_REACHED
    after: LayerTimes | Stopped = NOT_REACHED
    before: LayerTimes | Stopped = NOT_REACHED
    peers: Peers | Stopped = NOT_REACHED
    counts: Counts | Stopped = NOT_REACHED
    checked: Checked | Stopped = NOT_REACHED
    stages: Sequence[StageTiming] = ()
    failure: Failure | None = None
    inspection: Inspection | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)
    inputs: str = "random arrays"

    def numbers(self) -> dict[str, int]:
        """The number of each layer of the optimised graph, which names its place on the page."""
        if isinstance(self.reasons, Stopped):
            return {}
        return {layer.name: number for number, layer in enumerate(self.reasons.layers)}

    def before_us(self) -> dict[str, float]:
        """For each optimised layer the microseconds that the nodes took from which it was made, without passes.

        The time of a node that several layers stand for is divided among them; that of nodes of which nothing is left
        stands under the empty name.
        """
        found: dict[str, float] = {}
        if not isinstance(self.before, Stopped) and not isinstance(self.reasons, Stopped):
            for node, us in self.before.us.items():
                origin = self.reasons.origins.get(node)
                layers = (origin.layers if origin else ()) or ("",)
                for layer in layers:
                    found[layer] = found.get(layer, 0.0) + us / len(layers)
        return found
