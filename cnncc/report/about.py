"""Sizes, and all that tells one compilation from another: ports, versions, options, hashes."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from ..native import backend_version
from ..version import VERSION
from .facts import Facts, Stopped
from .html import Html, join, missing, pairs, table, tag
from .numbers import nbytes

SIZES = {
    "weights_bytes": "weights, packed; constant memory",
    "code_bytes": "code; constant memory",
    "workspace_bytes": "workspace of a call on one thread; the caller's memory",
    "workspace_shard": "of it for each further thread",
    "stack_bytes": "stack of a call, at most, by the compiler's frames",
    "state_bytes": "states that stay from call to call",
}


def sizes(facts: Facts) -> Html:
    if isinstance(facts.manifest, Stopped):
        return missing(facts.manifest.why)
    known = facts.manifest
    rows = [(_size(known[name]), told) for name, told in SIZES.items() if known.get(name) is not None]
    if not isinstance(facts.counts, Stopped):
        rows.append((_size(facts.counts.stack_bytes), f"stack of a call, seen under {facts.counts.emulator}"))
    return join(table(("bytes", ""), rows, right=(0,)), _ports(known))


def _size(count: int) -> str:
    return f"{count:,}" if count < 10240 else f"{count:,} ({nbytes(count)})"


def _ports(known: Mapping[str, Any]) -> Html:
    heads = ("", "name", "shape", "element", "counts images")
    rows = [
        (
            kind[:-1],
            port["name"],
            " × ".join(map(str, port["shape"])),
            port["dtype"],
            "yes" if port.get("batched") else "no",
        )
        for kind in ("inputs", "outputs", "states")
        for port in known.get(kind, ())
    ]
    fixed = tag("p", f"The number of images is fixed: {known['fixed']}.") if known.get("fixed") else None
    return join(tag("h3", "Inputs and outputs"), table(heads, rows), fixed)


def about(facts: Facts) -> Html:
    target = facts.options.target
    options = {each.name: getattr(facts.options, each.name) for each in fields(facts.options)}
    shown = [(name, _option(value)) for name, value in options.items() if name not in ("target", "plan")]
    plan = {each.name: getattr(facts.options.plan, each.name) for each in fields(facts.options.plan)}
    changed = {each.name: plan[each.name] for each in fields(facts.options.plan) if plan[each.name] != _default(each)}
    return join(
        tag("h3", "Model"),
        pairs([("name", facts.name), ("source", facts.source)]),
        tag("h3", "Target"),
        pairs([(name, str(value)) for name, value in target.describe().items() if value not in ("", None)]),
        tag("h3", "Options"),
        pairs([*shown, *((f"plan: {name}", _option(value)) for name, value in changed.items())]),
        tag("h3", "Versions"),
        pairs(_versions()),
        tag("h3", "Hashes"),
        pairs([(name, tag("code", value)) for name, value in facts.hashes.items()]),
    )


def _default(each: Any) -> Any:
    from dataclasses import MISSING

    return each.default if each.default_factory is MISSING else each.default_factory()


def _option(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _versions() -> list[tuple[object, object]]:
    return [
        ("cnncc", VERSION),
        ("LLVM", backend_version()),
        ("NumPy", np.__version__),
        ("Python", platform.python_version()),
        ("system", f"{platform.system()} {platform.machine()}"),
    ]
