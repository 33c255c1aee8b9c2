"""Weights files of PyTorch and Keras for networks of ours: their names and layouts, in ours.

Layers are found by name; `names` tells what those are called there that have another name. Every array of the file has
to be used.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError, WeightsError
from ..types import Array
from . import keras_weights, torch_weights
from .symbols import LayerCall, Parameter

Foreign = Mapping[str, Mapping[str, Array]]
"""The arrays of each layer of a file, by their names there."""

Roles = Mapping[str, Parameter]
"""The parameters of a layer, by their roles."""

MOST_TOLD = 20


@dataclass(frozen=True)
class Framework:
    """How a file is read, which of a layer's arrays its roles are, and how an array becomes a parameter.

    `named` gives the array's name for each role that is there, or None for one that has a value without an array.
    `layout` gets the parameter, its array, and the shape (C, spatial…) of what was flattened on the way to the layer.
    """

    read: Callable[[Path], Foreign]
    named: Callable[[Roles, Mapping[str, Array]], Mapping[str, str | None]]
    layout: Callable[[Parameter, Array | None, Sequence[int]], Array]


LIKE = {
    "torch": Framework(torch_weights.read, torch_weights.named, torch_weights.layout),
    "keras": Framework(keras_weights.read, keras_weights.named, keras_weights.layout),
}


def read_like(
    path: str | os.PathLike[str],
    like: str,
    parameters: Mapping[str, Parameter],
    calls: Sequence[LayerCall],
    names: Mapping[str, str],
) -> dict[str, Array]:
    """The arrays of a file of another framework under our names and in our layouts, for `weights.assign`.

    Raises UsageError for an unknown framework or layer, WeightsError for a layer that is missing on either side, or an
    array that has no place.
    """
    if like not in LIKE:
        raise UsageError(f"unknown framework like={like!r}: expected {' or '.join(map(repr, LIKE))}")
    framework = LIKE[like]
    layers: dict[str, dict[str, Parameter]] = defaultdict(dict)
    for name, parameter in parameters.items():
        layers[name.rpartition(".")[0]][name.rpartition(".")[2]] = parameter
    held = framework.read(Path(path))
    theirs = _paired(path, layers, held, names)
    flattened = keras_weights.flattened(calls)
    taken: dict[str, Array] = {}
    for layer, roles in layers.items():
        arrays = held[theirs[layer]]
        for role, key in _roles(framework, path, layer, roles, arrays).items():
            array = None if key is None else arrays[key]
            taken[f"{layer}.{role}"] = framework.layout(roles[role], array, flattened.get(roles[role], ()))
    return taken


def _paired(path: object, layers: Collection[str], held: Foreign, names: Mapping[str, str]) -> dict[str, str]:
    """What each layer is called in the file. Raises for one that is missing on either side."""
    for layer in names:
        if layer not in layers:
            raise UsageError(f"names= has '{layer}', which is no layer with weights: expected some of {_told(layers)}")
    theirs = {layer: names.get(layer, layer) for layer in layers}
    for layer, name in theirs.items():
        if name not in held:
            advice = f"names={{'{layer}': …}} says which of {_told(held)} it is"
            raise WeightsError(f"'{path}' has no layer '{name}': {advice}", node=layer)
    for name in sorted(held.keys() - theirs.values()):
        raise WeightsError(f"'{path}' holds layer '{name}', which the model does not have")
    return theirs


def _roles(
    framework: Framework, path: object, layer: str, roles: Roles, arrays: Mapping[str, Array]
) -> Mapping[str, str | None]:
    """The array's name for each role. Raises WeightsError for one that is missing, or is left over."""
    found = framework.named(roles, arrays)
    for role in roles:
        if role not in found:
            raise WeightsError(f"'{path}' has no {role} for it, only {_told(arrays)}", node=layer)
    for name in arrays:
        if name not in found.values():
            raise WeightsError(f"'{path}' holds '{name}' for it, which the layer does not have", node=layer)
    return found


def _told(names: Collection[str]) -> str:
    more = f" and {len(names) - MOST_TOLD} more" if len(names) > MOST_TOLD else ""
    return ", ".join(f"'{name}'" for name in sorted(names)[:MOST_TOLD]) + more
