"""Budgets of memory: what a program may take, and what is said if it takes more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import ModelError

if TYPE_CHECKING:
    from ..compiler import Compilation
    from ..runtime.executable import Executable


def within_memory(compilation: Compilation, most: int) -> Compilation:
    """The fastest way to compile whose workspace and states take at most so many bytes: as asked, or with the least.

    Raises ModelError where even the least is more, with what takes it.
    """
    plan = compilation.plan
    if plan.workspace_bytes + plan.state_bytes <= most:
        return compilation
    chosen = compilation.options.plan
    if chosen.streaming != "memory":
        return within_memory(compilation.varied(plan=replace(chosen, streaming="memory")), most)
    from ..plan.memory import peak

    at, alive = peak(plan)
    held = " and ".join(f"{size:,} of '{name}'" for name, size in alive[:3])
    states = f" and {plan.state_bytes:,} of states" if plan.state_bytes else ""
    raise ModelError(
        f"model '{plan.name}' takes at least {plan.workspace_bytes:,} bytes of workspace{states} for "
        f"{plan.target.name}, and --memory allows {most:,}: at layer '{at}' {held} are needed at once, so a smaller "
        "input or fewer channels there would help"
    )


def expect_flash(executable: Executable, most: int) -> None:
    """Raise ModelError if code and weights take more bytes."""
    from ..objects import format_of

    code = format_of(executable.target).code_bytes(executable.object)
    weights = len(executable.weights)
    if code + weights > most:
        raise ModelError(
            f"model '{executable.name}' takes {code:,} bytes of code and {weights:,} of weights for "
            f"{executable.target.name}, and --flash allows {most:,}: fewer channels, or --weights float16 where the "
            "target has it, would help"
        )
