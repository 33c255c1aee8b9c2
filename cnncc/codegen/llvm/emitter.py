"""Functions and the module: the back end as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ...machine.target import Target
from ..registers import RegisterType, Ssa
from .memory import Memory
from .text import spell


class LlvmEmitter(Memory):
    """Emits a module of LLVM IR, with its functions in a section of the object."""

    def __init__(self, target: Target, *, checked: bool = False, section: str = ""):
        super().__init__()
        self.placed = f' section "{section}"' if section else ""
        self.target, self.checked = target, checked
        self.index_type = RegisterType("int", target.pointer_bits)
        self.functions: list[str] = []
        self.partition_axis: dict[str, str] = {}

    @contextmanager
    def function(
        self,
        name: str,
        parameters: Sequence[tuple[RegisterType, str]],
        result: RegisterType | None = None,
        *,
        internal: bool = False,
    ) -> Iterator[list[Ssa]]:
        self.begin_function()
        values = [Ssa(type, f"%{parameter}") for type, parameter in parameters]
        yield values
        linkage, type = "internal " if internal else "", spell(result) if result else "void"
        head = f"define {linkage}{type} @{name}({self._list(values)}) #0{self.placed} {{\nentry:"
        self.functions.append("\n".join([head, self.body(), "}"]))

    def share_function(self, name: str) -> str:
        text = self.functions.pop()
        if text not in self.partition_axis:
            self.partition_axis[text] = f"{name}{len(self.partition_axis)}"
            self.functions.append(text.replace(f"@{name}(", f"@{self.partition_axis[text]}(", 1))
        return self.partition_axis[text]

    def call(self, name: str, arguments: Sequence[Ssa]) -> None:
        self.emit(f"call void @{name}({self._list(arguments)})")

    def call_pointer(self, function: Ssa, arguments: Sequence[Ssa]) -> None:
        self.emit(f"call void {function.name}({self._list(arguments)})")

    def _list(self, values: Sequence[Ssa]) -> str:
        return ", ".join(f"{spell(value.type)} {value.name}" for value in values)

    def module(self) -> str:
        """Functions, declarations, and the attributes: what code may assume of its CPU, and that LLVM tells frames."""
        parts = [f'target triple = "{self.target.triple}"', *self.functions, *self.declarations.values()]
        return "\n\n".join([*parts, f"attributes #0 = {{ {' '.join(self._attributes())} }}"]) + "\n"

    def _attributes(self) -> Iterator[str]:
        target = self.target
        yield f'nounwind "no-builtins" "warn-stack-size"="0" "target-cpu"="{target.cpu}"'
        if target.features:
            yield f'"target-features"="{target.features}"'
        if target.tune:
            yield f'"tune-cpu"="{target.tune}"'
        if target.architecture == "x86-64":
            # The tuning of some CPUs splits 512-bit vectors without this attribute.
            yield f'"prefer-vector-width"="{target.vector_bits}" "min-legal-vector-width"="{target.vector_bits}"'
