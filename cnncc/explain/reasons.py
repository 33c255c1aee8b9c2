"""What is told of a compilation: frozen data, of which `text` makes sentences and `plain` makes JSON.

Numbers of work (multiply-accumulates, bytes, cycles) are those of one run of the program: of one image where the plan
computes image by image, else of a call with all images of the graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import Location
from ..passes import Applied, Missed
from ..plan.memory_picture import BufferLife, MemoryPicture
from ..types import EmptyType, TensorType

# From the graph as it was given to the layers that are left


@dataclass(frozen=True)
class Origin:
    """A node of the graph as it was given, and what has become of it.

    `layers` are the layers of the optimised graph that compute its result: itself, one that took it up, or several that
    stand for it; none if it is not computed. `how` is one of 'kept', 'rewritten' (its name stands for other ops),
    'absorbed', 'split', 'same' (another value stands for its result), 'constant', 'removed' (nobody reads it) and
    'source' (an input, state or constant, which is no layer). `by` is the pass that did it, and `told` all that as a
    sentence.
    """

    name: str
    op: str
    where: Location | None
    layers: tuple[str, ...]
    how: str
    by: str
    told: str


# Choices


@dataclass(frozen=True)
class CandidateCost:
    """One way to compute a contraction, and its modelled cycles for one image, those of copies around it included.

    `limit` names what costs it most: of all that the model knows of the core (`RESOURCES` of `limits.py`), that without
    whose cost it would take fewest cycles. `without` are the cycles that are then left, and `limits` the cycles that
    each resource accounts for; they need not add up, since costs overlap.
    """

    label: str
    kernel: str
    cycles: float
    limit: str
    without: float
    limits: Mapping[str, float]
    chosen: bool
    split: bool


@dataclass(frozen=True)
class Choice:
    """A comparison of candidates, the cheapest first, and why the chosen one was taken.

    `what` says what was compared: 'the layer', or for a 1×1 convolution 'over merged axes' or 'over its own axes'.
    `decided` is one of 'cost' (it is the cheapest), 'options' (the options name it) and 'only' (there was no other, or
    its kind is taken without a comparison); `told` is the reason as a sentence. `least_cycles` are those of the
    definition's multiply-adds if every lane of every multiply-add gave a result.
    """

    what: str
    signature: str
    decided: str
    told: str
    least_cycles: float
    candidates: tuple[CandidateCost, ...]

    @property
    def chosen(self) -> CandidateCost:
        return next(candidate for candidate in self.candidates if candidate.chosen)


# Steps


@dataclass(frozen=True)
class ViewReasons:
    """What a step reads or writes: its part in the kernel, the buffer, its shape, and how it lies in memory.

    `bytes` are those that the step touches, each element once; `space` is one of 'input', 'output', 'state', 'arena',
    'ring' and 'weights'. `border` tells how the edges are read, in words, if windows reach beyond them.
    """

    role: str
    buffer: str
    space: str
    shape: tuple[int, ...]
    element: str
    order: str
    bytes: int
    border: str = ""


@dataclass(frozen=True)
class StepReasons:
    """One call of a kernel.

    `multiply_accumulates` are those of the definition, padding included, `multiplied` those of the algorithm (fewer for
    Winograd's). `bytes_read` and `bytes_written` count each element once; `traffic` has them by the level of memory
    that holds them ('L1', 'L2', 'L3', 'DRAM'; 'memory' of a core without caches), those of a view that is read and
    written once. `bounds` has for each limit ('multiply-adds', a level of memory, 'call') the least cycles that it
    allows; `bound` is the largest. `cycles` are modelled, and no less than that. `units` are the rows, blocks or images
    that shards divide (in at most `partitions` parts), and `shared` says how.
    """

    number: int
    name: str
    kernel: str
    parameters: Mapping[str, str]
    stage: int
    multiply_accumulates: int
    multiplied: int
    bytes_read: int
    bytes_written: int
    traffic: Mapping[str, int]
    bounds: Mapping[str, float]
    bound: str
    cycles: float
    units: int
    partitions: int
    shared: str
    views: tuple[ViewReasons, ...]
    scratch_bytes: int = 0
    weights_bytes: int = 0

    @property
    def bytes(self) -> int:
        return sum(self.traffic.values())

    @property
    def bound_cycles(self) -> float:
        return self.bounds[self.bound]

    @property
    def intensity(self) -> float:
        """Operations of the algorithm, two for each multiply-add, for each byte that it reads or writes."""
        return 2 * self.multiplied / self.bytes if self.bytes else 0.0


# Layers


@dataclass(frozen=True)
class LayerReasons:
    """One layer of the optimised graph.

    `types` are those of its results, `order` how the first one lies in memory ('' if it is stored nowhere), `where` the
    user's line. `origins` are the names of the nodes of the given graph that went into it. `fired` and `missed` are the
    entries of the passes about these. `steps` compute it; a layer without steps has `stands`, a sentence that tells why
    it needs none. `decisions` are sentences with numbers: borders, streams, copies, what is computed again or in place.
    `buffers` are those of the workspace that its steps write. `cycles` are modelled, and `share` their part of all.
    """

    name: str
    op: str
    where: Location | None
    types: tuple[TensorType | EmptyType, ...]
    order: str
    origins: tuple[str, ...]
    fired: tuple[Applied, ...]
    missed: tuple[Missed, ...]
    choices: tuple[Choice, ...]
    steps: tuple[StepReasons, ...]
    decisions: tuple[str, ...]
    buffers: tuple[BufferLife, ...]
    share: float = 0.0
    stands: str = ""

    @property
    def multiply_accumulates(self) -> int:
        return sum(step.multiply_accumulates for step in self.steps)

    @property
    def multiplied(self) -> int:
        return sum(step.multiplied for step in self.steps)

    @property
    def bytes_read(self) -> int:
        return sum(step.bytes_read for step in self.steps)

    @property
    def bytes_written(self) -> int:
        return sum(step.bytes_written for step in self.steps)

    @property
    def bytes(self) -> int:
        return sum(step.bytes for step in self.steps)

    @property
    def weights_bytes(self) -> int:
        """Bytes of packed weights and biases that its steps read."""
        return sum(step.weights_bytes for step in self.steps)

    @property
    def cycles(self) -> float:
        return sum(step.cycles for step in self.steps)

    @property
    def main(self) -> StepReasons | None:
        """The step with the most modelled cycles."""
        return max(self.steps, key=lambda step: step.cycles, default=None)

    @property
    def bound(self) -> str:
        """What bounds its main step; '' without steps."""
        return self.main.bound if self.main else ""

    @property
    def intensity(self) -> float:
        """Operations of its algorithms, two for each multiply-add, for each byte."""
        return 2 * self.multiplied / self.bytes if self.bytes else 0.0


@dataclass(frozen=True)
class Explanation:
    """The reasons of a whole compilation: its layers in order, and what has become of each node that was given.

    `unit` says what the numbers count: 'one image', or 'one call' where images are not computed one by one. `cycles`
    are all modelled cycles of a run. `idle` are passes that did not run at all. `peak` are the multiply-adds a cycle of
    the core at best, and `rates` the bytes a cycle from each level of memory, as the model has them. `aliases` are
    further names, such as those of tensors in an ONNX file, each with nodes of the given graph, none for what was
    computed on reading it.
    """

    name: str
    target: str
    core: str
    precision: str
    unit: str
    layers: tuple[LayerReasons, ...]
    origins: Mapping[str, Origin]
    idle: tuple[Missed, ...]
    memory: MemoryPicture
    cycles: float
    peak: float
    rates: Mapping[str, float]
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def layer(self, name: str) -> LayerReasons:
        """The layer of the optimised graph with this name. Raises KeyError if there is none."""
        return next(layer for layer in self.layers if layer.name == name)
