"""State dicts of PyTorch: names of modules and roles; layouts are ours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import WeightsError
from ..files import opened
from ..types import Array
from .symbols import Parameter
from .weights import read_weights

ROLES = {
    "weights": "weight",
    "scale": "weight",
    "slope": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "variance": "running_var",
}
COUNT = "num_batches_tracked"
"""Of a batch norm in training."""

NESTED = ("state_dict", "model_state_dict", "model")
"""Where checkpoints of training keep the state dict."""

REFUSES = "Weights only load failed"
"""How PyTorch's answer begins to a file with other objects than tensors. It goes on for a screen."""

PARALLEL = "module."
"""What DataParallel puts before all names."""


def read(path: Path) -> dict[str, dict[str, Array]]:
    """The arrays of each module of a state dict in a `.pt`, `.pth`, `.bin` or `.safetensors` file; floats as float32.

    Raises WeightsError for a file that is missing, damaged or holds anything but tensors.
    """
    arrays = read_weights(path) if path.suffix.lower() in (".safetensors", ".npz") else dict(_tensors(path))
    if arrays and all(name.startswith(PARALLEL) for name in arrays):
        arrays = {name.removeprefix(PARALLEL): array for name, array in arrays.items()}
    modules: dict[str, dict[str, Array]] = defaultdict(dict)
    for name, array in arrays.items():
        module, _, role = name.rpartition(".")
        if role != COUNT:
            modules[module][role] = array.astype(np.float32) if array.dtype.kind == "f" else array
    return dict(modules)


def named(roles: Mapping[str, Any], arrays: Mapping[str, Array]) -> dict[str, str | None]:
    """The name of each role that is there."""
    return {role: ROLES[role] for role in roles if ROLES.get(role) in arrays}


def layout(parameter: Parameter, array: Array | None, flattened: Sequence[int]) -> Array:
    """The array as it is, but for slopes: PyTorch has a vector of one for each channel, or one for all of them."""
    assert array is not None
    shape = parameter.type.shape
    if parameter.role != "slope":
        return array
    return np.ascontiguousarray(np.broadcast_to(array.reshape(-1, *(1,) * (len(shape) - 1)), shape))


def _tensors(path: Path) -> Iterator[tuple[str, Array]]:
    try:
        import torch
    except ImportError:
        raise WeightsError(f"weights file '{path}' needs a package: pip install 'cnncc[torch]'") from None
    with opened(path, "weights file", WeightsError) as stream:
        try:
            held: Any = torch.load(stream, map_location="cpu", weights_only=True)  # nothing is unpickled but tensors
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            if reason.startswith(REFUSES):
                reason = (
                    "it is damaged, or holds more than tensors, as torch.save(module) does: save module.state_dict()"
                )
            raise WeightsError(f"weights file '{path}' is no state dict that PyTorch loads: {reason}") from None
    for key in NESTED:
        if isinstance(held, Mapping) and isinstance(held.get(key), Mapping):
            held = held[key]
    if not isinstance(held, Mapping):
        raise WeightsError(f"weights file '{path}' holds no state dict, but {type(held).__name__}")
    for name, tensor in held.items():
        if not isinstance(tensor, torch.Tensor):
            raise WeightsError(f"'{name}' in weights file '{path}' is no tensor, but {type(tensor).__name__}")
        yield str(name), np.asarray(tensor.float() if tensor.is_floating_point() else tensor)
