"""The standard's own examples of nodes, as the `onnx` package makes them, through the importer and the interpreter.

    python -m tests.onnx.standard

Each example is imported with its inputs at run time, and again with all but the first one, and with all of them, known.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import cnncc
from cnncc import interpreter
from cnncc.errors import CnnccError
from cnncc.frontends.onnx.folding import FOLDS
from cnncc.frontends.onnx.table import OPERATORS
from cnncc.types import Array

OTHERWISE = {
    "test_averagepool_2d_ceil_last_window_starts_on_pad": "the expected numbers have four digits",
    "test_resize_downsample_scales_linear_align_corners": "counts with a length that is no whole number",
    "test_resize_downsample_scales_cubic_align_corners": "counts with a length that is no whole number",
}
"""Examples whose results are not those of the standard's text, and why."""


def examples() -> Iterator[tuple[str, onnx.ModelProto, list[Array], list[Array]]]:
    """Name, model, inputs and outputs of those that have known operators and tensors only."""
    from onnx.backend.test.case.node import collect_testcases

    for case in collect_testcases(None):
        if case.model is None or not {node.op_type for node in case.model.graph.node} <= {*OPERATORS, *FOLDS}:
            continue
        inputs, outputs = (case.data_sets or [((), ())])[0]
        if outputs and all(isinstance(tensor, np.ndarray | np.generic) for tensor in (*inputs, *outputs)):
            yield case.name, case.model, [np.asarray(x) for x in inputs], [np.asarray(y) for y in outputs]


def with_known(proto: onnx.ModelProto, inputs: Sequence[Array], first: int) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """The model with its inputs from `first` on, and all that are not of float32, as weights; and the others."""
    copy, feeds = onnx.ModelProto(), {}
    copy.CopyFrom(proto)
    ports = list(copy.graph.input)
    del copy.graph.input[:]
    for index, (port, array) in enumerate(zip(ports, inputs, strict=True)):
        if index < first and array.dtype == np.float32:
            copy.graph.input.append(port)
            feeds[port.name] = array
        else:
            copy.graph.initializer.append(numpy_helper.from_array(array, port.name))
    for port in copy.graph.output:
        if port.type.tensor_type.elem_type != TensorProto.FLOAT:
            copy.graph.node.append(helper.make_node("Cast", [f"{port.name}.raw"], [port.name], to=TensorProto.FLOAT))
            for node in copy.graph.node[:-1]:
                node.output[:] = [f"{name}.raw" if name == port.name else name for name in node.output]
    return copy, feeds


def outcome(proto: onnx.ModelProto, feeds: dict[str, Array], wanted: Sequence[Array], file: Path) -> str:
    file.write_bytes(proto.SerializeToString())
    try:
        graph = cnncc.load_graph(file)
    except CnnccError:
        return "refused"
    results = list(interpreter.run(graph, feeds).values())
    same = len(results) == len(wanted) and all(
        a.shape == b.shape and np.allclose(a, b.astype(np.float32), rtol=1e-4, atol=1e-5, equal_nan=True)
        for a, b in zip(results, wanted, strict=True)
    )
    return "right" if same else "different"


def main() -> int:
    counts: Counter[str] = Counter()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        for name, proto, inputs, outputs in examples():
            for first in {len(inputs), min(1, len(inputs)), 0}:
                told = outcome(*with_known(proto, inputs, first), outputs, Path(folder, "m.onnx"))
                told = "stated otherwise" if told == "different" and name in OTHERWISE else told
                counts[told] += 1
                if told == "different":
                    print(f"{name}, inputs known from {first} on: {told}")
    print(", ".join(f"{count} {told}" for told, count in sorted(counts.items())))
    return 1 if counts["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
