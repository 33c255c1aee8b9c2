"""The functions behind `import cnncc`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

import numpy as np

from .cache.sources import Framed, OnnxFile, OnnxMessage
from .compiler import Compilation, Options, resolve_target, storage
from .cut import checked_names, cut
from .errors import InputError, ModelError, ResourceError, UsageError
from .file_kinds import ONNX, explained, kind_of
from .files import opened
from .machine.target import Target
from .plan import PlanOptions
from .runtime.model import Model
from .runtime.origin import Origin
from .sizes import ANY, expect_one, is_open
from .types import Array

if TYPE_CHECKING:
    from .frontends.image import Image
    from .frontends.inspection import Inspection
    from .ir import Graph
    from .report import Report
    from .runtime.open_model import OpenModel

    Source = Graph | OnnxFile | Framed

__all__ = ["compile", "from_torch", "inspect", "intermediates", "interpret", "load_graph", "open_source", "with_frames"]

ONNX_ONLY = "shapes are given with ONNX models only; other models declare those of their inputs"


def load_graph(
    source: Any,
    shapes: Mapping[str, Sequence[int]] | None = None,
    outputs: Sequence[str] | None = None,
    *,
    convert: bool = False,
    fixed: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Image] | None = None,
) -> Graph:
    """The graph of a model script or an ONNX file (a path), of a model made with `cnncc.nn`, or of a graph itself.

    An ONNX model may also be given as a `ModelProto` or as bytes, and is then named after its graph. What a file is,
    its content tells; only a file called `.py` is run. `shapes` gives the shapes of an ONNX model's inputs by name,
    where it leaves them open. `outputs` cuts the model: the outputs of the graph are the results of these layers, or,
    of an ONNX model, these tensors; inputs and layers that they do not need are left out. With `convert`, what is
    float64 in an ONNX model is float32 in the graph. `fixed` gives inputs of an ONNX model values by name: they are no
    inputs of the graph, and what follows from them is computed when compiling. A value is repeated along the sizes that
    the file states. `inputs` has descriptions of the frames that come at inputs of floats, by name (see `Image`):
    what makes of them what the network reads is part of the graph.

    Raises UsageError for a name that the model does not have and for a file of another kind, ScriptError for a script
    that is missing, raises or defines no model or several, ModelError for what is wrong with an ONNX file, VerifyError
    for a graph made by hand that is none, such as one with a cycle, ResourceError where memory is used up.
    """
    with _resources("reading"):
        opened = with_frames(open_source(source, shapes, outputs, convert, fixed), inputs)
        return opened.graph if isinstance(opened, OnnxFile | Framed) else opened


@contextmanager
def _resources(what: str) -> Iterator[None]:
    """What Python raises when memory or its stack is used up becomes a ResourceError."""
    try:
        yield
    except MemoryError as error:
        told = " ".join(str(error).split())
        raise ResourceError(
            f"{what} the model takes more memory than there is" + (f": {told}" if told else "")
        ) from None
    except RecursionError:
        raise ResourceError(f"{what} the model failed, since it is nested too deeply") from None


def open_source(
    source: Any,
    shapes: Mapping[str, Sequence[int]] | None = None,
    outputs: Sequence[str] | None = None,
    convert: bool = False,
    fixed: Mapping[str, Any] | None = None,
) -> Graph | OnnxFile:
    """The same, but an ONNX model is not read yet: the compiler may know it already."""
    expect_one(shapes, "a graph")
    names = () if outputs is None else checked_names(outputs)
    values = _values(fixed)
    if isinstance(source, str | os.PathLike) and _holds_onnx(source):
        return OnnxFile(source, shapes, names, convert, values)
    if (content := _message(source)) is not None:
        return OnnxMessage(content, shapes, names, convert, values)
    if shapes is not None:
        raise UsageError(ONNX_ONLY)
    if values:
        raise UsageError("values of inputs are given with ONNX models only")
    graph = _graph(source)
    return cut(graph, names) if names else graph


def with_frames(source: Graph | OnnxFile, inputs: Mapping[str, Image] | None) -> Source:
    """The source with frames of cameras at some inputs. Raises UsageError for what is no `Image`, or a wrong one."""
    if inputs is None:
        return source
    from .frontends.frames import expect_images

    return Framed(source, expect_images(inputs))


def _values(fixed: Mapping[str, Any] | None) -> dict[str, Array]:
    """The values of inputs as arrays. Raises UsageError for anything but numbers by name."""
    if fixed is not None and not isinstance(fixed, Mapping):
        raise UsageError(f"fixed={fixed!r}: expected values of inputs by name, such as {{'rate': 16000}}")
    values = {name: np.array(value) for name, value in (fixed or {}).items()}
    for name, value in values.items():
        if value.dtype.kind not in "biuf":
            raise UsageError(f"the value that is given for '{name}' is no array of numbers")
    return values


def _message(source: Any) -> bytes | None:
    """The content of an ONNX file, if that or the message in it is given. Raises ModelError for a message that is too
    large.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if type(source).__name__ != "ModelProto" or not hasattr(source, "SerializeToString"):
        return None
    try:
        return bytes(source.SerializeToString())
    except Exception as error:  # protobuf's own, above 2 GiB
        told = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"the given ModelProto cannot be made bytes: {told}") from None


def _graph(source: Any) -> Graph:
    """The graph of anything but an ONNX model."""
    from .ir import Graph

    if isinstance(source, Graph):
        return _verified(source)
    if isinstance(source, str | os.PathLike):
        from .frontends.script import load_script

        return _verified(load_script(source))
    graph = getattr(source, "graph", None)
    if isinstance(graph, Graph):
        return graph
    raise UsageError(f"expected a graph, a model, an ONNX model or the path of a model, got {type(source).__name__}")


def _holds_onnx(path: str | os.PathLike[str]) -> bool:
    """Whether a path leads to an ONNX file, by its name or its content; else a script may be run, which is or is not.

    Raises UsageError for a file that is neither: only what is called a script is ever executed.
    """
    ending = Path(path).suffix.lower()
    if ending in (".onnx", ".py") or not os.path.isfile(path):
        return ending == ".onnx"
    with opened(path, "model file", ModelError) as stream:
        kind = kind_of(stream)
    if kind is not ONNX:
        raise UsageError(
            f"unknown kind of model file: expected a model script (.py) or an ONNX file, but '{os.fspath(path)}' is "
            f"{explained(path, kind)}"
        )
    return True


def _verified(graph: Graph) -> Graph:
    from .check.graph import verify

    verify(graph)
    return graph


def from_torch(module: Any, example: Any, *, name: str = "", convert: bool = False) -> Graph:
    """The graph of a PyTorch module in its eval form, for tensors of the shapes and types of `example`.

    `example` is a tensor, a tuple of the arguments of `forward`, or a dict of them by name; with `convert`, what is
    float64 in the module is float32 in the graph; see `frontends.torch.export`. Raises UsageError without PyTorch,
    ModelError for what is not supported.
    """
    from .frontends.torch.export import from_torch as exported

    with _resources("reading"):
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
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise UsageError(f"threads={threads!r}: expected a whole number of at least 1")
    if isinstance(off, str) or not isinstance(off, Iterable):
        raise UsageError(f"off={off!r}: expected the names of passes, such as ('fuse',)")
    resolved = resolve_target(target)
    chosen = _planned(plan, resolved)
    stored, replaceable = storage(weights)
    chosen = replace(chosen, replaceable=replaceable or chosen.replaceable)
    options = Options(resolved, precision, tuple(off), checked, chosen, weights=stored, convert=convert)
    with _resources("compiling"):
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
    with _resources("reading"):
        return Compilation(source, options).optimised.graph


def _why(source: Source, options: Options, names: tuple[str, ...]) -> str:
    """Why the layers of these names were compiled as they were. Raises UsageError for an unknown one."""
    from .explain import explain
    from .explain.text import text

    with _resources("explaining"):
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
    with _resources("reporting"):
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
    with _resources("reading"):
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
    with _resources("compiling"):
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
    with _resources("interpreting"):
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
