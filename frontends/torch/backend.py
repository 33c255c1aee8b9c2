"""`torch.compile(module, backend="cnncc")`: inference compiled here, the rest left to PyTorch.

PyTorch hands over a graph of its own functions, in which parameters and buffers are inputs. They become constants. What
the export to ONNX, or the import, refuses is named in a warning and stays with PyTorch: the graph is cut there, and the
parts between are compiled.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.fx.passes.infra.partitioner import CapabilityBasedPartitioner
from torch.fx.passes.operator_support import OperatorSupportBase
from torch.utils._pytree import tree_structure, tree_unflatten

from ...errors import CnnccError, ModelError
from .export import exported, operation

MOST = 8
"""Sizes and states of the weights that a graph is compiled for; further ones are left to PyTorch."""

Tensors = Sequence[Any]
Compiler = Callable[[Any], Callable[..., Any]]
"""From a graph of cnncc to a function of arrays that returns one, or a tuple."""


class CompiledGraph:
    """A graph of PyTorch as a function: compiled at the first call, and again for other sizes or changed weights.

    PyTorch counts the changes of each tensor (`_version`), which says when the weights are others; what is written
    through `.data` or from outside of PyTorch is not counted. Calls that need gradients, and tensors that are not on
    the CPU, are left to PyTorch.
    """

    def __init__(self, module: Any, compiler: Compiler):
        self.module, self.compiler = module, compiler
        self.kept = [_is_state(node) for node in module.graph.nodes if node.op == "placeholder"]
        self.made: dict[object, Callable[..., Any]] = {}

    def __call__(self, *values: Any) -> Any:
        if not self._fits(values):
            return self.module(*values)
        key = tuple(_identity(value, kept) for value, kept in zip(values, self.kept, strict=True))
        if key not in self.made:
            if len(self.made) == MOST:
                return self.module(*values)
            self.made[key] = _made(self.module, values, self.kept, self.compiler)
        return self.made[key](*values)

    def _fits(self, values: Tensors) -> bool:
        tensors = [value for value in values if isinstance(value, torch.Tensor)]
        gradients = torch.is_grad_enabled() and any(value.requires_grad for value in tensors)
        return not gradients and all(value.device.type == "cpu" and type(value) in PLAIN for value in tensors)


PLAIN = (torch.Tensor, torch.nn.Parameter)


def _is_state(node: Any) -> bool:
    """Whether a placeholder is a parameter or buffer of a module: PyTorch marks those."""
    return bool(node.meta.get("tensor_dict", {}).get("_dynamo_static_input_type"))


def _identity(value: Any, kept: bool) -> object:
    if not isinstance(value, torch.Tensor):
        return value
    return (value.data_ptr(), value._version) if kept else (value.shape, value.dtype)


def _made(module: Any, values: Tensors, kept: Sequence[bool], compiler: Compiler) -> Callable[..., Any]:
    """The function for these sizes and weights; the module itself where PyTorch cannot trace it again."""
    given = [index for index, (value, state) in enumerate(zip(values, kept, strict=True)) if _arrives(value, state)]
    if not given:
        return _function(module)
    bound = _bound(module, {index: value for index, value in enumerate(values) if index not in given})
    try:
        program = torch.export.export(bound, tuple(values[index] for index in given))
    except Exception as error:
        _told([f"a graph that cannot be traced ({_first_line(error)})"])
        return _function(module)
    part = _part(program, [values[index] for index in given], compiler)
    return lambda *all: part(*(all[index] for index in given))


def _function(module: Any) -> Callable[..., Any]:
    """A module as what it is to call."""
    call: Callable[..., Any] = module
    return call


def _arrives(value: Any, state: bool) -> bool:
    return isinstance(value, torch.Tensor) and not state


def _bound(module: Any, values: dict[int, Any]) -> Any:
    """The graph with some of its placeholders, by their numbers, as constants."""
    graph = torch.fx.Graph()
    holder, copied = torch.nn.Module(), {}
    number = 0
    for name, child in module.named_children():
        holder.add_module(name, child)
    for name, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
        holder.register_buffer(name, tensor.detach())
    for node in module.graph.nodes:
        if node.op == "placeholder" and number in values:
            copied[node] = _constant(graph, holder, f"constant{number}", values[number])
        else:
            copied[node] = graph.node_copy(node, lambda before: copied[before])
        number += node.op == "placeholder"
    return torch.fx.GraphModule(holder, graph)


def _constant(graph: Any, holder: Any, name: str, value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    holder.register_buffer(name, value.detach())
    return graph.get_attr(name)


def _part(program: Any, inputs: Tensors, compiler: Compiler) -> Callable[..., Any]:
    """A traced graph as a function: compiled whole, or in parts around what is refused."""
    module = program.module()
    try:
        return _whole(module, inputs, compiler)
    except Refused as error:
        _told(sorted(error.reasons))
        left = _traced(program, error.names)
    return _cut(module, left, compiler) if left else _function(module)


def _traced(program: Any, names: set[str]) -> set[str]:
    """The nodes of a traced graph that the exporter's nodes of these names come from, and all with the same operation.

    The exporter stops at the first one. It replaces some operations by others with a shorter name (`special_bessel_j0`
    by `bessel_j0`). To leave one too many to PyTorch is never wrong.
    """
    calls = [node for node in program.graph.nodes if node.op == "call_function"]
    strange = tuple(names - {node.name for node in calls})
    refused = {node.target for node in calls if node.name in names or (strange and node.name.endswith(strange))}
    return {node.name for node in calls if node.target in refused}


class Refused(Exception):
    """The nodes of a graph that cannot be compiled, and why."""

    def __init__(self, names: set[str], reasons: set[str]):
        self.names, self.reasons = names, reasons


def _whole(module: Any, inputs: Tensors, compiler: Compiler) -> Callable[..., Any]:
    try:
        run = compiler(exported(module, inputs))
    except CnnccError as error:
        raise _refusal(error) from None
    structure = _structure(module)

    def call(*values: Any) -> Any:
        result = run(*(value.detach().contiguous().numpy() for value in values))
        arrays = result if isinstance(result, tuple) else (result,)
        return tree_unflatten([torch.from_numpy(array) for array in arrays], structure)

    return call


def _structure(module: Any) -> Any:
    """How the tensors of a graph's result are nested."""
    traced = getattr(module, "_out_spec", None)
    (output,) = (node for node in module.graph.nodes if node.op == "output")
    return traced if traced is not None else tree_structure(output.args[0])


def _refusal(error: CnnccError) -> Refused:
    """The nodes that an error is about: by the exporter's words, or by the names that ONNX's nodes got."""
    text = str(error)
    names = set(re.findall(r"translating node %(\w+)", text))
    names |= {operation(place) for place in re.findall(r"node '([^']+)'", text)}
    return Refused(names, {text})


def _cut(module: Any, left: set[str], compiler: Compiler) -> Callable[..., Any]:
    """The graph with compiled parts in it; PyTorch runs what is `left` and what stands between."""

    class Support(OperatorSupportBase):
        def is_node_supported(self, submodules: Any, node: Any) -> bool:
            return node.op == "call_function" and node.name not in left

    partitioner = CapabilityBasedPartitioner(module, Support(), allows_single_node_partition=False)
    fused = partitioner.fuse_partitions(partitioner.propose_partitions())
    for node in list(fused.graph.nodes):
        if node.op == "call_module" and node.name.startswith("fused_"):
            part = _compiled_part(fused, node, compiler)
            if part is not None:
                setattr(fused, node.target, part)
    return _function(fused)


class _Called(torch.nn.Module):
    """A function of some of the values in the place of a module."""

    def __init__(self, function: Callable[..., Any], given: list[int]):
        super().__init__()
        self.function, self.given = function, given

    def forward(self, *values: Any) -> Any:
        return self.function(*(values[index] for index in self.given))


def _compiled_part(fused: Any, node: Any, compiler: Compiler) -> Any:
    """The part at `node`, compiled, with what it reads of the module as constants; None if it stays with PyTorch."""
    states = {k: _held(fused, arg.target) for k, arg in enumerate(node.args) if arg.op == "get_attr"}
    given = [index for index in range(len(node.args)) if index not in states]
    examples = [torch.zeros(_value(node.args[index]).shape, dtype=_value(node.args[index]).dtype) for index in given]
    try:
        return _Called(_whole(_bound(fused.get_submodule(node.target), states), examples, compiler), given)
    except (Refused, ModelError) as error:
        _told(sorted(getattr(error, "reasons", {str(error)})))
        return None


def _held(module: Any, target: str) -> Any:
    owner, _, name = target.rpartition(".")
    return getattr(module.get_submodule(owner), name)


def _value(node: Any) -> Any:
    return node.meta["val"]


def _first_line(error: BaseException) -> str:
    return next(filter(None, map(str.strip, str(error).splitlines())), type(error).__name__)


def _told(reasons: Sequence[str]) -> None:
    for reason in reasons:
        warnings.warn(f"cnncc leaves to PyTorch: {reason}", stacklevel=2)
