"""Gradients of models, as graphs that are interpreted and compiled like others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..source import load_graph

if TYPE_CHECKING:
    from ..ir import Graph


def gradient(source: Any, *, of: str, by: str | Sequence[str]) -> Graph:
    """The graph of a value of a model and of its gradients: outputs `of`, then d_NAME for each name in `by`.

    `source` is what `cnncc.load_graph` takes. `of` is an output, or a layer by name; `by` are inputs, weights
    ("conv1.weights") or layers. d_NAME has the shape of NAME. If `of` has one element, it is the gradient of that; else
    the graph has a further input d_OF, of the shape of `of`, and d_NAME is the gradient of the sum of d_OF · OF. A name
    that is taken (by x of d_x, for second derivatives) is d_OF_by_NAME. Where a function has no derivative, the rules
    of `cnncc/gradient/README.md` hold.

    Raises UsageError for an unknown name, a value that is not float32, and where no gradient reaches a value (with the
    layer that is flat), ModelError for a layer on the way that has no gradient, and what `load_graph` raises.
    """
    names = (by,) if isinstance(by, str) else by
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) for name in names):
        raise UsageError(f"by={by!r}: expected names of inputs, weights or layers, such as ('input',)")
    if not isinstance(of, str):
        raise UsageError(f"of={of!r}: expected the name of an output or a layer")
    from ..gradient import differentiated

    return differentiated(load_graph(source), of, tuple(dict.fromkeys(names)))
