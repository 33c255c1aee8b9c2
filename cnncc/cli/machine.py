"""machine: tell what `host` stands for on this machine, and how fast its core is taken to be.

The core decides which plan is the cheapest, never what is computed. `--measure` prints a row for the table of cores.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from .console import say, table
from .documents import add_json, document, say_json

if TYPE_CHECKING:
    from ..machine.core import Core
    from ..machine.target import Target

SYSTEMS = {"Mach-O": "macOS", "COFF": "Windows"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--measure", action="store_true", help="measure this machine's core (a few seconds)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> None:
    from ..native import host_target

    host = host_target()
    found = _measured(host) if arguments.measure else None
    if arguments.json:
        say_json(document("machine", **_facts(host), measured=found and _plain(host, *found)))
        return
    caches = ", ".join(f"{size >> 10:,} KiB" for size in (host.l1, host.l2, host.l3))
    say(f"host: {host.cpu}, tuned for {host.tune}, {host.lanes} lanes, {host.registers} registers, caches {caches}")
    named = "named by its CPU" if _is_named(host) else "the nearest by lanes and caches"
    say(f"core: {host.core.name} ({named})")
    if note := untested(host):
        say(note)
    if found:
        say(_shown(host, *found))


def untested(host: Target) -> str:
    """What has not been tested on such a machine, as a sentence; empty where all is."""
    system = SYSTEMS.get(host.object_format)
    if system:
        return (
            f"untested on {system}: what is written in Python alone is tested as if it ran there (interpret, inspect, "
            "compile --target), and calls of compiled code are not"
        )
    return "" if host.tested == "here" else f"tested under {host.tested} only, and not on such a machine"


def _facts(host: Target) -> dict[str, Any]:
    return {
        "host": host.describe(),
        "system": SYSTEMS.get(host.object_format, "Linux"),
        "core": host.core.name,
        "core_named": _is_named(host),
        "untested": untested(host) or None,
    }


def _is_named(host: Target) -> bool:
    return host.tune in host.core.cpus


def _measured(host: Target) -> tuple[Core, set[str]]:
    from ..measure.core import measured

    return measured(host, name="this-machine")


def _numbers(host: Target, core: Core, known: set[str]) -> list[tuple[str, Any, Any]]:
    """Each number that was measured: its name, what `host` takes it for, and what it is."""
    from dataclasses import fields

    names = [item.name for item in fields(core) if item.name in known - {"l1", "l2", "l3"}]
    return [(name, getattr(host.core, name), getattr(core, name)) for name in names]


def _plain(host: Target, core: Core, known: set[str]) -> dict[str, Any]:
    from ..measure.core import row

    numbers = [{"name": name, "taken": taken, "measured": now} for name, taken, now in _numbers(host, core, known)]
    return {"numbers": numbers, "row": row(core, known)}


def _shown(host: Target, core: Core, known: set[str]) -> str:
    from ..measure.core import row

    rows = [(name, str(taken), str(now)) for name, taken, now in _numbers(host, core, known)]
    return "\n".join(["", table(("number", "taken", "measured"), rows, (1, 2)), "", row(core, known)])
