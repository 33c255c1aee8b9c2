"""Budgets of memory: what a program may take, and what is said if it takes more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import ModelError

if TYPE_CHECKING:
    from ..compiler import Compilation
    from ..runtime.executable import Executable


def within_memory(compilation: Compilation, most: int) -> Compilation:
    """The fastest way to compile whose workspace, states and stack take at most so many bytes: as asked, or the least.

    A stack that is not known counts nothing. Raises ModelError where even the least is more, with what takes it.
    """
    plan = compilation.plan
    held = plan.workspace_bytes + plan.state_bytes
    if held <= most and held + (compilation.stack_bytes or 0) <= most:
        return compilation
    chosen = compilation.options.plan
    if chosen.streaming != "memory":
        return within_memory(compilation.varied(plan=replace(chosen, streaming="memory")), most)
    from ..plan.memory import peak

    at, alive = peak(plan)
    names = " and ".join(f"{size:,} of '{name}'" for name, size in alive[:3])
    more = [(plan.state_bytes, "states"), (compilation.stack_bytes, "stack")]
    rest = "".join(f" and {size:,} of {what}" for size, what in more if size)
    raise ModelError(
        f"model '{plan.name}' takes at least {plan.workspace_bytes:,} bytes of workspace{rest} for "
        f"{plan.target.name}, and --memory allows {most:,}: at layer '{at}' {names} are needed at once, so a smaller "
        "input or fewer channels there would help"
    )


def expect_flash(executable: Executable, most: int) -> None:
    """Raise ModelError if code and weights take more bytes."""
    code = executable.code_bytes
    weights = len(executable.weights)
    if code + weights > most:
        raise ModelError(
            f"model '{executable.name}' takes {code:,} bytes of code and {weights:,} of weights for "
            f"{executable.target.name}, and --flash allows {most:,}: fewer channels, or --weights float16 where the "
            "target has it, would help"
        )
