"""ONNX files with mistakes in them, each the same for the same seed: of bytes, or of what the messages say."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from ..errors.test_damaged_onnx import NODES, SHAPE, WEIGHTS
from ..onnx.cases_elements import EVERY
from ..onnx.cases_floats import LEGACY
from ..onnx.support import model, node

Random = np.random.Generator

WHOLE = (0, 1, -1, 2, 3, -2, 5, 7, 64, 1000, 2**20, 10**6, 2**31 - 1, 2**31, -(2**31), 2**32, 2**40, 2**62, -(2**63))
REAL = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-45, 1e-10, 3e38, float("nan"), float("inf"), -float("inf"))
TEXT = ("", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", "linear", "cubic", "nearest", "reflect", "tanh", "x\0y", "ü")
TYPES = (*range(24), 99)
OPSETS = (-1, 0, 1, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 18, 20, 21, 23, 10**6, 2**62)
DOMAINS = ("", "ai.onnx", "com.example", "ai.onnx.ml")


@functools.cache
def originals() -> tuple[onnx.ModelProto, ...]:
    """Right models: one of each case of the import's tests, and some of several layers."""
    cases = [*EVERY, *LEGACY]
    return (*(case.model for case in cases), *(net() for _ in range(len(cases) // 2)), *(nest() for _ in range(40)))


@functools.cache
def net() -> onnx.ModelProto:
    """Convolution, normalisation, pools, constants that are computed, a residual branch, several outputs."""
    nodes = [
        *NODES,
        node("Shape", "r", "rs"),
        node("ConstantOfShape", "rs", "k", value=helper.make_tensor("v", 1, [1], [0.5])),
        node("Add", "r k", "ra", "residual"),
        node("Split", "ra", "s0 s1 s2", axis=1, num_outputs=3),
        node("Concat", "s2 s0", "j", axis=1),
        node("ReduceMean", "j two", "v", keepdims=0),
    ]
    return model(nodes, {"x": SHAPE}, ["y", "z", "p", "v"], {**WEIGHTS, "two": np.array([2, 3])})


@functools.cache
def nest() -> onnx.ModelProto:
    """A function that calls another one, a loop of three turns with a branch in it, a scan, and sequences."""

    def graph(nodes: Iterable[onnx.NodeProto], inputs: str, outputs: str) -> onnx.GraphProto:
        read, made = (
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names.split()]
            for names in (inputs, outputs)
        )
        return helper.make_graph(list(nodes), "inner", read, made)

    imports = [helper.make_opsetid("", 21), helper.make_opsetid("my", 1)]
    twice = helper.make_function("my", "Twice", ["p"], ["q"], [node("Add", "p p", "q", "sum")], imports)
    called = node("Twice", "a", "t", "first")
    called.domain = "my"
    leaky = node("LeakyRelu", "t", "b", "leaky")
    leaky.attribute.add(name="alpha", ref_attr_name="slope", type=AttributeProto.FLOAT)
    outer = helper.make_function("my", "Outer", ["a"], ["b"], [called, leaky], imports, ["slope"])
    call = node("Outer", "x", "o", "call", slope=0.5)
    call.domain = "my"
    choice = node(
        "If", "c", "chosen", then_branch=graph([node("Neg", "v", "r")], "", "r"), else_branch=graph([], "", "v")
    )
    turn = [choice, node("Add", "chosen x", "v2"), node("SequenceInsert", "list v2", "longer"), node("Not", "c", "k")]
    step = [node("Add", "total part", "t2"), node("Identity", "t2", "out")]
    nodes = [
        call,
        node("SequenceEmpty", "", "empty"),
        node("Not", "no", "yes"),
        node("Loop", "three yes o empty", "v3 all stack", "loop", body=graph(turn, "i c v list", "k v2 longer v2")),
        node("ConcatFromSequence", "all", "wide", axis=1),
        node("SplitToSequence", "wide two", "parts", axis=1),
        node("SequenceAt", "parts zero", "part"),
        node("Scan", "start part", "final scans", "scan", body=graph(step, "total part", "t2 out"), num_scan_inputs=1),
        node("ReduceSum", "stack", "y"),
        node("Add", "final y", "z"),
    ]
    weights = {
        "three": np.array(3),
        "no": np.array(False),
        "two": np.array(2),
        "zero": np.array(0),
        "start": np.zeros(2, np.float32),
    }
    proto = model(nodes, {"x": (2, 3)}, ["z", "scans"], weights)
    proto.opset_import.append(imports[1])
    proto.functions.extend([twice, outer])
    return proto


def mutated(seed: int) -> bytes:
    """A file. Of three, one is damaged in its bytes."""
    rng = np.random.default_rng(seed)
    proto = onnx.ModelProto()
    proto.CopyFrom(_any(rng, originals()))
    if rng.random() < 1 / 3:
        return damaged(rng, proto.SerializeToString())
    for _ in range(rng.integers(1, 4)):
        _any(rng, MISTAKES)(rng, proto)
    return bytes(proto.SerializeToString())


def damaged(rng: Random, content: bytes) -> bytes:
    """Bytes changed, cut, put in or repeated."""
    data = bytearray(content)
    place, length = int(rng.integers(len(data))), int(rng.integers(1, 40))
    match int(rng.integers(5)):
        case 0:
            del data[place:]
        case 1:
            data[place:place] = rng.bytes(length)
        case 2:
            data[place:place] = data[place : place + length]
        case _:
            for _ in range(rng.integers(1, 9)):
                data[rng.integers(len(data))] = rng.choice(np.array([0, 1, 127, 128, 255, rng.integers(256)]))
    return bytes(data)


def _any(rng: Random, choices: Any) -> Any:
    return choices[int(rng.integers(len(choices)))]


def _some_node(rng: Random, proto: onnx.ModelProto) -> onnx.NodeProto | None:
    return _any(rng, proto.graph.node) if proto.graph.node else None


def _names(proto: onnx.ModelProto) -> list[str]:
    """All values of the graph, those that come later among them."""
    made = (name for one in proto.graph.node for name in one.output)
    ports = (value.name for value in (*proto.graph.input, *proto.graph.initializer))
    return ["", "nowhere", *made, *ports]


# Attributes


def wrong_number(rng: Random, proto: onnx.ModelProto) -> None:
    """Another value of the attribute's own type."""
    one = _some_node(rng, proto)
    if one is None or not one.attribute:
        return
    attribute = _any(rng, one.attribute)
    match attribute.type:
        case AttributeProto.INT:
            attribute.i = _any(rng, WHOLE)
        case AttributeProto.FLOAT:
            attribute.f = _any(rng, REAL)
        case AttributeProto.STRING:
            attribute.s = _any(rng, TEXT).encode()
        case AttributeProto.INTS:
            _change_list(rng, attribute.ints, WHOLE)
        case AttributeProto.FLOATS:
            _change_list(rng, attribute.floats, REAL)
        case AttributeProto.TENSOR:
            _change_tensor(rng, attribute.t)


def _change_list(rng: Random, values: Any, choices: Iterable[Any]) -> None:
    choices = tuple(choices)
    match int(rng.integers(5)):
        case 0:
            values.append(_any(rng, choices))
        case 1:
            del values[:1]
        case 2:
            values.extend([_any(rng, choices)] * 10**5)
        case _ if len(values):
            values[int(rng.integers(len(values)))] = _any(rng, choices)


def wrong_attribute(rng: Random, proto: onnx.ModelProto) -> None:
    """Removed, repeated, of another type, or one that the operator does not have."""
    one = _some_node(rng, proto)
    if one is None:
        return
    value = _any(rng, (1, -1, 2**40, 0.5, "text", [1], [2.5], ["a"], [1] * 40, numpy_helper.from_array(np.ones(3))))
    name = _any(rng, ("axis", "axes", "kernel_shape", "alpha", "to", "perm", "value", "keepdims", "unknown"))
    if one.attribute and rng.random() < 0.7:
        place = int(rng.integers(len(one.attribute)))
        name = one.attribute[place].name
        if rng.random() < 0.6:
            del one.attribute[place]
    if rng.random() < 0.7:
        one.attribute.append(helper.make_attribute(name, value))


# Nodes


def wrong_edge(rng: Random, proto: onnx.ModelProto) -> None:
    """An input from elsewhere: nowhere, a later node, the node itself; or an output of another name."""
    one = _some_node(rng, proto)
    if one is None:
        return
    ports = one.output if rng.random() < 0.2 else one.input
    match int(rng.integers(4)):
        case 0:
            ports.append(_any(rng, _names(proto)))
        case 1 if len(ports):
            del ports[int(rng.integers(len(ports)))]
        case _ if len(ports):
            ports[int(rng.integers(len(ports)))] = _any(rng, _names(proto))


def wrong_nodes(rng: Random, proto: onnx.ModelProto) -> None:
    """Repeated, removed, moved, of another operator or domain."""
    one = _some_node(rng, proto)
    if one is None:
        return
    nodes = list(proto.graph.node)
    match int(rng.integers(5)):
        case 0:
            nodes.insert(int(rng.integers(len(nodes) + 1)), one)
        case 1:
            nodes.remove(one)
        case 2:
            nodes = [nodes[place] for place in rng.permutation(len(nodes))]
        case 3:
            one.op_type = _any(rng, (*(case.operator for case in EVERY), "Loop", "If", "NonZero", ""))
        case 4:
            one.domain = _any(rng, DOMAINS)
    copies = [helper.make_node("Relu", [], []) for _ in nodes]
    for copy, kept in zip(copies, nodes, strict=True):
        copy.CopyFrom(kept)
    del proto.graph.node[:]
    proto.graph.node.extend(copies)


def many(rng: Random, proto: onnx.ModelProto) -> None:
    """A chain behind the first output, or an operator with very many inputs."""
    if not proto.graph.output:
        return
    last, times = proto.graph.output[0], int(_any(rng, (10, 100, 500)))
    operator = _any(rng, ("Relu", "Exp", "Identity", "Sigmoid", "Neg"))
    if rng.random() < 0.5:
        proto.graph.node.extend(node(operator, f"chain{i}" if i else last.name, f"chain{i + 1}") for i in range(times))
        last.name = f"chain{times}"
    else:
        operator = _any(rng, ("Sum", "Max", "Mean", "Concat"))
        more: dict[str, Any] = {"axis": 0} if operator == "Concat" else {}
        proto.graph.node.append(helper.make_node(operator, [last.name] * times, ["joined"], **more))
        last.name = "joined"


def nested(rng: Random, proto: onnx.ModelProto) -> None:
    """The graph inside of itself, some times."""
    one = _some_node(rng, proto)
    if one is None:
        return
    for _ in range(rng.integers(1, 6)):
        inner = onnx.GraphProto()
        inner.CopyFrom(proto.graph)
        attribute = one.attribute.add(name=_any(rng, ("then_branch", "body", "g")), type=AttributeProto.GRAPH)
        attribute.g.CopyFrom(inner)
        if proto.ByteSize() > 10**6:
            return


def _inside(graph: onnx.GraphProto) -> list[Any]:
    """All graphs inside nodes of a graph."""
    inner = [attribute.g for one in graph.node for attribute in one.attribute if attribute.HasField("g")]
    return [*inner, *(deeper for graph in inner for deeper in _inside(graph))]


def wrong_inside(rng: Random, proto: onnx.ModelProto) -> None:
    """In a function or a graph inside a node: another edge, operator, port or number of turns."""
    holders = [*proto.functions, *_inside(proto.graph)]
    if not holders:
        return
    holder = _any(rng, holders)
    names = [*_names(proto), *(name for one in holder.node for name in (*one.input, *one.output))]
    one = _any(rng, holder.node) if holder.node else None
    match int(rng.integers(5)):
        case 0 if one is not None and len(one.input):
            one.input[int(rng.integers(len(one.input)))] = _any(rng, names)
        case 1 if one is not None and len(one.output):
            one.output[int(rng.integers(len(one.output)))] = _any(rng, names)
        case 2 if one is not None:
            one.op_type = _any(rng, ("Twice", "Outer", "Loop", "Neg", "Identity", "SequenceAt"))
            one.domain = _any(rng, ("", "my"))
        case 3:
            ports = _any(rng, (holder.input, holder.output))
            if len(ports):
                del ports[int(rng.integers(len(ports)))]
        case 4:
            loops = [tensor for tensor in proto.graph.initializer if tensor.name in ("three", "two", "zero")]
            if loops:
                _any(rng, loops).CopyFrom(numpy_helper.from_array(np.array(_any(rng, WHOLE[:-2])), loops[0].name))


# Types and weights


def wrong_weights(rng: Random, proto: onnx.ModelProto) -> None:
    """An initialiser that is damaged, or two that have changed their names."""
    tensors = proto.graph.initializer
    if not tensors:
        return
    one, other = _any(rng, tensors), _any(rng, tensors)
    if rng.random() < 0.2:
        one.name, other.name = other.name, one.name
    else:
        _change_tensor(rng, one)


def _change_tensor(rng: Random, tensor: TensorProto) -> None:
    match int(rng.integers(7)):
        case 0:
            _change_list(rng, tensor.dims, WHOLE)
        case 1:
            tensor.data_type = _any(rng, TYPES)
        case 2:
            tensor.raw_data = tensor.raw_data[: int(rng.integers(len(tensor.raw_data) + 1))]
        case 3:
            tensor.raw_data += rng.bytes(int(rng.integers(1, 9)))
        case 4:
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(
                key="location", value=_any(rng, ("", "../m.onnx", "m.onnx", "/dev/zero", "absent"))
            )
        case _:
            _change_values(rng, tensor)


def _change_values(rng: Random, tensor: TensorProto) -> None:
    """Some elements, of whole numbers or floats as they are."""
    try:
        array = np.array(numpy_helper.to_array(tensor))
        choices = [value for value in WHOLE if abs(value) < 2**31] if array.itemsize < 8 else WHOLE
        values = REAL if array.dtype.kind == "f" else choices
        for _ in range(rng.integers(1, 4)):
            array.reshape(-1)[int(rng.integers(array.size))] = _any(rng, values)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    except Exception:  # damaged already
        tensor.dims[:] = [int(_any(rng, WHOLE))]


def wrong_ports(rng: Random, proto: onnx.ModelProto) -> None:
    """Inputs of other shapes and types, outputs of other names."""
    if rng.random() < 0.2 and proto.graph.output:
        _any(rng, proto.graph.output).name = _any(rng, _names(proto))
        return
    if not proto.graph.input:
        return
    tensor = _any(rng, proto.graph.input).type.tensor_type
    match int(rng.integers(5)):
        case 0:
            tensor.elem_type = int(rng.integers(24))
        case 1:
            tensor.shape.dim.add().dim_value = _any(rng, WHOLE)
        case 2:
            del tensor.shape.dim[:1]
        case 3 if len(tensor.shape.dim):
            _any(rng, tensor.shape.dim).dim_param = _any(rng, ("N", "", "H"))
        case _ if len(tensor.shape.dim):
            _any(rng, tensor.shape.dim).dim_value = _any(rng, WHOLE)


def wrong_version(rng: Random, proto: onnx.ModelProto) -> None:
    match int(rng.integers(4)):
        case 0:
            del proto.opset_import[:]
        case 1:
            proto.ir_version = _any(rng, (0, 1, 3, 2**40, -1))
        case 2:
            proto.opset_import.add(domain=_any(rng, DOMAINS), version=_any(rng, OPSETS))
        case _ if proto.opset_import:
            proto.opset_import[0].version = _any(rng, OPSETS)


MISTAKES: tuple[Callable[[Random, onnx.ModelProto], None], ...] = (
    *(wrong_number,) * 4,
    wrong_attribute,
    wrong_edge,
    wrong_nodes,
    *(wrong_weights,) * 3,
    *(wrong_ports,) * 2,
    wrong_version,
    many,
    nested,
    *(wrong_inside,) * 2,
)
