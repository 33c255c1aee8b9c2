"""`check --against onnxruntime`: a table of tensors, and the first that differs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..errors import DifferenceError, UsageError
from . import common
from .console import say, table

if TYPE_CHECKING:
    from ..compiler import Compilation
    from ..faults.against import Tensor
    from ..types import Array


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--against",
        type=common.one_of("engine", ("onnxruntime",)),
        metavar="onnxruntime",
        help="compare each tensor of an ONNX file with what this engine makes of it as well",
    )


def expect_against(arguments: argparse.Namespace) -> None:
    """Raise UsageError where there is no file to give to another engine, PeerError where that is missing."""
    from ..faults.onnxruntime import expect_installed

    if arguments.step:
        raise UsageError(f"--against {arguments.against} compares the model, not a step of its training")
    expect_installed()


def compared(compilation: Compilation, feeds: Mapping[str, Array], arguments: argparse.Namespace) -> tuple[Tensor, ...]:
    """A comparison for each tensor. Raises what `faults.against.against` raises."""
    from ..faults.against import against

    return against(compilation.source, compilation.options, feeds, arguments.threads)


def tell(name: str, found: Sequence[Tensor]) -> None:
    """The table, and what holds. Raises DifferenceError with the first tensor that is off."""
    say(show(found))
    if error := fault(found):
        raise DifferenceError(error)
    worst = max(found, key=lambda tensor: tensor.relative, default=None)
    told = f", '{worst.name}' by the least: {worst.relative:.3g} of its largest element" if worst else ""
    say(f"{name}: {len(found)} tensor(s) agree with onnxruntime{told}")


def fault(found: Sequence[Tensor]) -> str:
    """The sentence about the first tensor that is off; empty if none is."""
    return next((sentence(tensor) for tensor in found if tensor.verdict == "off"), "")


def show(found: Sequence[Tensor]) -> str:
    """A row for each tensor in the order of the graph: layer alone and whole model over their bounds, then figures."""
    words = {"ok": "ok", "off": "OFF", "inherited": "off (inherited)"}
    rows = [
        (
            tensor.name,
            f"{tensor.alone:.3g}",
            f"{tensor.whole:.3g}",
            words[tensor.verdict],
            f"{tensor.absolute:.3g}",
            f"{tensor.relative:.3g}",
            f"{tensor.ulps:.3g}",
            tensor.op,
        )
        for tensor in found
    ]
    heads = ("tensor", "alone/bound", "whole/bound", "verdict", "difference", "relative", "ulps", "op")
    return table(heads, rows, right=(1, 2, 4, 5, 6))


def sentence(tensor: Tensor) -> str:
    """What differs first."""
    at = f"at {tensor.index} onnxruntime has {tensor.theirs:.9g} and cnncc {tensor.ours:.9g}"
    if tensor.cause == "code":
        return (
            f"tensor '{tensor.name}' is the first in which compiled code differs from onnxruntime: {at}, "
            f"{tensor.whole:.3g} times the bound, although both mean the same by its layer"
        )
    return (
        f"tensor '{tensor.name}' is the first that onnxruntime computes otherwise: {at} for the same operands of "
        f"{tensor.op}, {tensor.alone:.3g} times the bound"
    )
