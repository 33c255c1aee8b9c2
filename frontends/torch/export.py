"""PyTorch modules as graphs, by way of PyTorch's own export to ONNX.

`torch.export` traces the module on example inputs, and `torch.onnx` translates what it found. Layers get the names of
the modules that they come from, so that messages name what the user wrote.
"""

from __future__ import annotations

import ast
import contextlib
import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import ModelError, UsageError
from ...ir import Graph
from ..onnx.importer import graph_of
from .rewritten import rewritten

SCOPES = "pkg.torch.onnx.name_scopes"
"""Under this key a node of the export has the modules that it lies in, and its own name, as a list in Python."""


def from_torch(module: Any, example: Any, *, name: str = "", convert: bool = False) -> Graph:
    """The graph of a module in its eval form, for tensors of the shapes and types of `example`.

    `example` is a tensor, a tuple of the arguments of `forward`, or a dict of them by name. If the first axes of all
    tensors are of one size, it is the number of images, which stays open where the module computes nothing with it.
    The graph is called `name`, or as the module's class. Inputs have the names of the arguments, outputs are called
    'output', 'output1', 'output2'… or by the keys of a dict. With `convert`, float32 stands for float64.

    Raises UsageError without PyTorch and `onnxscript`, or for an example that holds no tensors, ModelError for what
    PyTorch does not export, or what `cnncc` does not support of it.
    """
    torch = _torch()
    if not isinstance(module, torch.nn.Module):
        raise UsageError(f"from_torch expects a torch.nn.Module, got {type(module).__name__}")
    args, kwargs = _arguments(example, torch)
    with _as_inference(module, torch), _quiet():
        proto, any_number = _exported(torch, module, args, kwargs)
    _rename(proto.graph, by_module=True)
    declared = _shapes(proto, [*args, *kwargs.values()])
    graph = graph_of(Path(f"{name or type(module).__name__}.onnx"), proto, declared, convert=convert)
    # A trace with fixed sizes has them as numbers, which may be anywhere: nobody can tell that N was not among them.
    return graph if any_number else replace(graph, fixed="PyTorch traced the module for this number of images only")


def exported(module: Any, args: Sequence[Any]) -> Graph:
    """The graph of a module for tensors of these very shapes; layers are called as PyTorch's operations.

    Raises ModelError like `from_torch`.
    """
    torch = _torch()
    with torch.no_grad(), _quiet():
        proto = _program(torch, module, args, {}, None, False)
    _rename(proto.graph, by_module=False)
    graph = graph_of(Path("module.onnx"), proto, _shapes(proto, args))
    return replace(graph, fixed="PyTorch traced the module for these sizes only")


def _shapes(proto: Any, given: Sequence[Any]) -> dict[str, tuple[int, ...]]:
    """Of the inputs by name; the file does not tell an axis of no elements from an open one."""
    return {port.name: tuple(value.shape) for port, value in zip(proto.graph.input, given, strict=True)}


def _torch() -> Any:
    try:
        import onnxscript  # noqa: F401 (what torch.onnx needs)
        import torch
    except ImportError as error:
        raise UsageError(f"PyTorch modules need the package {error.name}: pip install 'cnncc[torch]'") from None
    return torch


def _arguments(example: Any, torch: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(example, Mapping):
        args, kwargs = (), dict(example)
    else:
        args, kwargs = tuple(example) if isinstance(example, tuple | list) else (example,), {}
    for value in (*args, *kwargs.values()):
        if not isinstance(value, torch.Tensor):
            raise UsageError(
                "the example is a torch.Tensor, a tuple of them or a dict of them by the names of forward's arguments, "
                f"but it holds {type(value).__name__}"
            )
    return args, kwargs


@contextlib.contextmanager
def _as_inference(module: Any, torch: Any) -> Iterator[None]:
    """Eval form without gradients; afterwards each module is in the form in which it was."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, training in modes:
            part.training = training


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Neither warnings nor log lines of the exporter; what is wrong is raised."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _exported(torch: Any, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, bool]:
    """The model, if possible with an open number of images, and whether that is open."""
    given = [*args, *kwargs.values()]
    names = _output_names(torch, module, args, kwargs)
    if len({value.shape[:1] for value in given}) == 1 and given[0].dim():
        with contextlib.suppress(ModelError):
            # One image would be a size that the trace takes for a constant.
            many = [value if value.shape[0] > 1 else torch.cat([value, value]) for value in given]
            proto = _program(
                torch, module, many[: len(args)], dict(zip(kwargs, many[len(args) :], strict=True)), names, True
            )
            if all(port.type.tensor_type.shape.dim[0].dim_param for port in proto.graph.input):
                return proto, True
    return _program(torch, module, args, kwargs, names, False), False


def _program(
    torch: Any, module: Any, args: Sequence[Any], kwargs: dict[str, Any], names: list[str] | None, any_number: bool
) -> Any:
    """The exported model. Raises ModelError for what PyTorch does not export."""
    sizes: Any = None
    if any_number:
        axis = {0: torch.export.Dim.AUTO}
        sizes = dict.fromkeys(kwargs, axis) if kwargs else tuple(axis for _ in args)
    try:
        program = rewritten(torch, torch.export.export(module, tuple(args), kwargs, dynamic_shapes=sizes))
        # Unoptimised: weights stay what they are, and our own passes fold norms in float64.
        onnx = torch.onnx.export(program, dynamo=True, optimize=False, verbose=False, output_names=names)
    except Exception as error:
        raise ModelError(f"PyTorch cannot export {type(module).__name__}: {_reason(error)}") from None
    return onnx.model_proto


def _reason(error: BaseException) -> str:
    """The first lines of the last two causes: where it was, and what."""
    told = [_line(error)]
    while error.__cause__ is not None:
        error = error.__cause__
        told.append(_line(error))
    return ": ".join(told[1:][-2:] or told)


def _line(error: BaseException) -> str:
    line = next(filter(None, map(str.strip, str(error).splitlines())), type(error).__name__)
    return line.removesuffix("See the stack trace for more information.").strip().rstrip(".")


def _output_names(torch: Any, module: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> list[str]:
    """Names of all tensors of the result: keys of a dict, else 'output' with a number if there are several."""
    try:
        result = module(*args, **kwargs)
    except Exception as error:
        raise ModelError(f"{type(module).__name__} fails on the example: {_reason(error)}") from None
    if isinstance(result, Mapping) and all(isinstance(value, torch.Tensor) for value in result.values()):
        return list(map(str, result))
    leaves = torch.utils._pytree.tree_leaves(result)
    return ["output"] if len(leaves) == 1 else [f"output{number}" for number in range(1, len(leaves) + 1)]


def _rename(graph: Any, *, by_module: bool) -> None:
    """Nodes by the modules that they come from: `layer1.0.conv`, or `layer1.0.add` for one of several in a module.

    An operation that is several nodes gives its name to the last; the others have their operator after it.
    """
    scopes = [_scope(node) for node in graph.node]
    operations = Counter(module for module, _ in set(scopes))
    last = {scope: index for index, scope in enumerate(scopes)}
    for index, (node, scope) in enumerate(zip(graph.node, scopes, strict=True)):
        module, own = scope if by_module else ("", scope[1])
        name = module if module and operations[module] == 1 else ".".join(filter(None, (module, own)))
        node.name = (name if last[scope] == index else f"{name}.{node.op_type}") or node.name


def operation(name: str) -> str:
    """PyTorch's operation in the name of a layer that `exported` gave."""
    return name.partition(".")[0]


def _scope(node: Any) -> tuple[str, str]:
    """The innermost module of a node, and the name of the operation there; empty where the export does not tell."""
    texts = [entry.value for entry in node.metadata_props if entry.key == SCOPES]
    try:
        *modules, own = ast.literal_eval(texts[0])
        return (str(modules[-1]) if modules else "").removeprefix("L['self']."), str(own)
    except (IndexError, ValueError, SyntaxError):
        return "", ""
