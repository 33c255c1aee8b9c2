"""ops: list the operators, with what each computes and its attributes, or those of ONNX files.

Names print these operators in full: of ONNX files the opsets, element types, inputs and attributes that are taken.
`--onnx` lists all operators of ONNX files, `--json` prints either as JSON. With `--markdown` the tables are those of
`cnncc/ops/README.md` and `frontends/onnx/README.md`.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

from . import onnx_ops
from .console import say, table
from .documents import document, say_json

if TYPE_CHECKING:
    from ..frontends.onnx.supported import Operator
    from ..op import Op


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="an op, or an operator of ONNX files")
    parser.add_argument("--onnx", action="store_true", help="list the operators of ONNX files")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="print a table for a document")
    form.add_argument("--json", action="store_true", help="print one JSON document in place of text")


def run(arguments: argparse.Namespace) -> None:
    from .. import ops  # noqa: F401 (fills the registry)
    from ..frontends.onnx.supported import operators
    from ..op import REGISTRY

    onnx = operators()
    if arguments.names:
        found = [_named(name, REGISTRY, onnx) for name in arguments.names]
        own, onnx = dict(op for op, _ in found if op), dict(operator for _, operator in found if operator)
    else:
        own, onnx = ({}, onnx) if arguments.onnx else (REGISTRY, {})
    if arguments.json:
        known = [_plain(op) for op in own.values()], [*map(onnx_ops.plain, onnx.values())]
        say_json(document("ops", ops=known[0], onnx=known[1]))
    elif arguments.names and not arguments.markdown:
        say("\n\n".join(_full(own.get(name), onnx.get(name)) for name in dict.fromkeys([*own, *onnx])))
    else:
        tables: list[tuple[tuple[str, ...], list[tuple[str, ...]]]] = []
        tables += [(HEADS, [_row(*each) for each in sorted(own.items())])] if own else []
        tables += [(onnx_ops.HEADS, [onnx_ops.row(each) for each in onnx.values()])] if onnx else []
        say("\n\n".join((_markdown if arguments.markdown else table)(*each) for each in tables))


HEADS = ("op", "computes", "attributes")
Found = tuple[tuple[str, "type[Op]"] | None, tuple[str, "Operator"] | None]


def _named(name: str, own: dict[str, type[Op]], onnx: dict[str, Operator]) -> Found:
    """The op and the operator of ONNX files with a name, of which the case does not count."""
    from ..errors import UsageError

    every = {each.lower(): each for each in (*own, *onnx)}
    known = every.get(name.lower())
    if known is None:
        near = [every[each] for each in difflib.get_close_matches(name.lower(), every, 3)]
        hint = f"did you mean {' or '.join(near)}?" if near else "cnncc ops and cnncc ops --onnx list all there are"
        raise UsageError(f"there is no operator '{name}': {hint}")
    return (known, own[known]) if known in own else None, (known, onnx[known]) if known in onnx else None


def _row(name: str, op: type[Op]) -> tuple[str, ...]:
    return name, summary(op), attributes(op)


def _full(op: type[Op] | None, operator: Operator | None) -> str:
    told = []
    if op:
        lines = [f"{op.__name__}: {summary(op)}", f"  element types: {onnx_ops.brief(_takes(op))}"]
        told.append("\n".join(lines + ([f"  attributes: {attributes(op)}"] if fields(op) else [])))
    return "\n\n".join([*told, *([onnx_ops.full(operator)] if operator else [])])


def _plain(op: type[Op]) -> dict[str, Any]:
    names = [item.name for item in fields(op)]
    return {"name": op.__name__, "computes": summary(op), "attributes": names, "types": list(_takes(op))}


def _takes(op: type[Op]) -> tuple[str, ...]:
    return tuple(element.name for element in op.takes)


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ("---",) * len(heads), *((f"`{name}`", *others) for name, *others in rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def summary(op: type[Op]) -> str:
    """The first sentence of its page."""
    text = " ".join((op.__doc__ or "").split("\n\n")[0].split())
    return text.split(". ")[0].rstrip(".:")


def attributes(op: type[Op]) -> str:
    """Names of its attributes; those with a default stand in brackets."""
    shown = []
    for item in fields(op):
        optional = item.default is not MISSING or item.default_factory is not MISSING
        shown.append(f"[{item.name}]" if optional else item.name)
    return ", ".join(shown)
