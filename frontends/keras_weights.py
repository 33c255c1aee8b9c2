"""Weights of Keras: `.keras`, `.weights.h5` and `.h5` files, whose kernels have the channels last.

Two things differ beside names: the axes of kernels (kernel…, in, out), and the order of what was flattened: Keras
flattens (H, W, C), ours is (C, H, W).
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..allowance import allowance, charge
from ..errors import WeightsError
from ..files import opened
from ..types import Array
from .symbols import LayerCall, Parameter, Tensor

ROLES = {
    "weights": ("kernel", "depthwise_kernel"),
    "bias": ("bias", "beta"),
    "scale": ("gamma",),
    "mean": ("moving_mean",),
    "variance": ("moving_variance",),
    "slope": ("alpha",),
}
LEFT_OUT = {"scale": np.ones, "bias": np.zeros}
"""What a norm of Keras has where it was made with `scale=False` or `center=False`."""

NORM, KERNEL = ("gamma", "beta", "moving_mean", "moving_variance"), ("kernel", "bias")
MIXED = (-1,)
"""In place of a shape: elements that were flattened, and then put together with others."""


def read(path: Path) -> dict[str, dict[str, Array]]:
    """The arrays of each layer with weights, by their names; by their numbers where a file does not name them.

    Raises WeightsError for a file that is missing, damaged or of another kind, and without the package `h5py`.
    """
    try:
        import h5py
    except ImportError:
        raise WeightsError(f"weights file '{path}' needs a package: pip install 'cnncc[keras]'") from None
    with opened(path, "weights file", WeightsError) as stream, allowance():
        try:
            content, classes = _content(path, stream)
            with h5py.File(content, "r") as file:
                return {layer: arrays for layer, arrays in _layers(path, file, classes) if arrays}
        except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile, RuntimeError) as error:
            raise WeightsError(f"weights file '{path}' is no file of Keras that can be read: {error}") from None


def named(roles: Mapping[str, Parameter], arrays: Mapping[str, Array]) -> dict[str, str | None]:
    """The name of each role that is there; None for the scale and bias that a norm was made without."""
    if all(name.isdigit() for name in arrays):
        return dict(zip(roles, arrays, strict=True)) if len(roles) == len(arrays) else {}
    found: dict[str, str | None] = {}
    for role in roles:
        names = [name for name in ROLES.get(role, ()) if name in arrays]
        if names or (role in LEFT_OUT and "moving_mean" in arrays):
            found[role] = names[0] if names else None
    return found


def layout(parameter: Parameter, array: Array | None, flattened: Sequence[int]) -> Array:
    """An array in our layout: kernels with their channels first, and features in the order of our flatten.

    Raises WeightsError where that order cannot be told.
    """
    if tuple(flattened) == MIXED:
        raise WeightsError(
            "the order of its inputs in Keras is not known: they were flattened, and then joined with others or moved",
            node=parameter.layer.shown,
        )
    shape = parameter.type.shape
    if array is None:
        return np.asarray(LEFT_OUT[parameter.role](shape, np.float32))
    if array.ndim == len(shape) >= 2:
        depthwise = parameter.role == "weights" and array.ndim > 2 and shape[1] == 1 and array.shape[-2] > 1
        array = np.moveaxis(array, (-1, -2), (1, 0) if depthwise else (0, 1))
        if depthwise:
            array = array.reshape(-1, 1, *array.shape[2:])
    if flattened and array.shape[-1:] == (math.prod(flattened),):
        order = np.moveaxis(np.arange(array.shape[-1]).reshape(*flattened[1:], flattened[0]), -1, 0)
        array = array[..., order.ravel()]
    return np.ascontiguousarray(array)


def flattened(calls: Sequence[LayerCall]) -> dict[Parameter, tuple[int, ...]]:
    """For each parameter whose layer reads a flattened picture: the picture's shape without N, or `MIXED`."""
    marks: dict[tuple[LayerCall, int], tuple[int, ...]] = {}
    found: dict[Parameter, tuple[int, ...]] = {}
    for call in calls:
        sources = [value for value in call.inputs if isinstance(value, Tensor)]
        read = [marks.get((value.call, value.index), ()) for value in sources if value.call]
        mark = next(filter(None, read), ())
        own = [value for value in call.inputs if isinstance(value, Parameter)]
        if mark:
            found.update(dict.fromkeys(own, mark))
        if sources and _flattens(sources[0], call):
            mark = MIXED if mark else sources[0].exact.shape[1:]
        elif mark and any(parameter.role == "weights" for parameter in own):
            mark = ()  # each result is a sum over the features
        elif mark and not _keeps(sources, call, read):
            mark = MIXED
        for index in range(len(call.types)):
            if mark:
                marks[call, index] = mark
    return found


def _flattens(source: Tensor, call: LayerCall) -> bool:
    """Whether a picture of several channels and positions becomes a row of features."""
    before, after = source.exact.shape, call.types[0].shape
    spatial = len(before) > 2 and before[1] > 1 and math.prod(before[2:]) > 1
    return spatial and len(after) == 2 and after[1] == math.prod(before[1:])


def _keeps(sources: Sequence[Tensor], call: LayerCall, read: Sequence[tuple[int, ...]]) -> bool:
    """Whether each feature stays where it is: all inputs are in the same order and of the result's shape."""
    return len(set(read)) == 1 and all(source.exact.shape == call.types[0].shape for source in sources)


def _content(path: Path, stream: BinaryIO) -> tuple[BinaryIO, dict[str, Any]]:
    """The HDF5 file in a file of Keras, and the settings of its layers where it has them."""
    if stream.read(2) != b"PK":
        stream.seek(0)
        return stream, {}
    stream.seek(0)
    with zipfile.ZipFile(stream) as archive:
        for entry in archive.infolist():
            charge(entry.file_size, f"'{entry.filename}' in weights file '{path}'", WeightsError)
        settings = json.loads(archive.read("config.json"))
        return io.BytesIO(archive.read("model.weights.h5")), dict(_settings(settings))


def _settings(settings: Any) -> Iterator[tuple[str, Any]]:
    """Class and settings of every layer by its name, of models in models too."""
    if isinstance(settings, dict):
        own = settings.get("config")
        if isinstance(own, dict) and "class_name" in settings and "name" in own:
            yield str(own["name"]), (settings["class_name"], own)
        for value in settings.values():
            yield from _settings(value)
    elif isinstance(settings, list):
        for value in settings:
            yield from _settings(value)


def _layers(path: Path, file: Any, classes: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Array]]]:
    root = file.get("model_weights", file)
    if "layer_names" in root.attrs:  # of the older kind: a group for each layer, which names its arrays
        for layer in map(_text, root.attrs["layer_names"]):
            names = [_text(name) for name in root[layer].attrs["weight_names"]]
            yield layer, {_role(name): _array(path, root[layer][name]) for name in names}
        return
    groups: list[Any] = []
    file.visititems(lambda name, item: groups.append(item) if name.rpartition("/")[2] == "vars" else None)
    for group in groups:
        name = _text(group.attrs.get("name", group.parent.name.rpartition("/")[2]))
        arrays = [_array(path, group[number]) for number in sorted(group, key=int)]
        yield name, dict(zip(_names(classes.get(name), len(arrays)), arrays, strict=True))


def _names(setting: Any, count: int) -> list[str]:
    """The names of a layer's arrays in their order; numbers where they are not known."""
    kind, own = setting or ("", dict[str, Any]())
    names = list(NORM if kind.endswith("Normalization") else ("alpha",) if kind == "PReLU" else KERNEL)
    left_out = {
        name for name, key in (("gamma", "scale"), ("beta", "center"), ("bias", "use_bias")) if not own.get(key, True)
    }
    names = [name for name in names if name not in left_out]
    if kind in ("LayerNormalization", "GroupNormalization"):
        names = [name for name in names if name in ("gamma", "beta")]
    return names if setting and len(names) == count else list(map(str, range(count)))


def _role(name: str) -> str:
    return name.rpartition("/")[2].partition(":")[0]


def _text(name: object) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _array(path: Path, held: Any) -> Array:
    charge(4 * int(np.prod(held.shape)), f"an array in weights file '{path}'", WeightsError)
    return np.asarray(held, np.float32)
