"""Drawings of graphs: every layer is there, nothing overlaps, edges cross no box, and the text is XML that fits."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from random import Random

import numpy as np
import pytest

import cnncc
from cnncc import nn
from cnncc.drawing import Mark, draw
from cnncc.drawing.boxes import ASIDE, MOST, brief
from cnncc.drawing.columns import apart
from cnncc.drawing.layout import Layout, Wire, layout
from cnncc.drawing.order import crossings, ordered
from cnncc.drawing.ranks import ranks_of, rows_of
from cnncc.ir import Builder, Graph
from cnncc.learning.losses import loss_of
from cnncc.learning.optimisers import optimiser_of
from cnncc.learning.recipe import Recipe
from cnncc.ops import Add, BatchNormalization, Concat, Conv, Relu, Split
from cnncc.passes.manager import optimise
from cnncc.types import TensorType

SVG = "{http://www.w3.org/2000/svg}"


def chance(seed: int, layers: int) -> Graph:
    """Layers that read one to three of those before, near ones and far ones."""
    random, b = Random(seed), Builder("chance")
    values = [b.input("x", TensorType((1, 4, 8, 8))), b.input("late", TensorType((1, 4, 8, 8)))]
    for number in range(layers):
        near = values[-random.choice((2, 4, len(values))) :]
        read = [random.choice(near) for _ in range(random.choice((1, 1, 2, 3)))]
        ops = {1: Relu(), 2: Add(), 3: Concat(axis=1)}
        made = b.add(ops[len(read)], read, f"layer {number}" * random.choice((1, 1, 4)))
        if len(read) == 3:
            made = b.add(Split(axis=1, sizes=(4, 8)), made)[:1]
        values += made
    return b.graph({"y": values[-1], "z": random.choice(values)})


def step() -> Graph:
    network = nn.Sequential(nn.Conv(4, 3), nn.Flatten(), nn.Dense(3), input=(1, 6, 6), seed=0)
    recipe = Recipe(loss_of("cross-entropy"), optimiser_of("adamw"), 4, None, None)
    return recipe.training(network.graph).graph


def digits() -> Graph:
    return optimise(cnncc.load_graph("examples/digits.py")).graph


GRAPHS = {"step": step, "digits": digits, **{f"chance {n}": lambda n=n: chance(n, 12 * n) for n in range(1, 7)}}


@pytest.fixture(scope="module", params=GRAPHS)
def graph(request: pytest.FixtureRequest) -> Graph:
    return GRAPHS[request.param]()


@pytest.fixture(scope="module")
def placed(graph: Graph) -> Layout:
    return layout(graph)


def test_every_layer_has_one_box(graph: Graph, placed: Layout) -> None:
    found = Counter(each.box.layer for each in placed.boxes if each.box.kind in ("layer", "input"))
    assert found == {node.name: 1 for node in graph if node.op.source in (None, "input")}
    ports = Counter(each.box.title for each in placed.boxes if each.box.kind in ("output", "update"))
    assert ports.total() == len(graph.outputs) + len(graph.updates)
    states = {each.box.layer for each in placed.boxes if each.box.kind == "state"}
    assert states == {value.node for node in graph for value in node.inputs if graph[value.node].op.source == "state"}


def test_boxes_do_not_overlap(placed: Layout) -> None:
    for one, other in combinations(placed.boxes, 2):
        apart_x = one.x + one.box.width <= other.x or other.x + other.box.width <= one.x
        apart_y = one.y + one.box.height <= other.y or other.y + other.box.height <= one.y
        assert apart_x or apart_y, (one, other)
    for each in placed.boxes:
        assert each.x >= 0 and each.x + each.box.width <= placed.width + 0.1
        assert each.y >= 0 and each.y + each.box.height <= placed.height


def points(wire: Wire) -> Iterator[tuple[float, float]]:
    """Places along a wire."""
    (x, y), (end_x, end_y), (leave, enter) = wire.start, wire.end, wire.between
    for t in np.linspace(0, 1, 21):
        yield x, y + t * (leave - y)
        yield end_x, enter + t * (end_y - enter)
        over = (1 - t) ** 2 * (1 + 2 * t) * x + t**2 * (3 - 2 * t) * end_x
        middle = (leave + enter) / 2
        yield over, (1 - t) ** 3 * leave + 3 * t * (1 - t) * middle + t**3 * enter


def test_edges_cross_no_box(placed: Layout) -> None:
    corners = np.array([(p.x, p.y, p.x + p.box.width, p.y + p.box.height) for p in placed.boxes])
    left, top, right, bottom = (corners + np.array((0.1, 0.1, -0.1, -0.1))).T
    for wire in placed.wires:
        assert wire.start[1] <= wire.between[0] <= wire.between[1] <= wire.end[1]
        for x, y in points(wire):
            assert not ((left < x) & (x < right) & (top < y) & (y < bottom)).any(), wire


def test_edges_lead_from_makers_to_readers(graph: Graph, placed: Layout) -> None:
    """Each box is entered by as many edges as it reads values, and edges end at its upper side."""
    entered: Counter[str] = Counter()
    for wire in placed.wires:
        if wire.arrow:
            (box,) = (
                each
                for each in placed.boxes
                if abs(each.y - wire.end[1]) < 0.1 and each.x <= wire.end[0] <= each.x + each.box.width
            )
            entered[box.box.layer] += box.box.kind == "layer"
    for node in graph:
        read = {value for value in node.inputs if graph[value.node].op.source != "constant"}
        if node.op.source is None:
            assert entered[node.name] == len(read)


def test_text_is_well_formed_and_fits(graph: Graph) -> None:
    root = ET.fromstring(draw(graph))
    width, height = (float(root.attrib[side]) for side in ("width", "height"))
    assert root.attrib["viewBox"] == f"-8 -8 {width:g} {height:g}"
    for group in root.iter(f"{SVG}g"):
        box = next(each for each in group.iter(f"{SVG}rect") if each.attrib["class"] == "box")
        for text in group.iter(f"{SVG}text"):
            em = 7.5 if text.attrib["class"] == "name" else 6.9
            assert em * len(text.text or "") <= float(box.attrib["width"]) - 2 * ASIDE + 1
            middle = float(box.attrib["x"]) + float(box.attrib["width"]) / 2
            assert float(text.attrib["x"]) == pytest.approx(middle, abs=0.1)


def test_names_are_escaped_and_shortened() -> None:
    b = Builder('<&"> model')
    odd = "a<b>&\"'\n\x00\x1b\ud800\uffff" + "面" * 60
    b.add(Relu(), [b.input("x", TensorType((1, 2)))], odd)
    b.add(Relu(), [*b.nodes[odd].values], "last")
    graph = b.graph({"</svg><script>": b.nodes["last"].values[0]})
    root = ET.fromstring(draw(graph, {odd: Mark("1 µs", 0.5, '#"><script>')}))
    assert root.attrib["aria-label"] == '<&"> model'
    assert not list(root.iter(f"{SVG}script"))
    (group,) = (each for each in root.iter(f"{SVG}g") if each.attrib["data-layer"].startswith("a<b>&\"'"))
    texts = [text.text or "" for text in group.iter(f"{SVG}text")]
    assert texts[0].startswith("…面") and texts[-1] == "1 µs"
    assert 7.5 * 2 * len(texts[0]) <= MOST
    assert (group.find(f"{SVG}title").text or "").startswith("a<b>&\"'\n\ufffd")
    assert root.find(f"{SVG}a").attrib["href"] == '#"><script>'


def test_constants_are_left_out_and_members_are_inside() -> None:
    text = draw(digits())
    assert "dense1.weight" not in text
    (conv,) = (g for g in ET.fromstring(text).iter(f"{SVG}g") if g.attrib["data-layer"] == "conv1")
    members = [line.text for line in conv.iter(f"{SVG}text") if line.attrib["class"] == "member"]
    assert members == ["Conv 3×3 padding same", "Relu", "MaxPool 2×2"]


def test_marks_are_of_layers_and_not_of_ports() -> None:
    root = ET.fromstring(draw(digits(), {"probabilities": Mark("1 µs", 0.5, "#there")}))
    (heat,) = (each for each in root.iter(f"{SVG}rect") if each.attrib["class"] == "heat")
    assert float(heat.attrib["fill-opacity"]) == pytest.approx(0.275, abs=1e-3)
    assert [link.attrib["href"] for link in root.iter(f"{SVG}a")] == ["#there"] * 2  # the layer and its output


def test_an_op_in_a_few_words() -> None:
    assert " ".join(brief(Conv((3, 3), stride=2, groups=4))) == "Conv 3×3 stride 2 groups 4"
    assert " ".join(brief(Conv((3, 5), stride=(2, 1), flip=True))) == "Conv 3×5 stride 2,1 flip"
    assert " ".join(brief(BatchNormalization(epsilon=1e-3))) == "BatchNormalization epsilon 0.001"


def test_the_drawing_is_the_same_in_every_process() -> None:
    program = "from tests.drawing.test_drawing import *; import sys; sys.stdout.write(draw(chance(3, 40)))"
    found = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env).stdout
        for env in ({"PYTHONHASHSEED": str(seed), "PYTHONPATH": "."} for seed in (1, 2))
    }
    assert found == {draw(chance(3, 40))}


def test_a_chain_is_straight_beside_a_skip_connection() -> None:
    b = Builder("skip")
    x = b.input("x", TensorType((1, 4)))
    at = x
    for number in range(6):
        (at,) = b.add(Relu(), [at], f"r{number}")
    (at,) = b.add(Add(), [at, x], "sum")
    placed = layout(b.graph({"y": at}))
    middles = {round(each.x + each.box.width / 2) for each in placed.boxes if each.box.layer.startswith("r")}
    assert len(middles) == 1
    assert not crossings_of(b.graph({"y": at}))


def crossings_of(graph: Graph) -> int:
    numbers = {node.name: number for number, node in enumerate(graph)}
    values = [(numbers[v.node], [numbers[n.name] for n in readers]) for v, readers in graph.consumers.items()]
    ranks = ranks_of(len(numbers), dict(values))
    rows = rows_of(len(numbers), values, ranks)
    return crossings(rows, ordered(rows))


def test_crossings_are_counted_and_go_away() -> None:
    rows = rows_of(4, [(0, [3]), (1, [2])], [0, 0, 1, 1])
    assert crossings(rows, rows.rows) == 1
    assert crossings(rows, ordered(rows)) == 0


@pytest.mark.parametrize("seed", range(20))
def test_places_apart_are_the_nearest(seed: int) -> None:
    """No small step that keeps the distances makes the sum of squares smaller, and distances are kept."""
    rng = np.random.default_rng(seed)
    count = 6
    wished, weights = rng.normal(0, 20, count), rng.uniform(0.1, 4, count)
    offsets = np.cumsum(rng.uniform(1, 10, count))
    found = np.array(apart(wished.tolist(), weights.tolist(), offsets.tolist()))
    least = np.diff(offsets)
    assert (np.diff(found) >= least - 1e-9).all()
    cost = (weights * (found - wished) ** 2).sum()
    for _ in range(200):
        other = found + rng.normal(0, 0.5, count)
        if (np.diff(other) >= least).all():
            assert (weights * (other - wished) ** 2).sum() >= cost - 1e-9


def test_a_graph_of_one_input() -> None:
    b = Builder("nothing")
    x = b.input("x", TensorType((1, 2)))
    assert len(layout(b.graph({"y": x})).boxes) == 2
