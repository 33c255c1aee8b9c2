"""Random models that NNSmith grows: `python -m tests.onnx.nnsmith --graphs 1000 --seed 0 [--workers 1]`.

NNSmith (Liu et al., ASPLOS 2023) solves for shapes and attributes under which a graph of PyTorch's operators is valid,
and searches inputs that make neither NaN nor infinities. PyTorch exports each graph to ONNX; it is compiled here, and

  - native code lies within its derived bound of the interpreter (`cnncc.check`), as in `tests.fuzz`;
  - ONNX Runtime, or else PyTorch, or else PyTorch in float64 lies within `OTHERS` bounds of what the interpreter makes
    of the graph: their own roundings are bounded by the same analysis, but for the errors of their functions.

Numbers of float16 are held to what the documents promise: the model with float32 in their place, except where it rounds
to float16 (`widened`). What floats that no whole number is near become as whole numbers is a rule of ours, and outputs
behind such a Cast are left out (`ruled`). Exit code 1 for a difference or a crash. Needs the packages nnsmith 0.1.0,
torch and onnxruntime.
"""

from __future__ import annotations

import argparse
import copy
import io
import re
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from cnncc.check.bound import Bound, compare
from cnncc.ir import Graph, Value
from cnncc.ops import Cast
from cnncc.types import Array
from tests.fuzz.check import Finding
from tests.fuzz.run import Job, answer, run_job

from .backend import PATIENCE, Refused, outcome

NODES = 10
ELEMENTS = 2**12
TYPES = "float32 float16 int8 uint8 int16 int32 int64".split()
"""Of inputs and weights; operators that cast to others, or that compute complex numbers, are left out."""

OTHERS = 16.0
TRIES = 50


class NotMade(Exception):
    """What NNSmith grew is no model: PyTorch does not compute or does not export it."""


@dataclass(frozen=True)
class Example:
    """A model with inputs, and what PyTorch computes for them, also in float64 if it can; all by names."""

    model: onnx.ModelProto
    feeds: dict[str, Array]
    expected: dict[str, Array]
    exact: dict[str, Array]


def example(seed: int) -> Example:
    """The first model that can be made of this seed and those after it."""
    warnings.simplefilter("ignore")
    for turn in range(TRIES):
        try:
            return grown(seed * TRIES + turn)
        except Exception:  # of three packages, each with its own
            continue
    raise NotMade(f"none of {TRIES} graphs is a model")


def grown(seed: int) -> Example:
    """NNSmith's graph of a seed. Raises whatever it, PyTorch or ONNX does not like."""
    from nnsmith.abstract.op import Cast
    from nnsmith.graph_gen import model_gen
    from nnsmith.materialize import Model

    kind = Model.init("torch", backend_target="cpu")
    kind.add_seed_setter()
    able = [op for op in kind.operators() if not (issubclass(op, Cast) and _casts_to_others(op))]
    sizes = {"max_nodes": 5 + seed % (NODES - 4), "max_elem_per_tensor": ELEMENTS, "dtype_choices": TYPES}
    net = kind.from_gir(model_gen(able, "symbolic-cinit", seed=seed, timeout_ms=20000, **sizes).make_concrete())
    net.refine_weights()
    oracle = net.make_oracle()
    net.torch_model.disable_proxy_grad()
    model = exported(net.torch_model.eval(), oracle.input, list(oracle.output))
    onnx.checker.check_model(model, full_check=True)
    return Example(
        model, dict(oracle.input), dict(oracle.output), exactly(net.torch_model, oracle.input, oracle.output)
    )


def _casts_to_others(op: Any) -> bool:
    return not {kind.name for kinds in op.out_dtypes for kind in kinds} <= {*TYPES, "bool"}


def exactly(net: Any, feeds: Mapping[str, Array], outputs: Mapping[str, Array]) -> dict[str, Array]:
    """What PyTorch computes in float64, rounded once; nothing if the graph mixes it with casts to other floats."""
    import torch

    tensors = {name: torch.tensor(array) for name, array in feeds.items()}
    wide = {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    try:
        with torch.no_grad():
            found = copy.deepcopy(net).double()(**wide)
        return {name: each.numpy().astype(outputs[name].dtype) for name, each in zip(outputs, found, strict=True)}
    except RuntimeError:
        return {}


def exported(net: Any, feeds: Mapping[str, Array], outputs: list[str]) -> onnx.ModelProto:
    """By PyTorch's older exporter: what the newer one reads, `torch.export`, does not trace NNSmith's modules."""
    import torch

    file = io.BytesIO()
    tensors = tuple(torch.tensor(array) for array in feeds.values())
    names = {"input_names": list(feeds), "output_names": outputs}
    torch.onnx.export(net, tensors, file, dynamo=False, opset_version=14, do_constant_folding=False, **names)
    return onnx.load_model_from_string(file.getvalue())


# One model, in a worker


ENGINES: dict[str, Callable[[Example], Mapping[str, Array]]] = {
    "ONNX Runtime": lambda made: runtime(made),
    "PyTorch": lambda made: made.expected,
    "PyTorch in float64": lambda made: made.exact,
}


def check(seed: int, folder: Path) -> Finding:
    """Raises AssertionError for a wrong number, Refused, NotMade, or whatever should not be."""
    from cnncc.errors import CnnccError

    made = example(seed)
    try:
        found = computed(made, folder)
        wanted = judged(made, folder)
    except CnnccError as error:
        raise Refused(str(error).replace(f"{folder}/", "")) from None
    told = {}
    for name, run in ENGINES.items():
        told[name] = difference(found, wanted, run, made)
        if not told[name]:
            skipped = len(found) - len(wanted)
            return Finding(ops=Counter({f"equal to {name}": 1, "outputs behind a rule of Cast": skipped}))
    raise AssertionError("; ".join(f"{name}: {why}" for name, why in told.items()))


def computed(made: Example, folder: Path) -> dict[str, Array]:
    """The outputs by native code, within its bounds of the interpreter. Raises CnnccError."""
    import cnncc
    from tests.graphs import compilation, expected, native, worst_ratio

    onnx.save(made.model, folder / "model.onnx")
    program = compilation(cnncc.load_graph(folder / "model.onnx"))
    found = native(program, made.feeds)
    worst_ratio(found, expected(program, made.feeds))
    return found


def judged(made: Example, folder: Path) -> dict[str, Bound]:
    """What the interpreter makes of the graph, with bounds of all that is computed: also of constants."""
    import cnncc
    from cnncc.check.tolerance import bounds

    model, feeds = arriving(made)
    onnx.save(model, folder / "arriving.onnx")
    graph = cnncc.load_graph(folder / "arriving.onnx")
    known = bounds(graph, feeds)
    behind = ruled(graph, known)
    return {name: known[value] for name, value in graph.outputs.items() if value.node not in behind}


def arriving(made: Example) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """The model with NNSmith's constants of floats as inputs, so that nothing that they become is known."""
    model, feeds = onnx.ModelProto(), dict(made.feeds)
    model.CopyFrom(made.model)
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16)
    for weights in [each for each in model.graph.initializer if each.name.endswith(".data")]:
        if weights.data_type in floats:
            feeds[weights.name] = numpy_helper.to_array(weights)
            model.graph.input.append(helper.make_tensor_value_info(weights.name, weights.data_type, weights.dims))
            model.graph.initializer.remove(weights)
    return model, feeds


def ruled(graph: Graph, known: Mapping[Value, Bound]) -> set[str]:
    """Nodes that make whole numbers of floats beyond them, or of NaN, and all that read these."""
    found: set[str] = set()
    for node in graph:
        behind = any(value.node in found for value in node.inputs)
        if behind or (isinstance(node.op, Cast) and _beyond(known[node.inputs[0]], node.types[0].dtype.numpy)):
            found.add(node.name)
    return found


def _beyond(x: Bound, dtype: np.dtype[Any]) -> bool:
    if not x.is_float or dtype.kind not in "iu":
        return False
    ends = np.iinfo(dtype)
    with np.errstate(invalid="ignore"):
        return not bool(np.all((x.reference > ends.min - 1) & (x.reference < ends.max + 1)))


def difference(
    found: Mapping[str, Array],
    wanted: Mapping[str, Bound],
    run: Callable[[Example], Mapping[str, Array]],
    made: Example,
) -> str:
    """What another engine computes otherwise; '' if nothing."""
    try:
        others = run(made)
    except Exception as error:
        return f"does not run it: {str(error).partition(chr(10))[0][:150]}"
    if not others:
        return "cannot"
    for name in wanted:
        other = others[name]
        if found[name].dtype != other.dtype or found[name].shape != other.shape:
            return f"'{name}' is {found[name].dtype}{found[name].shape}, not {other.dtype}{other.shape}"
        bound = Bound(wanted[name].reference, OTHERS * wanted[name].error + _of_halves(other))
        comparison = compare(other, bound)
        if not comparison.ok:
            at = comparison.index
            return (
                f"'{name}' at {at}: {found[name][at]!r}, not {other[at]!r}, "
                f"{comparison.worst_ratio:.3g} times the bound {bound.error[at]:.3g}"
            )
    return ""


def _of_halves(array: Array) -> Array | float:
    """Two results that are close round to the same float16 or to neighbours."""
    return np.spacing(np.abs(array)).astype(np.float64) if array.dtype == np.float16 else 0.0


def runtime(made: Example) -> dict[str, Array]:
    """By ONNX Runtime, without its own rewrites."""
    from .single.run import runtime as run

    names = [port.name for port in made.model.graph.output]
    return dict(zip(names, run(widened(made.model), made.feeds), strict=True))


def widened(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model in float32 wherever it is in float16, rounded to it in inputs, outputs and after a Cast."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    graph = wide.graph
    read, written = ([port.name for port in ports if _half(port)] for ports in (graph.input, graph.output))
    _widen(graph, {name: f"{name}.wide" for name in (*read, *written)})
    before = [helper.make_node("Cast", [name], [f"{name}.wide"], to=TensorProto.FLOAT) for name in read]
    after = [helper.make_node("Cast", [f"{name}.wide"], [name], to=TensorProto.FLOAT16) for name in written]
    nodes = [*before, *graph.node, *after]
    del graph.node[:]
    graph.node.extend(nodes)
    return wide


def _half(port: onnx.ValueInfoProto) -> bool:
    return bool(port.type.tensor_type.elem_type == TensorProto.FLOAT16)


def _widen(graph: onnx.GraphProto, renamed: Mapping[str, str]) -> None:
    """Nodes and weights of a graph, with other names for some values."""
    nodes = [each for node in graph.node for each in _wide_node(node, renamed)]
    weights = [_wide(tensor) for tensor in graph.initializer]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(weights)


def _wide(tensor: onnx.TensorProto) -> onnx.TensorProto:
    if tensor.data_type != TensorProto.FLOAT16:
        return tensor
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)


def _wide_node(node: onnx.NodeProto, renamed: Mapping[str, str]) -> list[onnx.NodeProto]:
    node.input[:] = [renamed.get(name, name) for name in node.input]
    node.output[:] = [renamed.get(name, name) for name in node.output]
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.TENSOR:
            attribute.t.CopyFrom(_wide(attribute.t))
        if attribute.type == onnx.AttributeProto.GRAPH:
            _widen(attribute.g, renamed)
            for port in attribute.g.output:
                port.name = renamed.get(port.name, port.name)
                if _half(port):
                    port.type.tensor_type.elem_type = TensorProto.FLOAT
    if node.op_type != "Cast" or node.attribute[0].i != TensorProto.FLOAT16:
        return [node]
    (result,) = node.output
    node.output[0] = f"{result}.half"
    return [node, helper.make_node("Cast", [f"{result}.half"], [result], to=TensorProto.FLOAT)]


def work(connection: Connection, folder: str) -> None:
    """What a worker does: the model of each seed that it is sent."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as own:
        answer(connection, lambda seed: check(seed, Path(own)))


# All models


def kind_of(why: str) -> str:
    """A message without what is of one model: names and numbers."""
    return re.sub(r"\d+", "0", re.sub(r"'[^']*'", "'…'", why.partition("cannot be imported: ")[2] or why))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--graphs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--workers", type=int, default=None, help="processes (default: one for each core)")
    options = parser.parse_args()
    missing = [name for name in ("nnsmith", "torch", "onnxruntime") if find_spec(name) is None]
    if missing:
        print(f"skipped: this needs {', '.join(missing)}: pip install nnsmith==0.1.0 torch onnxruntime")
        return 0
    seeds = range(options.seed, options.seed + options.graphs)
    report = run_job(seeds, Job(work, "", PATIENCE), workers=options.workers)
    states: Counter[str] = Counter()
    refusals: Counter[str] = Counter()
    for seed in seeds[: report.done]:
        state, why = outcome(report.failures.get(seed, ""))
        state = "not made" if why.startswith("NotMade") else state
        states[state] += 1
        if state == "refused":
            refusals[kind_of(why)] += 1
        if state in ("failed", "crashed"):
            print(f"seed {seed}: {state}: {why}", flush=True)
    print("\n".join(f"refused: {count:4} {why}" for why, count in refusals.most_common()))
    told = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    print(f"{report.done} graphs in {report.seconds:.0f} s: {told}; {report.coverage()}")
    return 1 if states["failed"] or states["crashed"] else 0


if __name__ == "__main__":
    sys.exit(main())
