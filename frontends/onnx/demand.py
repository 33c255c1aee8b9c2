"""How large a model is, by its message alone: one that is too large is refused before anything is read or made.

Limits are `CNNCC_CONSTANT_BYTES` for weights in other files (see `allowance`) and `CNNCC_NODES` for nodes, 20,000
without it.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import allowance
from ...errors import ModelError, UsageError
from ...types import MAX_ELEMENTS, MAX_RANK
from . import external

VARIABLE = "CNNCC_NODES"
MOST_NODES = 20_000
"""Nodes of a file, its constants aside. Planning compares steps and buffers with each other, so its time grows with the
square of their number."""

COPIES = 4
"""Bytes of memory that compiling takes for each byte of weights: the message, the graph, the packed block, the library.
Measured on products of 128 to 400 MB, from one file and from two: 4.1."""

NODE_BYTES = 30_000
"""And for each node: measured on chains of 400 to 4,000 convolutions, 28 to 31 kB."""

NODE_SECONDS, PAIR_SECONDS, GIB_SECONDS = 0.0025, 5e-7, 10.0
"""What compiling takes at least, for each node, each two nodes and each GiB of weights, on a core of 4.5 GHz: measured
on chains of 400 to 4,000 equal convolutions (1.7 to 16 s), and on the products. Layers that differ take more."""


class TooLarge(ModelError):
    """A model that goes beyond a limit; `demand` is what it asks for."""

    def __init__(self, message: str, demand: Demand):
        super().__init__(message)
        self.demand = demand


@dataclass(frozen=True)
class Demand:
    """Nodes of a file but for constants, elements and bytes of its weights, and bytes of those in other files."""

    nodes: int
    parameters: int
    weight_bytes: int
    outside_bytes: int

    @property
    def memory(self) -> int:
        """Bytes that compiling takes, about."""
        return COPIES * self.weight_bytes + NODE_BYTES * self.nodes

    @property
    def seconds(self) -> float:
        """What compiling takes at least."""
        gib = self.weight_bytes / 2**30
        return NODE_SECONDS * self.nodes + PAIR_SECONDS * self.nodes**2 + GIB_SECONDS * gib


def demand(proto: Any) -> Demand:
    """What a message asks for. Tensors of impossible shapes do not count: they are refused where they are read."""
    nodes = sum(node.op_type != "Constant" for node in proto.graph.node)
    weights = list(filter(_possible, proto.graph.initializer))
    sizes = [math.prod(tensor.dims) for tensor in weights]
    widths = [external.SIZES.get(tensor.data_type, 1) for tensor in weights]
    inside = sum(size * width for size, width in zip(sizes, widths, strict=True))
    outside = [tensor for tensor in external.tensors(proto) if _possible(tensor)]
    beside = sum(math.prod(tensor.dims) * external.SIZES.get(tensor.data_type, 0) for tensor in outside)
    return Demand(nodes, sum(sizes), inside, beside)


def _possible(tensor: Any) -> bool:
    rank = len(tensor.dims)
    return rank <= MAX_RANK and min(tensor.dims, default=0) >= 0 and math.prod(tensor.dims) <= MAX_ELEMENTS


def most_nodes() -> int:
    """What the environment allows. Raises UsageError if it says no number."""
    text = os.environ.get(VARIABLE, "")
    if text and not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise UsageError(f"{VARIABLE}={text}: expected a whole number of nodes")
    return int(text) if text else MOST_NODES


def expect_room(file: Path, proto: Any) -> None:
    """Raise TooLarge for a message beyond a limit, with what it has and what compiling it would take."""
    asked, told = demand(proto), []
    if asked.outside_bytes > allowance.limit():
        told.append(
            f"its weights in other files have {asked.outside_bytes:,} bytes, and {allowance.limit():,} may be read "
            f"(the environment variable {allowance.VARIABLE} sets that limit)"
        )
    if asked.nodes > most_nodes():
        told.append(
            f"it has {asked.nodes:,} nodes, and {most_nodes():,} may be compiled (the environment variable {VARIABLE} "
            "sets that limit; simplified by onnxsim, a model may have fewer)"
        )
    if told:
        raise TooLarge(f"'{file}' is too large: {'; '.join(told)}. {taken(asked)}", asked)


def taken(asked: Demand) -> str:
    """What compiling a model takes, in a sentence."""
    return (
        f"Compiling its {asked.nodes:,} nodes and {asked.parameters:,} parameters would take about "
        f"{max(1, round(asked.memory / 2**20)):,} MiB of memory and at least {time(asked.seconds)} of one core"
    )


def time(seconds: float) -> str:
    """A number of seconds, minutes or hours."""
    for unit, name in ((3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{round(seconds / unit)} {name}"
    return f"{max(1, round(seconds))} s"
