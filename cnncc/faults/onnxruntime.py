"""What onnxruntime makes of a model: every tensor, by its name in the file."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import PeerError
from ..types import Array

ENGINE = "onnxruntime"
_ERRORS_ONLY = 3
_NARROW = {"tensor(double)": np.float64, "tensor(float16)": np.float16}
"""Inputs that may be of other elements than the graph's, which holds them as float32."""


def expect_installed() -> None:
    """Raise PeerError without it."""
    if importlib.util.find_spec(ENGINE) is None:
        raise PeerError(f"engine '{ENGINE}' is not installed: python -m pip install {ENGINE}")


def tensors(content: bytes, names: Sequence[str], feeds: Mapping[str, Array]) -> dict[str, Array]:
    """These outputs of the model in `content`; sequences are left out. Raises PeerError if it cannot run the model."""
    expect_installed()
    engine: Any = importlib.import_module(ENGINE)
    options = engine.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = engine.InferenceSession(content, options, ["CPUExecutionProvider"])
        found = session.run(list(names), _given(session, feeds))
    except Exception as error:  # of many kinds, which it does not publish
        told = " ".join(str(error).split()) or type(error).__name__
        raise PeerError(f"engine '{ENGINE}' cannot run the model: {told}") from None
    return {name: array for name, array in zip(names, found, strict=True) if isinstance(array, np.ndarray)}


def _given(session: Any, feeds: Mapping[str, Array]) -> dict[str, Array]:
    ports = {port.name: port.type for port in session.get_inputs()}
    return {
        name: array.astype(_NARROW[ports[name]]) if ports[name] in _NARROW else array
        for name, array in feeds.items()
        if name in ports
    }
