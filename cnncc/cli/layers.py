"""The page of `bench --layers`: each step beside its bound, the largest loss first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .console import table

if TYPE_CHECKING:
    from ..measure.profiling import Profile, StepTime

HEADS = ("step", "µs", "share", "GFLOP/s", "of peak", "kB", "GB/s", "bound by", "at best", "lost", "layer", "kernel")
RIGHT = (0, 1, 2, 3, 4, 5, 6, 8, 9)
LONGEST_NAME = 40


def show(profile: Profile) -> str:
    """A row for each step, a line for their sum, and the limits that they are held to."""
    steps = sorted(profile.steps, key=lambda step: -step.lost_us)
    limits = ", ".join(f"{level} {rate:.0f} GB/s" for level, rate in sorted(profile.bandwidths.items(), key=_distance))
    return "\n".join(
        [
            table(HEADS, [*map(_row, steps), _sum(profile)], RIGHT),
            f"a call takes {profile.us:.2f} µs, {profile.outside_us:.2f} µs of it outside the steps (in the order of "
            "what they lose)",
            f"limits of one core: {profile.peak_gflops:.1f} GFLOP/s; {limits or 'no memory read'}; an empty step "
            f"{profile.call_us:.3f} µs",
        ]
    )


def _distance(item: tuple[str, float]) -> int:
    """How far a level of the memory is from the core; noise may well let a nearer one look slower."""
    from ..plan.traffic import LEVELS

    return LEVELS.index(item[0])


def _row(step: StepTime) -> tuple[str, ...]:
    name = step.name if len(step.name) <= LONGEST_NAME else f"…{step.name[1 - LONGEST_NAME :]}"
    return (
        str(step.number),
        f"{step.us:.2f}",
        f"{step.share:.1%}",
        *((f"{step.gflops:.1f}", f"{step.peak_share:.1%}") if step.gflops else ("", "")),
        f"{step.bytes / 1e3:.1f}",
        f"{step.gbytes:.1f}",
        step.bound,
        f"{step.bound_us:.2f}",
        f"{step.lost_us:.2f}",
        name,
        step.kernel.split("; then")[0],
    )


def _sum(profile: Profile) -> tuple[str, ...]:
    steps = profile.steps
    us, moved = sum(step.us for step in steps), sum(step.bytes for step in steps)
    rate = sum(step.gflops * step.us for step in steps) / us
    return (
        "sum",
        f"{us:.2f}",
        f"{us / profile.us:.1%}",
        f"{rate:.1f}",
        f"{rate / profile.peak_gflops:.1%}",
        f"{moved / 1e3:.1f}",
        f"{moved / us / 1e3:.1f}",
        "",
        f"{sum(step.bound_us for step in steps):.2f}",
        f"{sum(step.lost_us for step in steps):.2f}",
        f"{len(steps)} steps",
        "",
    )
