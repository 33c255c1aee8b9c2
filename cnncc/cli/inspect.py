"""inspect: print what a model holds, without compiling it.

Inputs, outputs, opset, producer, operators with their numbers, parameters, multiply-accumulates, bytes of weights and
of the largest tensor, and what is unsupported and why. --json prints all of it as JSON.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..sizes import told
from . import common
from .console import say, table
from .documents import add_json, document, say_json

if TYPE_CHECKING:
    from ..frontends.inspection import Inspection


def add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_model(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> None:
    from ..api import inspect

    given = {"convert": arguments.convert, "fixed": common.fixed(arguments)}
    found = inspect(arguments.model, common.shapes(arguments), arguments.cuts, **given)
    if arguments.json:
        say_json(document("inspect", **found.plain()))
    else:
        say(shown(found))


def shown(found: Inspection) -> str:
    """The answer for a person: a line for each fact, and a table of the operators, the most frequent first."""
    about = [found.name]
    if found.opset is not None:
        about.append(f"ONNX opset {found.opset}" + (f" by {found.producer}" if found.producer else ""))
    lines = [", ".join(about)]
    lines += [f"input  {port.name}: {port}" for port in found.inputs]
    lines += [f"output {port.name}: {port}" for port in found.outputs]
    lines += [f"open   {name}: {', '.join(sizes)}" for name, sizes in found.open.items()]
    macs = "unknown" if found.macs is None else f"{found.macs:,}"
    size = f"with {told(found.at)}" if found.at else "for the number of images as given"
    lines.append(f"{found.parameters:,} parameters, {macs} multiply-accumulates {size}")
    tensor = "" if found.largest is None else f", {found.largest:,} in the largest tensor of a layer"
    lines.append(f"{found.weight_bytes:,} bytes in weights{tensor}")
    order = sorted(found.operators.items(), key=lambda item: (-item[1], item[0]))
    rows = [(name, f"{count:,}", "unsupported" if name in found.unsupported else "") for name, count in order]
    lines += ["", table(("operator", "nodes", ""), rows, right=(1,))]
    return "\n".join([*lines, *_problems(found)])


def _problems(found: Inspection) -> list[str]:
    if not found.problems:
        return ["", "everything in it is supported" + (f"; {_sizes(found)}" if found.at else "")]
    lines = ["", "it cannot be compiled:"]
    for problem in found.problems:
        more = f" and {problem.count - len(problem.places)} more" if problem.count > len(problem.places) else ""
        places = f" ({problem.count}: {', '.join(problem.places)}{more})" if problem.places else ""
        lines.append(f"  {problem.message}{places}")
    return lines + [f"  {text}" for text in dict.fromkeys(problem.advice for problem in found.problems) if text]


def _sizes(found: Inspection) -> str:
    """How a model with open dimensions is compiled."""
    shapes = {port.name: port.shape or () for port in found.inputs if port.name in found.open}
    given = " ".join(
        f"--shape {name}={','.join(str(size) if isinstance(size, int) else '…' for size in (1, *shape[1:]))}"
        for name, shape in shapes.items()
    )
    return f"{given} gives one size, shapes='any' (of run, --shape any) takes all"
