"""The inputs and outputs that a model accepts, and the error messages for all others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..abi import MOST_IMAGES
from ..elements import ELEMENTS
from ..errors import InputError
from ..types import Array
from .conversion import converted, converts, hint, is_native, is_widened, named
from .executable import Executable, NamedPort, Port, Takes
from .foreign import array_of
from .memory import allocated, most_unseen


def ordered_inputs(model: Takes, given: Sequence[Any], named: Mapping[str, Any] | None = None) -> list[Any]:
    """Positional arguments and those by `named`, or one mapping by name, in the order of the ports; buffers become
    arrays over their memory, and one frame without N an array with it.

    Raises InputError for any other number or set of names.
    """
    ports = model.inputs
    if named:
        given = _completed(model, given, named)
    elif len(given) == 1 and isinstance(given[0], Mapping):
        given = _by_name(model, given[0])
    if len(given) != len(ports):
        wanted = _names(ports)
        raise InputError(f"model '{model.name}' takes {len(ports)} input(s) ({wanted}), {len(given)} given")
    arrays = [v if isinstance(v, np.ndarray) else _viewed(p, v) for p, v in zip(ports, given, strict=True)]
    return [_with_images(port, array) if port.frame else array for port, array in zip(ports, arrays, strict=True)]


def with_out(model: Takes, inputs: tuple[Any, ...], named: int, out: Any) -> tuple[tuple[Any, ...], Any]:
    """Inputs and outputs of a call in which the outputs may be given behind the inputs; so many are `named`."""
    expected = 1 if inputs and isinstance(inputs[0], Mapping) else len(model.inputs) - named
    return (inputs[:-1], inputs[-1]) if out is None and len(inputs) == expected + 1 else (inputs, out)


def _with_images(port: NamedPort, array: Any) -> Any:
    """A frame that lacks N, where N is 1 or free, as a view with it."""
    lacks = isinstance(array, np.ndarray) and port.shape is not None and array.ndim == len(port.shape) - 1
    return array[None] if lacks and port.shape and port.shape[0] in (1, "n") else array


def _viewed(port: NamedPort, value: Any) -> Any:
    return array_of(value, what=f"input '{port.name}'", bytes_too=port.dtype == "uint8", copied=True)


def _written(port: NamedPort, value: Any) -> Any:
    return array_of(value, what=f"output '{port.name}'", bytes_too=port.dtype == "uint8")


def _completed(model: Takes, given: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
    """Inputs in order and, for those that are left, by their names."""
    placed = dict(zip([port.name for port in model.inputs], given, strict=False))
    if twice := [name for name in named if name in placed]:
        raise InputError(f"model '{model.name}': input '{twice[0]}' is given twice, by its place and by its name")
    return _by_name(model, {**placed, **named}) if len(placed) == len(given) else [*given, *named.values()]


def _by_name(model: Takes, given: Mapping[str, Any]) -> list[Any]:
    names = [port.name for port in model.inputs]
    missing = [name for name in names if name not in given]
    surplus = [str(name) for name in given if name not in names]
    if missing or surplus:
        faults = [
            f"{what} {', '.join(map(repr, which))}"
            for what, which in (("missing", missing), ("unknown", surplus))
            if which
        ]
        raise InputError(f"model '{model.name}' takes the inputs {_names(model.inputs)}: {'; '.join(faults)}")
    return [given[name] for name in names]


def checked_inputs(executable: Executable, given: Sequence[Any], *, convert: bool = False) -> tuple[list[Array], int]:
    """The inputs as C-contiguous arrays (copied if they are not) and the number of images they hold.

    Raises InputError for anything that is not an array of the port's type and shape; with `convert`, other elements are
    converted where none changes but by rounding (`conversion`). If the model is batchable, the
    number of images may differ from the graph's, but must be the same in every batched input. Raises
    NoMemoryError if there is no room for a copy.
    """
    arrays = [_input(port, value, convert) for port, value in zip(executable.inputs, given, strict=True)]
    images = _images(executable, [array.shape for array in arrays])
    if images > MOST_IMAGES:
        raise InputError(f"model '{executable.name}' takes at most {MOST_IMAGES:,} images in a call, got {images:,}")
    if images < fewest(executable):
        own = next(port.name for port in executable.outputs if not port.batched)
        raise InputError(f"model '{executable.name}' takes at least one image: output '{own}' depends on no image")
    for port, array in zip(executable.inputs, arrays, strict=True):
        _check_shape("input", port, array, shape_for(executable, port, images), _hint(executable, port, array))
    return [_dense(port, array) for port, array in zip(executable.inputs, arrays, strict=True)], images


def fewest(executable: Executable) -> int:
    """The fewest images of a call: 1 where an output has elements nevertheless, which nothing else would compute."""
    return 0 if all(port.batched for port in executable.outputs) else 1


def checked_outputs(executable: Executable, given: Any, inputs: Sequence[Array], images: int) -> list[Array]:
    """The arrays of `out=` (one, a sequence or a mapping by name), which native code writes directly.

    Raises InputError unless each is a writable, C-contiguous array of exactly the output's type and shape that shares
    no memory with an input or another output.
    """
    arrays = _ordered_outputs(executable, given)
    others = list(inputs)
    for port, array in zip(executable.outputs, arrays, strict=True):
        _output(port, array)
        _check_shape("output", port, array, shape_for(executable, port, images))
        if not (array.flags.c_contiguous and array.flags.aligned and array.flags.writeable):
            raise InputError(f"output '{port.name}' must be a writable, C-contiguous array")
        if any(np.may_share_memory(array, other) for other in others):
            raise InputError(f"output '{port.name}' shares memory with an input or another output")
        others.append(array)
    return arrays


def shape_for(executable: Executable, port: Port, images: int) -> tuple[int, ...]:
    """The shape of a port's array in a call with `images` images (N of the whole graph)."""
    if not port.batched or images == executable.images:
        return port.shape
    return (port.shape[0] // executable.images * images, *port.shape[1:])


def fresh_outputs(executable: Executable, images: int) -> list[Array]:
    """Arrays for the outputs of a call with this many images. Raises NoMemoryError if there is no room for them."""
    shapes = [(shape_for(executable, port, images), port.type.dtype.numpy) for port in executable.outputs]
    size = sum([math.prod(shape) * kind.itemsize for shape, kind in shapes])
    return allocated(
        size,
        lambda: [np.empty(shape, kind) for shape, kind in shapes],
        lambda: f"the outputs of model '{executable.name}' for {images:,} image(s)",
    )


def most_fresh(executable: Executable) -> int:
    """The most images whose fresh outputs are made without a look at free memory; negative if not even for none."""
    sizes = {True: 0, False: 0}
    for port in executable.outputs:
        sizes[port.batched and executable.batchable] += port.type.nbytes
    return min(most_unseen(sizes[True] // executable.images, sizes[False]), MOST_IMAGES)


def _dense(port: Port, array: Array) -> Array:
    """The array, or a C-contiguous copy of the port's elements that native code can read."""
    flags, native = array.flags, array.dtype == port.type.dtype.numpy
    if native and flags.c_contiguous and flags.aligned:
        return array
    return allocated(
        array.size * port.type.dtype.bytes,
        lambda: np.require(array if native else converted(port, array), requirements=["C", "A"]),
        lambda: f"a copy of input '{port.name}' of shape {array.shape}, which is not C-contiguous",
    )


def _ordered_outputs(executable: Executable, given: Any) -> list[Array]:
    ports = executable.outputs
    if isinstance(given, Mapping):
        if set(given) != {port.name for port in ports}:
            raise InputError(f"out= of model '{executable.name}' takes the outputs {_names(ports)}")
        return [_written(port, given[port.name]) for port in ports]
    arrays = list(given) if isinstance(given, list | tuple) else [_written(ports[0], given)]
    if len(arrays) != len(ports) or not (isinstance(given, list | tuple) or isinstance(arrays[0], np.ndarray)):
        raise InputError(f"out= of model '{executable.name}' takes {len(ports)} array(s) ({_names(ports)})")
    return [_written(port, array) for port, array in zip(ports, arrays, strict=True)]


def expect_elements(model: Takes, given: Sequence[Any], *, convert: bool = False) -> None:
    """Raise InputError for inputs, in order, that are no arrays of their port's elements, whatever their shape."""
    for port, value in zip(model.inputs, given, strict=True):
        _input(port, value, convert)


def _input(port: NamedPort, value: Any, convert: bool) -> Array:
    """An array of the port's elements, or that becomes one; lists are refused, their elements would be a guess."""
    if not isinstance(value, np.ndarray):
        raise InputError(f"input '{port.name}': expected a {port.dtype} array, got {type(value).__name__}")
    asked = convert and converts(ELEMENTS[port.dtype], value.dtype)
    if not (asked or is_native(port, value.dtype) or is_widened(port, value.dtype)):
        told = hint(port.dtype, value.dtype)
        raise InputError(f"input '{port.name}': expected {port.dtype}, got {named(value.dtype)}{told}")
    return value


def _output(port: Port, value: Any) -> Array:
    if not isinstance(value, np.ndarray):
        raise InputError(f"output '{port.name}': expected a {port.dtype} array, got {type(value).__name__}")
    if value.dtype != port.type.dtype.numpy:
        raise InputError(f"output '{port.name}': expected {port.dtype}, got {named(value.dtype)}")
    return value


def takes(executable: Executable, shapes: Sequence[Sequence[int]]) -> bool:
    """Whether these are shapes of its inputs, for any number of images that it takes."""
    images = _images(executable, shapes)
    return all(
        shape == shape_for(executable, port, images) for port, shape in zip(executable.inputs, shapes, strict=True)
    )


def _images(executable: Executable, shapes: Sequence[Sequence[int]]) -> int:
    """N of this call, from the first batched input of the right rank; the graph's N if it has no whole number."""
    for port, shape in zip(executable.inputs, shapes, strict=True):
        if executable.batchable and port.batched and len(shape) == len(port.shape):
            images, rest = divmod(shape[0] * executable.images, port.shape[0])
            return executable.images if rest else images
    return executable.images


def _check_shape(what: str, port: Port, array: Array, expected: tuple[int, ...], hint: str = "") -> None:
    if array.shape != expected:
        raise InputError(f"{what} '{port.name}': expected shape {expected}, got {array.shape}{hint}")


def _hint(executable: Executable, port: Port, array: Array) -> str:
    """Why an array is refused whose number of images is missing, or another one than the graph's, and nothing else."""
    if port.shape and array.shape == port.shape[1:]:
        return "; the first axis, of images, is missing (x[None] adds it)"
    if executable.batchable or array.shape[1:] != port.shape[1:] or not 0 < array.ndim == len(port.shape):
        return ""
    why = executable.fixed or "this model mixes images"
    return f"; {why}, so that the number of images is fixed at {port.shape[0]}"


def _names(ports: Sequence[NamedPort]) -> str:
    return ", ".join(f"'{port.name}'" for port in ports)
