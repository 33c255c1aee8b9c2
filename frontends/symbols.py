"""The elements of a model under construction: symbolic tensors, parameters, layers and calls of layers.

Calling a layer computes nothing. It runs the op's type rule and returns tensors with a reference to the call;
`Model` follows these references back from its outputs. There is no registry, so tensors that no model uses are
freed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, cast

import numpy as np

from ..batching import one_more
from ..elements import BOOL, COMPUTED, ELEMENTS, FLOAT32, INTEGERS, Element
from ..errors import Location, ModelError, ShapeError, caller_location
from ..op import Op
from ..ops import (
    Abs,
    Add,
    And,
    BitwiseAnd,
    BitwiseNot,
    BitwiseOr,
    BitwiseXor,
    Cast,
    Div,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Mod,
    Mul,
    Neg,
    Not,
    Or,
    Sub,
    Xor,
)
from ..types import Array, TensorType
from .arguments import checked_name, located
from .counts import Count, counted

Initial = Callable[[np.random.Generator, tuple[int, ...]], Array]
"""Makes the initial values of a parameter of a given shape."""


class Tensor:
    """A value of a model under construction: its type, and the call that computes it (None for inputs)."""

    __array_ufunc__ = None  # `array + tensor` is refused below, instead of being applied to each element of the array

    asked: Location | None = None
    """Where the script first read the number of images of a tensor computed from this one; for inputs only."""

    def __init__(
        self, exact: TensorType, call: LayerCall | None = None, index: int = 0, more: TensorType | None = None
    ):
        self.exact, self.call, self.index = exact, call, index
        self.more = more or exact

    @property
    def type(self) -> TensorType:
        """Logical shape and element type. Sizes that depend on the number of images are whole numbers that record
        every computation or comparison with them: the model is then for that number only."""
        return counted(self.exact, self._sizes())

    @property
    def shape(self) -> tuple[int, ...]:
        """Logical shape: (N, C, spatial…); see `type`."""
        return self.type.shape

    def _sizes(self) -> tuple[int, ...]:
        """The shape with counts where it depends on the number of images."""
        mixed = self.call is not None and self.call.more is None
        old, new = self.exact.shape, self.more.shape
        return tuple(
            cast(int, Count(size, self._note, pure=not mixed)) if mixed or size != other else size
            for size, other in zip(old, new, strict=True)
        )

    def _note(self) -> None:
        where = caller_location()
        for tensor in origins(self):
            tensor.asked = tensor.asked or where

    def __add__(self, other: Tensor | float) -> Tensor:
        return _applied(Add(), self, other)

    def __radd__(self, other: Tensor | float) -> Tensor:
        return _applied(Add(), other, self)

    def __sub__(self, other: Tensor | float) -> Tensor:
        return _applied(Sub(), self, other)

    def __rsub__(self, other: Tensor | float) -> Tensor:
        return _applied(Sub(), other, self)

    def __mul__(self, other: Tensor | float) -> Tensor:
        return _applied(Mul(), self, other)

    def __rmul__(self, other: Tensor | float) -> Tensor:
        return _applied(Mul(), other, self)

    def __truediv__(self, other: Tensor | float) -> Tensor:
        return _applied(Div(), self, other)

    def __rtruediv__(self, other: Tensor | float) -> Tensor:
        return _applied(Div(), other, self)

    def __neg__(self) -> Tensor:
        return _applied(Neg(), self)

    def __abs__(self) -> Tensor:
        return _applied(Abs(), self)

    def __mod__(self, other: Tensor | float) -> Tensor:
        return _applied(Mod(), self, other)

    def __rmod__(self, other: Tensor | float) -> Tensor:
        return _applied(Mod(), other, self)

    # `==` stays Python's, by which tensors are told apart: nn.Equal()(a, b) compares their elements

    def __lt__(self, other: Tensor | float) -> Tensor:
        return _applied(Less(), self, other)

    def __le__(self, other: Tensor | float) -> Tensor:
        return _applied(LessOrEqual(), self, other)

    def __gt__(self, other: Tensor | float) -> Tensor:
        return _applied(Greater(), self, other)

    def __ge__(self, other: Tensor | float) -> Tensor:
        return _applied(GreaterOrEqual(), self, other)

    def __and__(self, other: Tensor | int) -> Tensor:
        return _applied(self._logic(And, BitwiseAnd), self, other)

    def __rand__(self, other: Tensor | int) -> Tensor:
        return _applied(self._logic(And, BitwiseAnd), other, self)

    def __or__(self, other: Tensor | int) -> Tensor:
        return _applied(self._logic(Or, BitwiseOr), self, other)

    def __ror__(self, other: Tensor | int) -> Tensor:
        return _applied(self._logic(Or, BitwiseOr), other, self)

    def __xor__(self, other: Tensor | int) -> Tensor:
        return _applied(self._logic(Xor, BitwiseXor), self, other)

    def __rxor__(self, other: Tensor | int) -> Tensor:
        return _applied(self._logic(Xor, BitwiseXor), other, self)

    def __invert__(self) -> Tensor:
        return _applied(self._logic(Not, BitwiseNot), self)

    def _logic(self, of_truth: Callable[[], Op], of_bits: Callable[[], Op]) -> Op:
        """Python spells both alike: the elements tell which is meant."""
        return of_bits() if self.exact.dtype in INTEGERS else of_truth()

    def astype(self, dtype: str) -> Tensor:
        """The same values as 'float32', 'int32', 'int64' or 'bool' (see nn.Cast)."""
        return _applied(Cast(dtype), self)

    def __repr__(self) -> str:
        return f"Tensor({self.type})"


def _applied(op: Op, *operands: Tensor | float) -> Tensor:
    """The operator's layer, called; numbers become constants."""
    numbers = [int(t) if isinstance(t, Count) else t for t in operands]
    (dtype, *_) = (t.exact.dtype for t in operands if isinstance(t, Tensor))
    tensors = [Constant(t, dtype.name) if _fits(t, dtype) else t for t in numbers]
    layer = Operator(op)
    (result,) = layer.apply(cast(Sequence[Tensor], tensors), {}, layer.where)  # refuses operands of other types
    return result


def _fits(operand: object, dtype: Element) -> bool:
    """Whether an operand is a number beside such a tensor: of truth values, True or False."""
    return isinstance(operand, bool if dtype is BOOL else int | float) and isinstance(operand, bool) == (dtype is BOOL)


class Constant(Tensor):
    """An array, or a number, that never changes, of `dtype` 'float32', 'int32', 'int64' or 'bool'.

    Raises ModelError for what is no array of finite numbers, or of numbers that `dtype` does not hold.
    """

    def __init__(self, data: Any, dtype: str = FLOAT32.name):
        self.where = caller_location()
        with located(None, self.where):
            if ELEMENTS.get(dtype) not in COMPUTED:
                raise ModelError(f"dtype {dtype!r}: expected {' or '.join(repr(element.name) for element in COMPUTED)}")
            self.data = _held(data, ELEMENTS[dtype])
            super().__init__(TensorType.of(self.data))

    def __repr__(self) -> str:
        return f"Constant({self.type})"


def _held(data: Any, element: Element) -> Array:
    """The array of these elements; raises ModelError for data that is none."""
    try:
        given = np.asarray(data)
        with np.errstate(invalid="ignore"):
            array = np.array(data, element.numpy) if element.is_float else given.astype(element.numpy)
    except (TypeError, ValueError, OverflowError):
        raise ModelError(f"a constant holds numbers, got {data!r}") from None
    if element.is_float and not np.isfinite(array).all():
        raise ModelError("a constant holds values that are not finite")
    if not element.is_float and (given.dtype.kind not in "biuf" or not (given == array).all()):
        raise ModelError(f"a constant of {element} holds numbers from {element.least} to {element.most}, got {data!r}")
    return array


@dataclass(frozen=True)
class Spec:
    """Shape and initial values of a parameter."""

    shape: tuple[int, ...]
    initial: Initial


@dataclass(eq=False)
class Parameter:
    """An array that a layer owns: weights, bias, statistics. A model fills `value`, which is read-only."""

    layer: Layer
    role: str
    type: TensorType
    initial: Initial
    value: Array | None = None

    @property
    def exact(self) -> TensorType:
        """The type, as a tensor has it."""
        return self.type

    more = exact

    def set(self, data: Array) -> None:
        copy = np.array(data, dtype=self.type.dtype.numpy, order="C", copy=True)
        copy.flags.writeable = False
        self.value = copy


@dataclass(frozen=True, eq=False)
class LayerCall:
    """One use of a layer; `suffix` distinguishes the nodes of one layer ('conv1', then 'conv1.relu')."""

    layer: Layer
    op: Op
    inputs: tuple[Tensor | Parameter, ...]
    types: tuple[TensorType, ...]
    where: Location | None
    suffix: str = ""

    @cached_property
    def more(self) -> tuple[TensorType, ...] | None:
        """The types with one image more; None if the op, or one before it, mixes images."""
        if any(isinstance(value, Tensor) and value.call and value.call.more is None for value in self.inputs):
            return None
        try:
            before, after = zip(*((value.exact, value.more) for value in self.inputs), strict=True)
            return one_more(self.op, before, after, self.types)
        except ShapeError:
            return None

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        more = self.more or self.types
        return tuple(Tensor(type, self, index, more[index]) for index, type in enumerate(self.types))


def origins(tensor: Tensor) -> set[Tensor]:
    """The inputs and constants that a tensor is computed from."""
    found: set[Tensor] = set()
    waiting, seen = [tensor], set[LayerCall]()
    while waiting:
        call = (one := waiting.pop()).call
        if call is None:
            found.add(one)
        elif call not in seen:
            seen.add(call)
            waiting += [value for value in call.inputs if isinstance(value, Tensor)]
    return found


class Layer:
    """A callable on tensors. It owns its parameters, so calling it twice shares them.

    A subclass returns its op (`operation`) and the parameters that the op reads after the tensors (`specify`). Both
    are called with the types of the tensors, on the first and on every later call.
    """

    kind: str
    """Name of an unnamed layer, before its number."""
    takes: ClassVar[int | None] = 1
    """Number of tensors that a call takes; None for any."""

    activation: tuple[str, Op] | None = None
    """The activation on the op's result, as a node of its own: its name and its op."""
    parent: Layer | None = None
    """The block that the layer is part of; its name precedes the layer's."""

    def __init__(self, name: str | None = None):
        self.where = caller_location()
        self.name = None if name is None else checked_name(name, self.where)
        self.parameters: dict[str, Parameter] = {}

    @property
    def shown(self) -> str:
        """The layer in messages, before a model has numbered it."""
        return self.name or self.kind

    def operation(self, *types: TensorType) -> Op:
        raise NotImplementedError

    def specify(self, *types: TensorType) -> dict[str, Spec]:
        """The parameters by role, in the order of the op's inputs."""
        return {}

    def apply(
        self, tensors: Sequence[Tensor], given: Mapping[str, Tensor], where: Location | None
    ) -> tuple[Tensor, ...]:
        """The layer's results; `given` are tensors in place of parameters. Raises ShapeError, ModelError."""
        with located(self.shown, where):
            call = self._call(tensors, given, where)
            if self.activation is None:
                return call.outputs
            name, op = self.activation
            return LayerCall(self, op, call.outputs, op.infer(*call.types), where, f".{name}").outputs

    def _call(self, tensors: Sequence[Tensor], given: Mapping[str, Tensor], where: Location | None) -> LayerCall:
        self._check(tensors)
        types = [tensor.exact for tensor in tensors]
        op, specs = self.operation(*types), self.specify(*types)
        if not self._steady(op, specs, [tensor.more for tensor in tensors]):
            for tensor in tensors:
                tensor._note()
        chosen = {role: self._parameter(role, spec, given) for role, spec in specs.items()}
        for role in given:
            if role not in specs:
                raise ModelError(f"there is no parameter '{role}' to be given ({', '.join(specs) or 'it has none'})")
        inputs = (*tensors, *chosen.values())
        results = op.infer(*(value.exact for value in inputs))
        self.parameters.update({role: own for role, own in chosen.items() if isinstance(own, Parameter)})
        return LayerCall(self, op, inputs, results, where)

    def _steady(self, op: Op, specs: Mapping[str, Spec], more: Sequence[TensorType]) -> bool:
        """Whether op and parameters are the same for one image more."""
        try:
            shapes = {role: spec.shape for role, spec in self.specify(*more).items()}
            return self.operation(*more) == op and shapes == {role: spec.shape for role, spec in specs.items()}
        except Exception:  # a layer of the user's may raise anything
            return False

    def _check(self, tensors: Sequence[object]) -> None:
        if self.takes is not None and len(tensors) != self.takes:
            raise ModelError(f"takes {self.takes} tensor{'s' * (self.takes > 1)}, got {len(tensors)}")
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                raise ModelError(f"takes tensors, got {type(tensor).__name__}")

    def _parameter(self, role: str, spec: Spec, given: Mapping[str, Tensor]) -> Parameter | Tensor:
        """The op's input for `role`: the tensor given for it, or else the layer's own parameter."""
        expected = TensorType(spec.shape, FLOAT32)
        if role not in given:
            return self.parameters.get(role) or Parameter(self, role, expected, spec.initial)
        tensor = given[role]
        if not isinstance(tensor, Tensor):
            raise ModelError(f"{role} must be a tensor (nn.Input(…, batch=None)), got {type(tensor).__name__}")
        if tensor.exact != expected:
            raise ShapeError(f"{role} given at run time is {tensor.exact}, expected {expected}")
        return tensor


class Operator(Layer):
    """The layer of `a + b` and other operators: one op without attributes, on one tensor for each operand."""

    takes = None

    def __init__(self, op: Op):
        super().__init__()
        self.kind, self.op = op.name.lower(), op

    def operation(self, *types: TensorType) -> Op:
        return self.op
