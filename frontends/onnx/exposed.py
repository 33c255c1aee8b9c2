"""The content of a file with more of its tensors as outputs, for engines that show only outputs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...allowance import allowance
from ...errors import ModelError
from . import external
from .plain import text


def exposed(file: Path, proto: Any, names: Iterable[str]) -> tuple[bytes, list[str]]:
    """The bytes of the message with those of these tensors as outputs that nodes of its graph make, and their names.

    Tensors inside of functions and branches cannot be outputs. Weights of other files are in the bytes, which are
    limited by protobuf: raises ModelError where they are too many.
    """
    graph, wanted = proto.graph, set(names)
    made = [text(output) for node in graph.node for output in node.output]
    chosen = [name for name in made if name in wanted]
    there = {text(port.name) for port in graph.output}
    try:
        with allowance():
            external.read_parts(file.parent, proto)
        for name in chosen:
            if name not in there:
                graph.output.add().name = name
        return bytes(proto.SerializeToString()), chosen
    except Exception as error:  # protobuf's own, above 2 GiB
        raise ModelError(f"'{file}' cannot be given to another engine: {error}") from None
