"""The compiler's result for the runtime: object bytes, weights and everything needed to call them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..machine.target import Target
from ..objects import format_of
from ..objects.regions import Regions
from ..types import Array, TensorType


class NamedPort(Protocol):
    """An input or output whose shape may be unknown."""

    @property
    def name(self) -> str: ...

    @property
    def shape(self) -> Sequence[int | str] | None: ...

    @property
    def dtype(self) -> str: ...

    @property
    def frame(self) -> str: ...


class Takes(Protocol):
    """What takes arrays by name or in order."""

    @property
    def name(self) -> str: ...

    @property
    def inputs(self) -> Sequence[NamedPort]: ...


class Typed:
    """What has a type."""

    type: TensorType

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.shape

    @property
    def dtype(self) -> str:
        return self.type.dtype.name


@dataclass(frozen=True)
class Port(Typed):
    """An input or output of a compiled model, in the order of the ABI's pointer arrays.

    If `batched`, its first axis counts images, and an array for n images holds n times one image (`shape` is that of
    the graph). A port that is not batched (weights given at run time) keeps its shape. An input that takes frames of a
    camera has their axes and channels as `frame`, as in 'NHWC BGR'.
    """

    name: str
    type: TensorType
    batched: bool
    frame: str = ""


@dataclass(frozen=True)
class StatePort(Typed):
    """A state of a compiled model: it begins at byte `offset` of the block of all states."""

    name: str
    type: TensorType
    offset: int

    def bytes_in(self, block: Array) -> Array:
        """The bytes of this state in a block: a view."""
        return block[self.offset :][: self.type.nbytes]


@dataclass(frozen=True)
class BufferUse:
    """What a call of one image reads and writes in a buffer, in bytes, if registers hold nothing (`plan/hot.py`).

    It has `bytes` bytes at `offset` of its `space`: 'arena' (behind the workspace's header), 'ring' (the memory of each
    shard behind that), 'weights' or 'state'; of an 'input' or 'output' the offset is its number. `layers` use it.
    """

    name: str
    space: str
    offset: int
    bytes: int
    read: int
    written: int
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Executable:
    """One compiled model. `symbol` is the C identifier that prefixes its functions (`symbol_run`, …).

    If it is one of several programs of a library, which differ in the sizes of their inputs and share their weights,
    `library` is the C identifier that all of them have in common.

    `images` is N of the graph; a call may have another N only if `batchable`, and `fixed` tells why not. A workspace
    for s shards takes `workspace_base + s * workspace_shard` bytes, at a multiple of `target.alignment`. Up to
    `max_shards` may run it, of which more than `useful_shards` are not faster; each takes at most `stack_bytes` of its
    stack, but for what is not in the object (None: not known); with `sharing` 'cost' the runtime may take fewer than it
    was given. `cycles` is what the plan expects of a call of N images by one shard. `steps` names the plan's steps, for
    the reports of the checked mode. `weights` from the cache are a view of what was read of it; `weights_element` is
    what those of convolutions and dense layers are stored as. With `convert`, calls from Python convert arrays of other
    elements, if they do not say otherwise.

    A call gives the `fingerprint`, and the block of weights begins with those of all programs that read it: code takes
    only what was compiled with it.

    `regions` names sections for a linker script. `buffers` are sorted by how often each of their bytes is used, the
    hottest first.

    A model with `states` keeps them in a block of `state_bytes`, aligned likewise, which the caller owns; it follows
    the outputs in their array of pointers. `initial_state` is what is in it before the first call (empty where that is
    in the loaded library); `updates` tells whether calls change it.
    """

    name: str
    symbol: str
    target: Target
    object: bytes
    weights: bytes | memoryview
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    images: int
    batchable: bool
    workspace_base: int
    workspace_shard: int
    max_shards: int
    useful_shards: int
    sharing: str = "all"
    labels: tuple[str, ...] = ()
    checked: bool = False
    steps: tuple[str, ...] = ()
    undefined: tuple[str, ...] = ()
    fixed: str = ""
    weights_element: str = "float32"
    library: str = ""
    fingerprint: int = 0
    states: tuple[StatePort, ...] = ()
    state_bytes: int = 0
    initial_state: bytes | memoryview = b""
    updates: bool = False
    convert: bool = False
    cycles: int = 0
    stack_bytes: int | None = None
    buffers: tuple[BufferUse, ...] = ()
    regions: Regions = field(default_factory=Regions)

    @property
    def code_bytes(self) -> int:
        """Bytes of machine code and constants; 0 without an object."""
        return format_of(self.target).code_bytes(self.object, self.regions.code) if self.object else 0

    @property
    def stem(self) -> str:
        """What files and weights are called after."""
        return self.library or self.symbol

    @property
    def weights_symbol(self) -> str:
        return f"{self.stem}_weights"

    @property
    def state_symbol(self) -> str:
        return f"{self.stem}_initial_state"

    def workspace_bytes(self, shards: int) -> int:
        return self.workspace_base + shards * self.workspace_shard
