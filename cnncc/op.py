"""The base class of ops: attributes, type rule, reference, cost, lowering and sample cases stand on one page.

An op is a frozen dataclass of its attributes. Each concrete class registers itself under its name; a test
walks the registry, so a missing rule is a failing test. Passes and tools ask for the traits declared here
and never for lists of op names.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, Protocol, SupportsIndex

import numpy as np

from .computation import Lowering
from .elements import FLOAT32, FLOATS, UINT8, Element, element_of
from .errors import ShapeError
from .types import Array, EmptyType, TensorType, port_type


@dataclass(frozen=True)
class Cost:
    """What one evaluation takes: multiply-accumulates, other arithmetic, and elements moved without any."""

    macs: int = 0
    flops: int = 0
    moved: int = 0


@dataclass(frozen=True)
class Sample:
    """A small valid use of an op: the op, and shapes and elements of its inputs (the last one counts for the rest)."""

    op: Op
    shapes: tuple[tuple[int, ...], ...]
    elements: tuple[Element, ...] = (FLOAT32,)

    @property
    def types(self) -> tuple[TensorType, ...]:
        missing = len(self.shapes) - len(self.elements)
        elements = self.elements + self.elements[-1:] * missing
        return tuple(TensorType(shape, element) for shape, element in zip(self.shapes, elements, strict=False))


@dataclass(frozen=True)
class WeightLayout:
    """How weights lie: (O, C / groups, taps…), or (C, O / groups, taps…) if `inputs_first`; without taps (O, C)."""

    groups: int = 1
    inputs_first: bool = False

    def filters(self, weights: Array) -> Array:
        """The weights as (group, output of the group, input of the group, tap)."""
        rows, columns = weights.shape[:2]
        parted = weights.reshape(self.groups, rows // self.groups, columns, -1)
        return parted.swapaxes(1, 2) if self.inputs_first else parted

    def weights(self, filters: Array) -> Array:
        """Filters in the op's own order again, with their taps along one axis."""
        parted = filters.swapaxes(1, 2) if self.inputs_first else filters
        return parted.reshape(-1, *parted.shape[2:])


class TrainingNet(Protocol):
    """What an op says its training form to; what it stands for is the network's own matter."""

    def add(self, op: Op, *inputs: Any) -> tuple[Any, ...]:
        """The results of an op."""

    def shape(self, value: Any) -> tuple[int, ...]: ...

    def number(self, number: float) -> Any:
        """A known number, which broadcasts."""

    def noise(self, like: Any) -> Any:
        """Numbers in [0, 1) for each element of a value, others in each step."""

    def learns(self, value: Any) -> bool:
        """Whether this input of the op is a parameter that is trained."""

    def update(self, state: Any, value: Any) -> None:
        """What an input of the op that is kept from step to step becomes."""


REGISTRY: dict[str, type[Op]] = {}


@dataclass(frozen=True)
class Op:
    """One operation. Subclasses are frozen dataclasses and override every method that raises here."""

    source: ClassVar[Literal["input", "state", "constant"] | None] = None
    """Set for nodes that compute nothing: graph inputs, states and constants."""
    takes: ClassVar[tuple[Element, ...]] = FLOATS
    """Of which elements inputs may be."""
    mixed: ClassVar[bool] = False
    """Whether inputs may be of different elements: the type rule then says which."""
    together: ClassVar[bool] = False
    """Whether inputs that may carry images do so together: then one that does not counts the images of all."""
    abstract: ClassVar[bool] = False

    def __init_subclass__(cls, *, abstract: bool = False) -> None:
        cls.abstract = abstract
        if not abstract:
            REGISTRY[cls.__name__] = cls

    statistics: ClassVar[tuple[int, ...]] = ()
    """Inputs that tell what input 0 looks like, channel by channel (batch norm); see `stated`."""

    @property
    def name(self) -> str:
        return type(self).__name__

    @property
    def weight_layout(self) -> WeightLayout | None:
        """How input 1 lies, if each result is a sum of products of elements of inputs 0 and 1 (and of nothing else);
        input 2, if there is one, is added to it: a number for each output channel (axis 1)."""
        return None

    def stated(self, *statistics: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of each channel of input 0, as its `statistics` (in float64) tell them."""
        raise NotImplementedError

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        """Type rule: the output types; raises ShapeError saying what was expected and what came."""
        raise NotImplementedError

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        """The definition, in NumPy: floats are summed in float64 and rounded once, whole numbers wrap."""
        raise NotImplementedError

    def cost(self, *inputs: TensorType) -> Cost:
        raise NotImplementedError

    def lower(self, *inputs: TensorType) -> Lowering:
        """The op in the plan's six kinds of computation."""
        raise NotImplementedError

    def trained(self, net: TrainingNet, *inputs: Any) -> tuple[Any, ...]:
        """The results of the op in a network that is trained, where they may differ; raises ShapeError."""
        return net.add(self, *inputs)

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        """Which inputs have images along their first axis; None if the op mixes images.

        With such inputs carrying N images and the others none, every output carries N images.
        """
        return tuple(True for _ in ranks)

    def each_image(self) -> Op:
        """The op that does to each of several images what this one does to one, where its attributes name the one."""
        return self

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Small cases that together reach every attribute; used by the differential tests."""
        raise NotImplementedError

    def __str__(self) -> str:
        shown = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name) != f.default]
        return f"{self.name}({', '.join(shown)})"


def expect_count(op: Op, inputs: Sequence[TensorType], least: int, most: int | None = None) -> None:
    """Raise ShapeError unless `least` ≤ number of inputs ≤ `most` (default `least`), all of a type that `op` takes.

    Every type rule begins with it, so it also tells attributes that are no numbers or tuples but should be.
    """
    most = least if most is None else most
    if not least <= len(inputs) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise ShapeError(f"{op.name} takes {wanted} inputs, got {len(inputs)}")
    _expect_elements(op, inputs)
    kind: type = type(op)
    for name, kinds in _declared(kind):
        _expect_kind(name, getattr(op, name), kinds)


@functools.cache
def _declared(op: type) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The attributes of an op that have to be of a kind, with their kinds.

    Counts (int), axes and windows have rules of their own, which each op asks.
    """
    declared = [(attribute.name, tuple(str(attribute.type).split(" | "))) for attribute in fields(op)]
    return tuple((name, kinds) for name, kinds in declared if "int" not in kinds and kinds[0] in KINDS)


def _expect_elements(op: Op, inputs: Sequence[TensorType]) -> None:
    """Raise ShapeError for elements that `op` does not take, or does not take together."""
    for x in inputs:
        if x.dtype not in op.takes:
            way = f"ImageToTensor makes {FLOAT32} of pictures" if x.dtype is UINT8 else "Cast converts it"
            raise ShapeError(f"{op.name} takes {either(op.takes)}, got {x}: {way}")
    if not op.mixed:
        expect_alike(op, inputs)


def expect_alike(op: Op, inputs: Sequence[TensorType]) -> None:
    """Raise ShapeError unless all of these are of one element type: nothing is converted unasked."""
    for x in inputs:
        if x.dtype is not inputs[0].dtype:
            raise ShapeError(
                f"{op.name} takes operands of one type, got {inputs[0]} and {x}: Cast converts one of them"
            )


def either(elements: Sequence[Element]) -> str:
    """'a', 'a or b', 'a, b or c'."""
    *most, last = map(str, elements)
    return f"{', '.join(most)} or {last}" if most else last


def rounded(result: Array) -> Array:
    """What was computed in float64, as the float that tensors hold."""
    return np.asarray(result, FLOAT32.numpy)


def as_held(what: str, value: float, element: Element) -> float:
    """An attribute as a number of the elements that it meets: rounded to a float, or else it must be one of them.

    Raises ShapeError.
    """
    if element.is_float:
        with np.errstate(over="ignore"):  # beyond the largest float is an infinity
            return float(element.numpy.type(value))
    if not element.holds(value):
        raise ShapeError(f"{what}={value!r} is no {element}, which goes from {element.least} to {element.most}")
    return int(value)


def _expect_kind(what: str, value: object, kinds: Sequence[str]) -> None:
    """Raise ShapeError unless an attribute is what it is declared as: a number, a truth value, a tuple of numbers."""
    optional = "None" in kinds
    if optional and value is None:
        return
    wanted, fits = KINDS[kinds[0]]
    if not fits(value):
        wanted = wanted if isinstance(value, tuple) else wanted.partition(" of ")[0]
        raise ShapeError(f"{what}={value!r} must be {wanted}{' or None' * optional}")
    if "float" in kinds[0]:
        for number in value if isinstance(value, tuple) else (value,):
            _expect_float(what, number)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return type(value) is int or (isinstance(value, SupportsIndex) and not isinstance(value, bool))


def _is_pair(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(map(_is_whole, value))


def _tuple_of(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, tuple) and all(map(fits, value))


KINDS: Mapping[str, tuple[str, Callable[[object], bool]]] = {
    "float": ("a number", _is_number),
    "bool": ("True or False", lambda value: isinstance(value, bool)),
    "str": ("a string", lambda value: isinstance(value, str)),
    "tuple[int, ...]": ("a tuple of whole numbers", _tuple_of(_is_whole)),
    "tuple[float, ...]": ("a tuple of numbers", _tuple_of(_is_number)),
    "tuple[tuple[int, int], ...]": ("a tuple of pairs of whole numbers", _tuple_of(_is_pair)),
}
"""How attributes are declared: what is said of another value, and the test."""


def _expect_float(what: str, value: float) -> None:
    """Raise ShapeError for a number that a float turns into an infinity or into 0; NaN and infinities are numbers."""
    if isinstance(value, int) and abs(value) > FLOAT32.most:  # which may have thousands of digits
        raise ShapeError(f"{what} is a whole number beyond {FLOAT32}, at most {FLOAT32.most:.3g} fits")
    with np.errstate(over="ignore", under="ignore"):
        held = as_held(what, value, FLOAT32)
    if held != value and (held == 0 or math.isinf(held)):
        raise ShapeError(f"{what}={value!r} is beyond {FLOAT32}, where it becomes {held:g}")


@dataclass(frozen=True)
class Input(Op):
    """A value that the caller provides.

    `frame` says of a picture which axes and channels it has, as 'NHWC BGR'; who calls may use it.
    """

    type: TensorType
    frame: str = ""
    source = "input"

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 0)
        return (self.type,)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost()

    def __str__(self) -> str:
        return f"Input({self.type})"


@dataclass(frozen=True)
class State(Op):
    """A value that stays from call to call, in memory of the caller's: `Graph.updates` may give it another one.

    It begins as `initial`, which is held read-only and is no part of the code.
    """

    type: TensorType
    initial: Array = field(repr=False, compare=False)
    digest: str = ""
    source = "state"

    @staticmethod
    def of(initial: Array, element: Element = FLOAT32) -> State:
        """A state that owns a read-only copy of its first value, converted to `element`."""
        held = Constant.of(initial, element)
        return State(TensorType(held.data.shape, element), held.data, held.digest)

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 0)
        return (self.type,)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost()

    def __reduce__(self) -> tuple[object, ...]:
        return (_restore_state, (self.initial,))

    def __str__(self) -> str:
        return f"State({self.type} {self.digest[:12]})"


def _restore_state(initial: Array) -> State:
    return State.of(initial, element_of(initial))


@dataclass(frozen=True)
class Constant(Op):
    """A value known at compile time (weights), held read-only.

    `rounded` says that a pass computed its floats and rounded them once (error bounds take that into account).
    """

    data: Array = field(repr=False, compare=False)
    digest: str = ""
    rounded: bool = False
    source = "constant"

    @staticmethod
    def of(data: Array, element: Element = FLOAT32, *, rounded: bool = False) -> Constant:
        """A constant that owns a read-only copy of `data`, converted to `element`."""
        import hashlib

        copy = np.array(data, dtype=element.numpy, order="C", copy=True)
        copy.flags.writeable = False
        told = repr(copy.shape) if element is FLOAT32 else f"{element}{copy.shape}"
        digest = hashlib.sha256(told.encode() + copy.tobytes()).hexdigest()
        return Constant(copy, digest, rounded)

    @staticmethod
    def nothing(type: EmptyType) -> Constant:
        """A constant without elements, which no op reads."""
        return Constant.of(np.empty(type.shape), type.dtype)

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 0)
        return (port_type(self.data.shape, element_of(self.data)),)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        return (self.data,)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost()

    def __reduce__(self) -> tuple[object, ...]:
        return (_restore_constant, (self.data, self.rounded))

    def __str__(self) -> str:
        return f"Constant({port_type(self.data.shape, element_of(self.data))} {self.digest[:12]})"


def _restore_constant(data: Array, rounded: bool) -> Constant:
    return Constant.of(data, element_of(data), rounded=rounded)


del REGISTRY["Input"], REGISTRY["State"], REGISTRY["Constant"]  # sources, not operations
