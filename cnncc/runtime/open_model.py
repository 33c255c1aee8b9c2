"""A model with open dimensions: one `Model` for each size that calls have, compiled when the first one comes."""

from __future__ import annotations

import itertools
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from ..errors import InputError, ModelError, NativeError, UsageError
from ..shown import shown
from ..sizes import MOST, told
from .arrays import expect_elements, ordered_inputs, takes, with_out
from .executable import Port
from .model import Model
from .outputs import Outputs

Shape = tuple[int, ...]
Shapes = tuple[Shape, ...]
"""Those of all inputs, in order."""

Make = Callable[[dict[str, Shape]], Model]
"""Compiles for shapes of the inputs by name. Raises ModelError or UsageError for a size that the model cannot have."""

Advice = Callable[[dict[str, Shape], str], str]
"""What a user can do about a size that the model cannot have, from the fault: the end of a sentence, or nothing."""


@dataclass(frozen=True)
class OpenPort:
    """An input or output; an open dimension is its name, or '?'. `shape` is None where the model leaves it out, `frame`
    is that of a `Port`.
    """

    name: str
    shape: tuple[int | str, ...] | None
    dtype: str
    frame: str = ""

    def __str__(self) -> str:
        shape = " of any shape" if self.shape is None else f"[{', '.join(map(str, self.shape))}]"
        return f"{self.name}: {self.dtype}{shape}"


@dataclass
class _Held:
    """A compiled size; `used` grows with each call."""

    model: Model
    used: int


class OpenModel:
    """A model that is called as a `Model` is, with inputs of any size that it can have.

    A size is the shapes of the inputs, without the number of images where that is free. The first call with a new one
    compiles it, which takes seconds (through the cache, tenths of one), and says so in a UserWarning; threads that need
    the same size meanwhile wait. At most `MOST` sizes are kept; then the one that was not called for longest leaves,
    and is compiled again when it comes back. `at` compiles a size ahead, and gives its `Model`.

    Without `make`, the sizes are those of `models`, and all others are refused. A pickled model is its source, as that
    of a `Model`. Raises what a `Model` raises, and InputError for a size that the model cannot have.
    """

    def __init__(
        self,
        name: str,
        inputs: Sequence[OpenPort],
        outputs: Sequence[OpenPort],
        models: Iterable[Model],
        *,
        threads: int = 1,
        make: Make | None = None,
        advice: Advice = lambda size, fault: "",
        convert: bool = False,
        labels: tuple[str, ...] = (),
        rebuild: tuple[Callable[..., OpenModel], tuple[Any, ...]],
    ):
        self.name, self.inputs, self.outputs, self.threads = name, tuple(inputs), tuple(outputs), threads
        self.labels = labels
        self._make, self._advice, self._convert, self._rebuild = make, advice, convert, rebuild
        self._held: dict[Shapes, _Held] = {}
        self._clock, self._lock, self._closed = itertools.count(), threading.RLock(), False
        for model in models:
            self._keep(_shapes(model), model)

    def __call__(self, /, *inputs: Any, out: Any = None, convert: bool | None = None, **named: Any) -> Any:
        given = ordered_inputs(self, inputs, named)
        model = self._model(given, self._convert if convert is None else convert)
        if convert is not None:
            return model(*given, out=out, convert=convert)
        return model(*given) if out is None else model(*given, out=out)  # without `convert`, which is slower

    def named(self, /, *inputs: Any, out: Any = None, convert: bool | None = None, **named: Any) -> Outputs:
        """As `Model.named`."""
        given = ordered_inputs(self, inputs, named)
        model = self._model(given, self._convert if convert is None else convert)
        return model.named(*given, out=out, convert=convert)

    def bind(self, /, *inputs: Any, out: Any = None, **named: Any) -> Callable[[], Any]:
        """As `Model.bind`; the callable keeps its size."""
        inputs, out = with_out(self, inputs, len(named), out)
        given = ordered_inputs(self, inputs, named)
        return self._model(given).bind(*given, out=out)

    def at(self, *shapes: Sequence[int]) -> Model:
        """The model of one size, compiled if need be: shapes of the inputs, in order."""
        if len(shapes) != len(self.inputs):
            raise UsageError(f"at() takes a shape for each of the {len(self.inputs)} inputs, got {len(shapes)}")
        return self._at(tuple(map(tuple, shapes)))[0]

    @property
    def sizes(self) -> tuple[Shapes, ...]:
        """The sizes that are kept, from the one that was not called for longest."""
        held = list(self._held.values())  # at once: other threads may add some
        held.sort(key=lambda each: each.used)
        return tuple(_shapes(each.model) for each in held)

    def close(self) -> None:
        """Close the model of every size. Later calls raise NativeError."""
        self._closed = True
        for held in list(self._held.values()):
            held.model.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        ports = ", ".join(map(str, (*self.inputs, *self.outputs)))
        return f"<cnncc.OpenModel '{self.name}' ({ports}), threads={self.threads}, {len(self._held)} size(s)>"

    def _repr_html_(self) -> str:
        """Ports and the sizes that are kept, for notebooks."""
        return shown("open_model", self)

    def __reduce__(self) -> tuple[Callable[..., OpenModel], tuple[Any, ...]]:
        return self._rebuild

    def _model(self, given: Sequence[Any], convert: bool = False) -> Model:
        """The model of the size that arrays have."""
        shapes = tuple([getattr(value, "shape", ()) for value in given])
        if (known := self._known(shapes)) is not None:
            return known
        expect_elements(self, given, convert=convert)  # before anything is compiled
        model, seconds = self._at(shapes)
        if seconds:
            size = told(dict(zip((port.name for port in self.inputs), shapes, strict=True)))
            warnings.warn(f"model '{self.name}' was compiled for {size}, in {seconds:.2f} seconds", stacklevel=3)
        return model

    def _known(self, shapes: Shapes) -> Model | None:
        """The model of a size that is kept; mostly found at the first look."""
        for key in (_of_any_images(shapes), shapes):
            held = self._held.get(key)
            if held is not None and takes(held.model.executable, shapes):
                held.used = next(self._clock)
                return held.model
        return None

    def _at(self, shapes: Shapes) -> tuple[Model, float]:
        """The model of a size, and how many seconds it took to compile it: none if it was kept."""
        with self._lock:
            if (known := self._known(shapes)) is not None:
                return known, 0.0
            if self._closed:
                raise NativeError(f"model '{self.name}' has been closed")
            if self._make is None:
                return self._of_other_images(shapes), 0.0
            begin = time.perf_counter()
            model = self._made(shapes, self._make)
            return model, time.perf_counter() - begin

    def _of_other_images(self, shapes: Shapes) -> Model:
        """The model that has this size but for the number of images, and says why it takes no other.

        Raises InputError where there is none.
        """
        for held in self._held.values():
            if _of_any_images(_shapes(held.model)) == _of_any_images(shapes):
                return held.model
        known = "; ".join(told(self._by_name(size)) for size in sorted(self.sizes))
        raise InputError(f"model '{self.name}' was compiled for {known}, got {told(self._by_name(shapes))}")

    def _made(self, shapes: Shapes, make: Make) -> Model:
        """A new size: for one image, where any number may do, else for the number that came."""
        self._expect_fixed(shapes)
        fault: Exception | None = None
        for chosen in dict.fromkeys((self._of_images(shapes, 1), self._of_images(shapes, None))):
            try:
                model = make(self._by_name(chosen))
            except (ModelError, UsageError) as error:
                fault = error
                continue
            if takes(model.executable, shapes):
                self._keep(shapes, model)
                return model
        if fault is None:  # it takes another number of images, and says why
            return model
        size = self._by_name(shapes)
        advice = self._advice(size, str(fault)) if isinstance(fault, ModelError) else ""
        raise InputError(f"model '{self.name}' cannot take {told(size)}: {fault}{advice}") from None

    def _by_name(self, shapes: Shapes) -> dict[str, Shape]:
        return dict(zip((port.name for port in self.inputs), shapes, strict=True))

    def _of_images(self, shapes: Shapes, images: int | None) -> Shapes:
        """The size for so many images where their number is open (None: for as many as there are)."""
        return tuple(
            (_first(port, shape[0] if images is None else images), *shape[1:]) if shape else shape
            for port, shape in zip(self.inputs, shapes, strict=True)
        )

    def _expect_fixed(self, shapes: Shapes) -> None:
        """Raise InputError for another rank, or another length of an axis, than the model states."""
        for port, shape in zip(self.inputs, shapes, strict=True):
            stated = shape if port.shape is None else port.shape
            same = (a == b or isinstance(a, str) for a, b in zip(stated[1:], shape[1:], strict=False))
            if len(stated) != len(shape) or not all(same):
                wanted = f"({', '.join(map(str, stated))})"
                raise InputError(f"input '{port.name}': expected shape {wanted}, got {shape}")

    def _keep(self, shapes: Shapes, model: Model) -> None:
        """Keep a size, in place of the one that was not called for longest if there are too many."""
        if [port.name for port in model.inputs] != [port.name for port in self.inputs]:
            names = ", ".join(repr(port.name) for port in model.inputs)
            raise ModelError(f"the inputs of model '{self.name}' depend on their sizes: at this one they are {names}")
        key = _of_any_images(shapes) if model.executable.batchable else shapes
        self._held[key] = _Held(model, next(self._clock))
        if len(self._held) > MOST:
            del self._held[min(self._held, key=lambda key: self._held[key].used)]


def _shapes(model: Model) -> Shapes:
    return tuple(port.shape for port in model.inputs)


def _of_any_images(shapes: Shapes) -> Shapes:
    return tuple([(-1, *shape[1:]) for shape in shapes])


def _first(port: OpenPort, images: int) -> int:
    """The length of the first axis that a model is compiled for."""
    stated = port.shape[0] if port.shape else "?"
    return images if isinstance(stated, str) else stated


def of_sizes(
    models: Sequence[Model], threads: int, rebuild: tuple[Callable[..., OpenModel], tuple[Any, ...]]
) -> OpenModel:
    """A model of these sizes only, with the same inputs and outputs at each."""
    inputs = [_common(ports) for ports in zip(*(model.inputs for model in models), strict=True)]
    outputs = [_common(ports) for ports in zip(*(model.outputs for model in models), strict=True)]
    convert = models[0].executable.convert
    return OpenModel(models[0].name, inputs, outputs, models, threads=threads, convert=convert, rebuild=rebuild)


def _common(ports: Sequence[Port]) -> OpenPort:
    """A port of several sizes; what differs is open."""
    first, same_rank = ports[0], len({len(port.shape) for port in ports}) == 1
    lengths = [set(axis) for axis in zip(*(port.shape for port in ports), strict=False)]
    shape = tuple(axis.pop() if len(axis) == 1 else "?" for axis in lengths)
    return OpenPort(first.name, shape if same_rank else None, first.dtype, first.frame)
