"""The plan: all decisions that code generation needs; it makes none itself."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from .. import abi
from ..computation import Contraction
from ..cook_toom import Tiling
from ..elements import Element
from ..machine.target import Target
from ..types import TensorType
from .candidates import Split
from .kernels import Candidate, Kernel, RowNeed
from .views import Buffer, View


@dataclass(frozen=True)
class Step:
    """One kernel with its views; the kernel's own sources come first, then its epilogue's operands.

    `signature` names the candidates of the kernel in `Plan.offers`, if there were any, and `label` the one that was
    taken; the kernel itself may differ from it by its partition.
    `split` tells why it is a step of its own, if the epilogue of the layer before it might have held it.
    `scratch` is memory of each shard for the kernel's own use. Shards divide the step's rows only at multiples of
    `row_multiple`, so that each has the same rows as in another step (see `depend`). If `by_images`, they divide the
    images of the step instead, positions of the first axis of its target (see `image_shares`).
    `layers` names the nodes of the graph that it computes, the one that it belongs to first; no decision depends on it.
    """

    name: str
    kernel: Kernel
    sources: tuple[View, ...]
    target: View
    signature: str = ""
    label: str = ""
    scratch: View | None = None
    row_multiple: int = 1
    split: Split | None = None
    by_images: bool = False
    layers: tuple[str, ...] = field(default=(), compare=False, repr=False)

    @property
    def views(self) -> tuple[View, ...]:
        """The views of all memory that the step touches: sources, target, scratch."""
        return (*self.sources, self.target, *([self.scratch] if self.scratch else []))

    @property
    def granularity(self) -> int:
        """The number of rows (or other units) that should stay in one shard."""
        return self.row_multiple * (1 if self.by_images else self.kernel.granularity)

    @property
    def partitions(self) -> int:
        """The number of partitions: of n, shard s of S computes those from ⌊n·s / S⌋ up to ⌊n·(s + 1) / S⌋."""
        return max(1, -(-self.units // self.granularity))

    @property
    def operands(self) -> tuple[View, ...]:
        return self.sources[self.kernel.sources :]

    @property
    def tables(self) -> tuple[str, ...]:
        """The buffers of the index tables that the views look up, each once."""
        views = (*self.sources, self.target)
        return tuple(dict.fromkeys(table for view in views for _, table in view.lookups))

    @property
    def units(self) -> int:
        """The number of units: rows (of a filled border too), blocks of outputs or parts, rows of tiles, images."""
        return self.target.shape[0] if self.by_images else self.kernel.units(self.target)

    @property
    def row_need(self) -> RowNeed:
        """The rows of the first source that rows of the target read, pooling included."""
        return replace(self.kernel.row_need, granularity=self.granularity)

    @property
    def macs(self) -> int:
        """Multiply-adds of one run, those with padding included."""
        return self.kernel.macs(self.target)

    def cycles(self, target: Target) -> float:
        """Approximate cycles on one core (see `Kernel.cycles`)."""
        return self.kernel.cycles(target, self.sources, self.target)


@dataclass(frozen=True)
class ImageTile:
    """So many `images` that several stages compute one after the other; `first` is the step of the first stage."""

    first: int
    images: int


@dataclass(frozen=True)
class Stage:
    """Steps that run together, with a barrier before them if `barrier`.

    One shard runs the whole stage if `single_shard`; if `replicated`, every shard runs the whole, into memory of its
    own. A single step computes all rows of its shard at once. Several steps are streamed: for each `block` rows of the
    last step, every step computes the rows that the next step reads and that the ring does not hold yet: all of them
    at once, or, `by_need`, as few at a time as it can, so that no ring holds more than one window of rows. Then the
    first step runs `lead` rows ahead of what the second one reads. A stage that runs `once` a call, for its first
    image, depends on no image; it stands before all others. Neighbours with the same `tile` run tile by tile, as far as
    no barrier stands between them (`image_tiles`).
    """

    steps: tuple[int, ...]
    block: int = 0
    by_need: bool = False
    lead: int = 0
    barrier: bool = False
    single_shard: bool = False
    replicated: bool = False
    once: bool = False
    tile: ImageTile | None = None

    @property
    def shared(self) -> bool:
        """Whether all shards divide it."""
        return not (self.single_shard or self.replicated)


@dataclass(frozen=True)
class ImageBlock:
    """How the images of a call are taken together: at most `images`, and at least `least`, at a time.

    `steps` has the steps that compute a block at once, by the numbers of those that compute one image: the same, with
    the positions of all images as rows. See `image_blocks`.
    """

    images: int
    least: int
    steps: Mapping[int, Step]

    def positions(self, number: int) -> int:
        """Rows of one image."""
        return self.steps[number].units // self.images


@dataclass(frozen=True)
class Schedule:
    """Stages in order, the steps to which they refer by number, and the buffers that the steps touch."""

    stages: tuple[Stage, ...]
    steps: tuple[Step, ...]
    buffers: Mapping[str, Buffer]
    block: ImageBlock | None = None
    alignment: int = abi.ALIGNMENT
    """Bytes at whose multiples buffers begin."""


def runs_of(stages: Sequence[Stage], block: ImageBlock | None) -> list[tuple[int, int]]:
    """For each stage the first and last of its run.

    A stage that computes a block of images at once is a run by itself; the stages between two such run image by image.
    """
    together = [block is not None and stage.steps[0] in block.steps for stage in stages]
    found: list[tuple[int, int]] = []
    for whole, members in itertools.groupby(range(len(stages)), together.__getitem__):
        run = list(members)
        found += [(at, at) if whole else (run[0], run[-1]) for at in run]
    return found


@dataclass(frozen=True)
class Interface:
    """An input or output of the model: its type with the graph's N, and whether its first axis counts images."""

    name: str
    type: TensorType
    batched: bool

    def elements(self, batchable: bool) -> int:
        """Elements that one run of the program advances by."""
        return self.type.size // self.type.shape[0] if self.batched and batchable else self.type.size


@dataclass(frozen=True)
class StateInterface:
    """A state of the model: its type, and where it begins in the block of all states, in bytes."""

    name: str
    type: TensorType
    offset: int


@dataclass(frozen=True)
class Plan:
    """Steps in order, their buffers and schedule, and the packed weights.

    `arena_bytes` follow the workspace's header; `shard_bytes` (rings) follow for each shard. A batchable
    plan describes one image and runs once for each; another one describes the whole input. Any number of shards may
    run it, but more than `useful_shards` gain nothing. `offers` are the candidates that there were to choose from, by
    signature. `fixed` tells why a plan is not batchable, as the first half of a sentence. `stored` names the
    layers whose weights are not stored as float32, and what they are stored as. `block` tells how a call of several
    images takes them together, if it does. `states` lie in a block of `state_bytes`, which the caller keeps from call
    to call. A program that is `checked` has a word for the fault that it finds.
    """

    name: str
    target: Target
    inputs: tuple[Interface, ...]
    outputs: tuple[Interface, ...]
    images: int
    batchable: bool
    buffers: Mapping[str, Buffer]
    steps: tuple[Step, ...]
    stages: tuple[Stage, ...]
    weights: bytes
    arena_bytes: int
    arena_bound: int
    shard_bytes: int
    useful_shards: int = 1
    offers: Mapping[str, tuple[Candidate, ...]] = field(default_factory=dict)
    fixed: str = ""
    stored: Mapping[str, Element] = field(default_factory=dict)
    block: ImageBlock | None = None
    states: tuple[StateInterface, ...] = ()
    state_bytes: int = 0
    checked: bool = False

    @property
    def alignment(self) -> int:
        """Bytes at whose multiples buffers begin."""
        return self.target.alignment

    @property
    def max_shards(self) -> int:
        return most_shards(self.target)

    @property
    def workspace_base(self) -> int:
        return self.header_bytes + self.arena_bytes

    @property
    def workspace_bytes(self) -> int:
        """Of a workspace for one shard."""
        return self.workspace_base + self.shard_bytes

    @property
    def header_bytes(self) -> int:
        """Bytes of the workspace's header: words of the barrier, in cache lines of their own, and the fault word.

        A program of one shard without checks has neither.
        """
        return abi.HEADER_BYTES if self.target.atomics else abi.HEADER_BYTES_OF_ONE if self.checked else 0

    @property
    def tiles(self) -> dict[Contraction, set[Tiling]]:
        """The convolutions computed by Winograd's transforms, with their tiles: see `tolerance`."""
        found: dict[Contraction, set[Tiling]] = {}
        for step in self.steps:
            if step.kernel.transform:
                contraction, steps = step.kernel.transform
                arrive = self.buffer(step.sources[1]).space != "weights"
                found.setdefault(contraction, set()).add(Tiling(steps, arrive))
        return found

    def buffer(self, view: View) -> Buffer:
        return self.buffers[view.buffer]

    def entries(self, table: str) -> tuple[int, ...]:
        """The entries of an index table."""
        buffer = self.buffers[table]
        return tuple(np.frombuffer(self.weights, buffer.dtype.numpy, buffer.elements, buffer.place).tolist())


def most_shards(target: Target) -> int:
    """The most shards of a program on a target; more than one need barriers."""
    return 64 if target.atomics else 1
