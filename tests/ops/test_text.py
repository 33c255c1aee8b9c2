"""The graph's text reads back to the same graph, executes nothing, and says which line is wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cnncc.errors import ModelError
from cnncc.ir import Builder
from cnncc.op import Constant
from cnncc.ops import Add, BatchNormalization, Conv, Fused, FusedOp, MaxPool, Relu, Split
from cnncc.text import dot, parse, show
from cnncc.types import TensorType

from .cases import each_sample


def arrays(graph):
    return {node.name: node.op.data for node in graph if isinstance(node.op, Constant)}


def network():
    """Everything that the text has to spell: labels, odd names, fused nodes, several outputs."""
    rng = np.random.default_rng(5)
    b = Builder("my net", labels=("it's", "zero"))
    x = b.input("x", TensorType((1, 2, 6, 6)))
    w = b.constant(rng.standard_normal((4, 2, 3, 3)), "conv/w")
    bias = b.constant(rng.standard_normal(4), "b: (1), 50%", rounded=True)
    epilogue = (
        FusedOp(Add(), 1, 1),
        FusedOp(BatchNormalization(1e-3), extra=4),
        FusedOp(Relu()),
        FusedOp(MaxPool((2, 2))),
    )
    residual = b.input("Überrest", TensorType((1, 4, 6, 6)))
    statistics = [b.constant(np.ones(4), f"s{k}") for k in range(4)]
    op = Fused(Conv((3, 3), padding=((1, 1), 1)), 3, epilogue)
    (f,) = b.add(op, (x, w, bias, residual, *statistics), "fused")
    low, high = b.add(Split((1, 3)), (f,), "parts")
    return b.graph({"low": low, "high half": high})


def test_the_text():
    assert show(network()) == (
        "graph my%20net labels=(\"it's\", 'zero')\n"
        "%x = Input : float32[1, 2, 6, 6]\n"
        f"%conv/w = Constant {network()['conv/w'].op.digest[:16]} : float32[4, 2, 3, 3]\n"
        f"%b%3A%20%281%29%2C%2050%25 = Constant {network()['b: (1), 50%'].op.digest[:16]} rounded : float32[4]\n"
        "%%C3%9Cberrest = Input : float32[1, 4, 6, 6]\n"
        + "".join(f"%s{k} = Constant {network()['s0'].op.digest[:16]} : float32[4]\n" for k in range(4))
        + "%fused = Fused(anchor=Conv(kernel=(3, 3), padding=((1, 1), 1)), anchor_inputs=3, epilogue=("
        "FusedOp(op=Add(), position=1, extra=1), FusedOp(op=BatchNormalization(epsilon=0.001), extra=4), "
        "FusedOp(op=Relu()), FusedOp(op=MaxPool(kernel=(2, 2))))) "
        "(%x, %conv/w, %b%3A%20%281%29%2C%2050%25, %%C3%9Cberrest, %s0, %s1, %s2, %s3) : float32[1, 4, 3, 3]\n"
        "%parts = Split(sizes=(1, 3)) (%fused) : float32[1, 1, 3, 3] float32[1, 3, 3, 3]\n"
        "output low = %parts\n"
        "output high%20half = %parts:1\n"
    )


def test_round_trip():
    graph = network()
    again = parse(show(graph), arrays(graph))
    assert again == graph
    assert again.hash == graph.hash
    assert show(again) == show(graph)


def test_arrays_may_be_found_by_digest():
    graph = network()
    by_digest = {node.op.digest: node.op.data for node in graph if isinstance(node.op, Constant)}
    assert parse(show(graph), by_digest) == graph
    assert parse(show(graph), {digest[:16]: data for digest, data in by_digest.items()}) == graph


@each_sample
def test_every_op_goes_round(sample):
    b = Builder()
    inputs = [b.input(f"x{k}", type) for k, type in enumerate(sample.types)]
    graph = b.graph({f"y{k}": value for k, value in enumerate(b.add(sample.op, inputs))})
    assert parse(show(graph), {}) == graph


def test_comments_and_blank_lines_are_skipped():
    graph = network()
    assert parse("# weights elsewhere\n\n" + show(graph).replace("\n", "\n\n"), arrays(graph)) == graph


HEAD = "graph g\n%x = Input : float32[1, 3]\n"

WRONG = [
    ("", "graph text holds no 'graph' line"),
    ("graph g\n", "model 'g' has no outputs"),
    ("%x = Input : float32[1]", "expected 'graph NAME' first, got '%x = Input : float32[1]' (at graph text:1)"),
    (HEAD + "graph h", "there is a second 'graph' line (at graph text:3)"),
    ("graph g labels=(1,)", "labels must be a tuple of texts, got (1,) (at graph text:1)"),
    (
        HEAD + "y = x",
        "expected '%name = Op(…) (%inputs) : types' or 'output name = %value', got 'y = x' (at graph text:3)",
    ),
    (HEAD + "%y = Nope() (%x) : float32[1, 3]", "unknown op 'Nope' (at graph text:3)"),
    (HEAD + "%y = Relu(1) (%x) : float32[1, 3]", "attributes of Relu must be given by name (at graph text:3)"),
    (HEAD + "%y = Relu (%x) : float32[1, 3]", "'Relu' is not a literal (at graph text:3)"),
    (HEAD + "%y = 3 (%x) : float32[1, 3]", "'3' is not an op (at graph text:3)"),
    (HEAD + "%y = Relu( (%x) : float32[1, 3]", "'Relu(' is not an op with attributes (at graph text:3)"),
    (
        HEAD + "%y = Relu(slope=1) (%x) : float32[1, 3]",
        "attributes slope do not fit Relu: Relu.__init__() got an unexpected keyword argument 'slope' "
        "(at graph text:3)",
    ),
    (HEAD + "%y = Relu() (x) : float32[1, 3]", "expected a value like %name or %name:1, got 'x' (at graph text:3)"),
    (HEAD + "%y = Relu() (%z) : float32[1, 3]", "%z is not defined above (at graph text:3)"),
    (HEAD + "%y = Relu() (%x:1) : float32[1, 3]", "%x:1 is not defined above (at graph text:3)"),
    (HEAD + "%x = Relu() (%x) : float32[1, 3]", "there already is a node called 'x' (at graph text:3)"),
    (
        HEAD + "%y = Relu() (%x) : float32[1, 4]",
        "layer 'y': the type rule gives float32[1, 3], the text says float32[1, 4] (at graph text:3)",
    ),
    (
        HEAD + "%y = Relu() (%x) : int4[1]",
        "expected types like float32[1, 3], got 'int4[1]' (at graph text:3)",
    ),
    (
        HEAD + "%y = Relu() (%x, %x) : float32[1, 3]",
        "layer 'y': Relu takes 1 inputs, got 2 (at graph text:3)",
    ),
    (
        HEAD + "%y = Flatten(axis='a') (%x) : float32[1, 3]",
        "layer 'y': axis 'a' is not a whole number (at graph text:3)",
    ),
    (
        HEAD + "%y = Tile(repeats=2) (%x) : float32[1, 3]",
        "layer 'y': repeats=2 must be a tuple (at graph text:3)",
    ),
    (
        HEAD + "%y = Slice(starts=(0.5,), ends=(1,)) (%x) : float32[1, 3]",
        "layer 'y': starts=(0.5,) must be a tuple of whole numbers (at graph text:3)",
    ),
    (HEAD + "%c = Constant abc : float32[3]", "no array was given for constant 'c' (abc) (at graph text:3)"),
    (
        HEAD + "%w = Constant abc : float32[3]",
        "the array given for constant 'w' is not the one with digest abc (at graph text:3)",
    ),
    (HEAD + "output y = %x\noutput y = %x", "there already is an output called 'y' (at graph text:4)"),
]


@pytest.mark.parametrize(("text", "message"), WRONG, ids=range(len(WRONG)))
def test_the_wrong_line_is_named(text, message):
    with pytest.raises(ModelError) as caught:
        parse(text, {"w": np.zeros(3)})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "attribute",
    ["__import__('os').getcwd()", "open('x')", "(lambda: 1)()", "[n for n in (1,)]", "kernel", "1 if 1 else 2"],
)
def test_nothing_in_the_text_is_executed(attribute):
    with pytest.raises(ModelError, match="graph text:3"):
        parse(f"{HEAD}%y = Flatten(axis={attribute}) (%x) : float32[1, 3]", {})


def test_deep_nesting_is_an_error_and_not_a_crash():
    with pytest.raises(ModelError, match="graph text:3"):
        parse(f"{HEAD}%y = Flatten(axis={'(' * 5000}1{')' * 5000}) (%x) : float32[1, 3]", {})


def test_dot_names_every_node_and_edge():
    drawing = dot(network())
    assert drawing.startswith('digraph "my net" {\n')
    assert drawing.endswith("}\n")
    assert drawing.count(" -> ") == sum(len(node.inputs) for node in network()) + 2
    for node in network():
        assert f'  "{node.name}" [label="{node.name}\\n' in drawing
    assert '"fused" -> "parts" [label="float32[1, 4, 3, 3]"];' in drawing
    assert '"parts" -> "output high half" [label="float32[1, 3, 3, 3]"];' in drawing


def test_dot_escapes():
    b = Builder('say "hi"')
    graph = b.graph({"y": b.input("back\\slash", TensorType((1,)))})
    assert 'digraph "say \\"hi\\"" {' in dot(graph)
    assert '"back\\\\slash"' in dot(graph)


def test_what_is_known_of_images_reads_back() -> None:
    graph = replace(network(), kept=("Überrest",), fixed="node 'it\"s' computes with N")
    assert show(graph).endswith("kept %C3%9Cberrest\nfixed 'node \\'it\"s\\' computes with N'\n")
    assert parse(show(graph), arrays(graph)).canonical() == graph.canonical()
