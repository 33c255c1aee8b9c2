"""Inputs and outputs of a model whose dimensions may be open, before anything of it is imported."""

from __future__ import annotations

from dataclasses import replace

from .read import Declared, OnnxModel, declared_values


def ports(model: OnnxModel) -> tuple[list[Declared], list[Declared]]:
    """The inputs and outputs that its graph will have; what the file tells of the shapes and types of the outputs.

    Raises ModelError for a malformed declaration.
    """
    needed = {*model.part.read, *model.outputs.values()}
    inputs = [port for port in model.inputs if port.name in needed or (not model.cuts and model.element(port.dtype))]
    stated = {port.name: port for port in (*declared_values(model), *model.inputs)}
    outputs = []
    for label, name in ({label: label for label in model.cuts} | dict(model.outputs)).items():
        known = stated.get(name, Declared(label, None, "tensor"))
        outputs.append(Declared(label, known.shape, known.dtype))
    return [_of_graph(model, port) for port in inputs], [_of_graph(model, port) for port in outputs]


def _of_graph(model: OnnxModel, port: Declared) -> Declared:
    """The port with the element type that the graph has."""
    element = model.element(port.dtype)
    return replace(port, dtype=element.name) if element else port
