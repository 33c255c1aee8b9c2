"""Cases of the recurrent operators; `test_recurrent` has those of several outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnncc.types import Array
from tests.ops.oracles_recurrent import recurrent

from .making import case, data

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
STEPS, IMAGES, FEATURES, HIDDEN = 5, 3, 4, 2
X = (STEPS, IMAGES, FEATURES)


def weights(kind: str, sides: int = 1) -> tuple[Array, Array, Array]:
    """W, R and B."""
    rows = GATES[kind] * HIDDEN
    return data(sides, rows, FEATURES), data(sides, rows, HIDDEN), data(sides, 2 * rows)


def outputs(kind: str, **options: Any) -> Callable[..., Array]:
    def expected(x: Array, w: Array, r: Array, b: Array | None = None, lengths: Array | None = None) -> Array:
        return recurrent(kind, x, w, r, b, lengths, **options)[0]

    return expected


RECURRENT = [
    *(case(kind, X, *weights(kind), hidden_size=HIDDEN, expected=outputs(kind)) for kind in GATES),
    *(
        case(
            kind,
            X,
            *weights(kind),
            hidden_size=HIDDEN,
            direction="reverse",
            expected=outputs(kind, direction="reverse"),
        )
        for kind in GATES
    ),
    *(
        case(
            kind,
            X,
            *weights(kind, 2),
            np.array([5, 2, 0], np.int32) if kind != "RNN" else None,
            opset=7,
            direction="bidirectional",
            hidden_size=HIDDEN,
            expected=outputs(kind),
        )
        for kind in GATES
    ),
    *(case(kind, X, *weights(kind)[:2], opset=14, expected=outputs(kind)) for kind in GATES),
    *(
        case(
            kind,
            X,
            *((1, GATES[kind] * HIDDEN, size) for size in (FEATURES, HIDDEN)),
            expected=outputs(kind),
            hidden_size=HIDDEN,
        )
        for kind in GATES
    ),
    *(
        case(
            "GRU",
            X,
            *weights("GRU"),
            linear_before_reset=1,
            hidden_size=HIDDEN,
            expected=outputs("GRU", late=True),
            opset=v,
        )
        for v in (3, 14)
    ),
    case(
        "GRU",
        X,
        *weights("GRU"),
        hidden_size=HIDDEN,
        activations=["HardSigmoid", "LeakyRelu"],
        activation_alpha=[0.3, 0.1],
        activation_beta=[0.4],
        expected=outputs(
            "GRU", functions=(lambda x: np.clip(0.3 * x + 0.4, 0, 1), lambda x: np.where(x < 0, 0.1 * x, x))
        ),
    ),
]
