"""Statements of main.c about outputs: what is printed of them, and how they stand to what is expected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..naming import macro_prefix
from ..runtime.executable import Executable, Port


def named(letter: str, ports: Sequence[Port]) -> list[tuple[str, Port]]:
    """Ports with the names of their arrays: their own names need not be identifiers."""
    return [(f"{letter}{place}", port) for place, port in enumerate(ports)]


def declared(outputs: Sequence[tuple[str, Port]]) -> str:
    """Memory for outputs."""
    return "\n".join(f"static {port.type.dtype.c} {name}[{max(1, port.type.size)}];" for name, port in outputs)


def shown(outputs: Sequence[tuple[str, Port]], executable: Executable) -> str:
    """Print the largest value of each output, or its first whole number."""
    return "\n".join(line for name, port in outputs if port.type.size for line in _shown(name, port, executable))


def _shown(name: str, port: Port, executable: Executable) -> Iterator[str]:
    element = port.type.dtype
    if element.name == "float32" and port.type.size > 1:
        yield from _largest(name, port, executable)
        return
    value = f"{name}[0]" if element.name != "float16" else f"from_half({name}[0])"
    number = f"print_float({value})" if element.is_float else f"print_whole((int64_t){value})"
    yield f'    print("{_quoted(port.name)}: ");\n    {number};\n    print(" first\\n");'


def _largest(name: str, port: Port, executable: Executable) -> Iterator[str]:
    """Of a row of classes the class, by its label if there are labels."""
    size = port.type.size
    yield f"    const size_t best_{name} = largest({name}, {size});"
    if len(executable.labels) == size and port == executable.outputs[0]:
        macro = macro_prefix(executable.symbol)
        yield f"    static const char *const labels_{name}[] = {macro}_LABELS;"
        told = f"print(labels_{name}[best_{name}]);"
    else:
        what = "class" if size == port.type.shape[-1] else "largest at place"
        told = f'print("{what} ");\n    print_whole((int64_t)best_{name});'
    yield f'    print("{_quoted(port.name)}: ");\n    {told}'
    yield f'    print(" (");\n    print_float({name}[best_{name}]);\n    print(")\\n");'


def compared(outputs: Sequence[tuple[str, Port]]) -> str:
    """Count in `wrong` what is further off than allowed."""
    return "\n".join(f"    wrong += {_compared(name, port)};" for name, port in outputs)


def _compared(name: str, port: Port) -> str:
    size, element = port.type.size, port.type.dtype
    if not element.is_float:
        return f"off_whole({name}, expected_{name}, any_{name}, {size}, sizeof {name}[0])"
    compare = "off" if element.name == "float32" else "off_halves"
    return f"{compare}({name}, expected_{name}, allowed_{name}, {size})"


def _quoted(text: str) -> str:
    """A name within a literal of C."""
    return "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in text)
