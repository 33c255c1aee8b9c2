"""machine: tell what `host` stands for on this machine, and how fast its core is taken to be.

The core decides which plan is the cheapest, never what is computed. `--measure` prints a row for the table of cores.
"""

from __future__ import annotations

import argparse

from .console import say, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--measure", action="store_true", help="measure this machine's core (a few seconds)")


def run(arguments: argparse.Namespace) -> None:
    from dataclasses import fields

    from ..native import host_target

    host = host_target()
    named = "named by its CPU" if host.tune in host.core.cpus else "the nearest by lanes and caches"
    caches = ", ".join(f"{size >> 10:,} KiB" for size in (host.l1, host.l2, host.l3))
    say(f"host: {host.cpu}, tuned for {host.tune}, {host.lanes} lanes, {host.registers} registers, caches {caches}")
    say(f"core: {host.core.name} ({named})")
    if not arguments.measure:
        return
    from ..measure.core import measured, row

    core, known = measured(host, name="this-machine")
    names = [item.name for item in fields(core) if item.name in known - {"l1", "l2", "l3"}]
    rows = [(name, str(getattr(host.core, name)), str(getattr(core, name))) for name in names]
    say("\n".join(["", table(("number", "taken", "measured"), rows, (1, 2)), "", row(core, known)]))
