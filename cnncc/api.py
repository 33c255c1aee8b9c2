"""The functions behind `import cnncc`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

import numpy as np

from .cache.sources import Framed, OnnxFile
from .compiler import Compilation, Options, resolve_target, storage
from .cut import checked_names
from .errors import InputError, UsageError
from .machine.target import Target
from .plan import PlanOptions
from .runtime.model import Model
from .runtime.origin import Origin
from .sizes import ANY, is_open
from .source import ONNX_ONLY, load_graph, open_source, resources, with_frames
from .types import Array

if TYPE_CHECKING:
    from .frontends.image import Image
    from .frontends.inspection import Inspection
    from .ir import Graph
    from .report import Report
    from .runtime.open_model import OpenModel
    from .source import Source

__all__ = ["compile", "from_torch", "inspect", "intermediates", "interpret", "load_graph"]


def from_torch(module: Any, example: Any, *, name: str = "", convert: bool = False) -> Graph:
    """The graph of a PyTorch module in its eval form, for tensors of the shapes and types of `example`.

    `example` is a tensor, a tuple of the arguments of `forward`, or a dict of them by name; with `convert`, what is
    float64 in the module is float32 in the graph; see `frontends.torch.export`. Raises UsageError without PyTorch,
    ModelError for what is not supported.
    """
    from .frontends.torch.export import from_torch as exported

    with resources("reading"):
        return exported(module, example, name=name, convert=convert)


def torch_backend(module: Any, example: Any, *, options: Mapping[str, Any] | None = None) -> Any:
    """The backend 'cnncc' of `torch.compile`; `options` are keywords of `compile` (see `frontends.torch.backend`)."""
    from .frontends.torch.backend import CompiledGraph

    return CompiledGraph(module, lambda graph: compile(graph, **(options or {})))


class Settings(TypedDict, total=False):
    """Keywords of `compile` for models of one size and of several."""

    target: str | Target
    threads: int
    precision: str
    off: Sequence[str]
    checked: bool
    weights: str
    convert: bool
    cache: bool
    plan: PlanOptions | str | os.PathLike[str] | None
    outputs: Sequence[str] | None
    fixed: Mapping[str, Any] | None
    inputs: Mapping[str, Image] | None


class Tuning(Settings, total=False):
    """Keywords of `compile` for models of one size."""

    tune: bool
    tune_seconds: float
    tune_progress: Callable[[float, str], object] | None


@overload
def compile(
    source: Any, example: Any = None, *, shapes: Mapping[str, Sequence[int]] | None = None, **settings: Unpack[Tuning]
) -> Model: ...


@overload
def compile(
    source: Any,
    example: Any = None,
    *,
    shapes: Literal["any"] | Mapping[str, Sequence[int] | Sequence[Sequence[int]]],
    **settings: Unpack[Settings],
) -> OpenModel: ...


def compile(
    source: Any,
    example: Any = None,
    *,
    target: str | Target = "host",
    threads: int = 1,
    precision: str = "fast",
    off: Sequence[str] = (),
    checked: bool = False,
    weights: str = "float32",
    convert: bool = False,
    cache: bool = True,
    plan: PlanOptions | str | os.PathLike[str] | None = None,
    tune: bool = False,
    tune_seconds: float = 60.0,
    tune_progress: Callable[[float, str], object] | None = None,
    shapes: Any = None,
    outputs: Sequence[str] | None = None,
    fixed: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Image] | None = None,
) -> Model | OpenModel:
    """Compile a graph, a model, a model script, an ONNX model or a PyTorch module to native code and load it.

    `example` belongs to a PyTorch module (see `from_torch`).
    `target` is 'host', or a target that this machine can run; `threads` the number of cores that a call uses;
    `precision` 'fast' or 'strict'; `off` names passes to leave out; `checked` tests every memory access;
    `weights` 'float32', or 'float16' to store those of convolutions and dense layers in half the bytes, on targets that
    convert them, within bounds that are wider by 2⁻¹¹ of each product; 'replaceable', also as 'float16,replaceable',
    keeps code and weights apart, so that others can be packed for the same code (see `cnncc weights`);
    `convert` computes float64 of an ONNX model or a module in float32 (inputs and outputs are float32), and makes calls
    convert arrays of other elements, if they do not say otherwise;
    `cache=False` neither reads nor writes the cache on disk; `plan` is what the plan has to choose, also as a file
    that the command line wrote (`--save-plan`); `tune` measures what is left to choose, within `tune_seconds`, unless
    the cache remembers it, and calls `tune_progress` with the part that is done (0 to 1) and what is timed;
    `shapes`, `outputs`, `fixed` and `inputs` are those of `load_graph`.

    `shapes="any"` gives an `OpenModel`, which is compiled for each new size that a call has. So does a list of shapes
    for an input; these sizes are compiled now. So does an `Image` that resizes frames and does not say their size.
    """
    _expect(threads, off)
    resolved = resolve_target(target)
    chosen = _planned(plan, resolved)
    stored, replaceable = storage(weights)
    chosen = replace(chosen, replaceable=replaceable or chosen.replaceable)
    options = Options(resolved, precision, tuple(off), checked, chosen, weights=stored, convert=convert)
    with resources("compiling"):
        several = is_open(shapes)
        if several and inputs is not None:
            raise UsageError("an Image without size takes frames of any size: shapes are then those of one network")
        network = open_source(_exported(source, example, convert), None if several else shapes, outputs, convert, fixed)
        opened = with_frames(network, inputs)
        if several or (isinstance(opened, Framed) and opened.open):
            return _open(opened, shapes if several else ANY, options, threads, cache, tune)
        if tune:
            from .measure.tuning import tune as choose

            choices = choose(Compilation(opened, options), tune_seconds, use_cache=cache, progress=tune_progress)
            options = choices.compilation.options
        return _compile(opened, options, threads, cache)


def _expect(threads: Any, off: Any) -> None:
    """Raise UsageError for what is no number of threads, or no names of passes."""
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise UsageError(f"threads={threads!r}: expected a whole number of at least 1")
    if isinstance(off, str) or not isinstance(off, Iterable):
        raise UsageError(f"off={off!r}: expected the names of passes, such as ('fuse',)")


def _exported(source: Any, example: Any, convert: bool) -> Any:
    """The graph of a PyTorch module; any other source as it is, which has no example."""
    torch = sys.modules.get("torch")  # whoever has a module of it has imported it
    if torch is not None and isinstance(source, torch.nn.Module):
        if example is None:
            raise UsageError("a PyTorch module is compiled for an example of its input: cnncc.compile(module, example)")
        return from_torch(source, example, convert=convert)
    if example is not None:
        shown = f"target={example!r} is given by its name" if isinstance(example, str | Target) else "this is none"
        raise UsageError(f"the second argument is the example of a PyTorch module: {shown}")
    return source


def _planned(plan: PlanOptions | str | os.PathLike[str] | None, target: Target) -> PlanOptions:
    """What the plan has to choose, read from a file if it is one's path."""
    if isinstance(plan, str | os.PathLike):
        from .plan.saved import load

        return load(plan, target)
    return plan or PlanOptions()


def _open(source: Source, shapes: Any, options: Options, threads: int, use_cache: bool, tune: bool) -> OpenModel:
    """A model of several sizes."""
    from .opening import opened_model

    if tune:
        raise UsageError("tune=True takes one size: give one shape for each input")
    if not isinstance(source, OnnxFile | Framed):
        raise UsageError(ONNX_ONLY)
    return opened_model(source, shapes, options, threads, use_cache)


def _compile(source: Source, options: Options, threads: int, use_cache: bool) -> Model:
    """Also what a pickled model runs to come back."""
    executable = Compilation(source, options).executable(use_cache=use_cache)
    again = _compile, (source, options, threads, use_cache)
    known = source, options
    origin = Origin(partial(_why, *known), partial(_report, *known), partial(_optimised, *known))
    return Model(executable, threads=threads, rebuild=again, origin=origin)


def _optimised(source: Source, options: Options) -> Graph:
    """What `Explained.optimised` gives."""
    with resources("reading"):
        return Compilation(source, options).optimised.graph


def _why(source: Source, options: Options, names: tuple[str, ...]) -> str:
    """Why the layers of these names were compiled as they were. Raises UsageError for an unknown one."""
    from .explain import explain
    from .explain.text import text

    with resources("explaining"):
        return text(explain(Compilation(source, options), names), names)


def _report(
    source: Source,
    options: Options,
    path: str | os.PathLike[str] | None,
    against: Sequence[str] | str | None,
    **asked: Any,
) -> Report:
    """What `Model.report` gives."""
    from .measure.peers import named
    from .report import report
    from .report.facts import Request

    names = ",".join([against] if isinstance(against, str) else against or ())
    engines = named(names) if names else None if against is None else ()
    with resources("reporting"):
        found = report(Compilation(source, options), Request(against=engines, **asked))
    if path is not None:
        found.save(path)
    return found


def inspect(
    source: Any,
    shapes: Mapping[str, Sequence[int]] | None = None,
    outputs: Sequence[str] | None = None,
    *,
    convert: bool = False,
    fixed: Mapping[str, Any] | None = None,
) -> Inspection:
    """What a model holds (`Inspection`), without compiling it; what cannot be imported of an ONNX file is part of it.

    `shapes`, `outputs` and `convert` are those of `load_graph`; where dimensions stay open, it is looked at with some
    lengths. Types are told as the file has them.

    Raises what `load_graph` raises, but for such problems of an ONNX file.
    """
    with resources("reading"):
        opened = open_source(source, shapes, outputs, convert, fixed)
        if isinstance(opened, OnnxFile):
            return opened.inspected()
        from .frontends.inspection import inspected

        return inspected(opened)


def intermediates(model: Any, *inputs: Any, layers: str | Sequence[str] = "*") -> dict[str, Array]:
    """The tensors inside a compiled model, as its kernels make them in a call with these inputs.

    `model` is what `compile` returned, or a source that it takes. `layers` names layers as the passes left them, or
    tensors of an ONNX file that still exist; `*`, `?` and `[…]` stand for several. The answer has them by these names.
    Inputs are given as to the model; states have their first values.

    Raises UsageError for a name that is not there or whose value became part of a layer, with that layer; InputError
    for inputs that do not fit; what `compile` raises.
    """
    from .faults.dump import dump
    from .runtime.arrays import ordered_inputs

    compiled = model if isinstance(model, Model) else compile(model)
    try:
        source, options, threads = compiled.__reduce__()[1][:3]  # what a pickled model is made of
    except TypeError:
        raise UsageError(f"model '{compiled.name}' is object code alone: its layers are not known") from None
    names = [port.name for port in compiled.inputs]
    feeds = dict(zip(names, ordered_inputs(compiled, inputs), strict=True))
    with resources("compiling"):
        found = dump(Compilation(source, options), feeds, checked_names(layers), threads)
    return {tensor.name: tensor.data for tensor in found}


def interpret(source: Any, /, *inputs: Any, **named: Any) -> Any:
    """Run the reference interpreter on a graph, a model or a script.

    Inputs are given as to a compiled model: arrays in order or by name, or one dict by name. The answer is an array, or
    a tuple in the order of the outputs that has their names as well (`Outputs`).
    """
    from . import interpreter
    from .runtime.outputs import named as named_outputs

    graph = load_graph(source)
    feeds = _feeds(graph, inputs, named)
    with resources("interpreting"):
        results = interpreter.run(graph, feeds)
    arrays = tuple(results.values())
    return arrays[0] if len(arrays) == 1 else named_outputs(tuple(results), arrays)


def _feeds(graph: Graph, inputs: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Array]:
    """The arrays of an interpreted call by the names of the inputs. Raises InputError for another number of them."""
    if len(inputs) == 1 and isinstance(inputs[0], Mapping) and not named:
        return {name: np.asarray(value) for name, value in inputs[0].items()}
    placed = dict(zip(graph.inputs, inputs, strict=False))
    if len(inputs) + len(named) != len(graph.inputs) or placed.keys() & named.keys():
        raise InputError(f"model '{graph.name}' has {len(graph.inputs)} inputs, got {len(inputs) + len(named)}")
    return {name: np.asarray(value) for name, value in {**placed, **named}.items()}
