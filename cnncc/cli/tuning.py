"""`--tune` and `--save-plan`: choices by timing, and what was chosen as a file."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .common import seconds

if TYPE_CHECKING:
    from ..compiler import Compilation
    from ..measure.tuning import Tuned


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tune", action="store_true", help="choose among the plan's candidates by timing them on this machine"
    )
    parser.add_argument(
        "--tune-seconds", type=seconds, default=60.0, metavar="S", help="how long that may take (default: 60)"
    )
    parser.add_argument("--save-plan", metavar="FILE", help="write what the plan chose, as JSON")


def tuned(compilation: Compilation, arguments: argparse.Namespace) -> tuple[Compilation, Tuned | None]:
    """The compilation with what --tune found and --save-plan written, and the tuner's report."""
    report = None
    if arguments.tune:
        from ..measure.tuning import tune
        from .progress import Progress

        compilation.stopwatch.listener = None  # the terminal's line is the tuner's
        with Progress("tuning") as progress:
            use_cache = not arguments.no_cache
            report = tune(compilation, arguments.tune_seconds, use_cache=use_cache, progress=progress)
        compilation = report.compilation
    if arguments.save_plan is not None:
        from ..plan.saved import save

        save(compilation.plan, compilation.options.plan, arguments.save_plan)
    return compilation, report


def show_tuned(report: Tuned) -> str:
    """What the tuner did, in lines."""
    lines = [f"tuned: {report.measured} measured, {report.remembered} remembered, {len(report.changes)} changed"]
    if report.unreadable:
        lines.append(f"warning: what was remembered of {report.unreadable} was damaged, and is measured again")
    return "\n".join([*lines, *(f"  {change}" for change in report.changes)])
