"""Blocks of images as rows: every image of a call has the bits that it has alone, with any number of shards."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pytest

from cnncc.ir import Graph, Value
from cnncc.ops import Add, Concat, Conv, Dense, Flatten, GlobalAveragePool, MatMul, MaxPool, Mul, Relu, Sigmoid, Softmax
from cnncc.plan.cost import images as cost
from cnncc.plan.kernels import Direct
from cnncc.plan.plan import Plan
from cnncc.runtime.model import Model
from cnncc.types import Array
from tests.graphs import Net, assert_same_bits, call, check, compilation, native, runnable_targets, sprinkled

from .test_contract import ORDERS, in_turns


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks wherever they are possible, however little they save."""
    monkeypatch.setattr(cost, "WORTHWHILE", 1e9)
    monkeypatch.setattr(cost, "CALLS", -1e9)
    monkeypatch.setattr(cost, "NOTICEABLE", 0.0)
    monkeypatch.setattr(cost, "FREE_BYTES", 1 << 40)


class Random:
    """A random small network of convolutions, dense layers and what may stand between them."""

    def __init__(self, seed: int, images: int = 1):
        self.net, self.rng = Net(seed), np.random.default_rng((seed, 5))
        spatial = [(), (4, 4), (3, 5), (2, 2), (7, 1)][seed % 5]
        self.sizes = (16, 32, 33, 48) if spatial else (1, 3, 8, 10, 16, 17, 33, 50)
        self.x = self.net.input(images, self.size(), *spatial)
        self.ends: list[Value] = []
        for _ in range(int(self.rng.integers(3, 7))):
            self.x = self.layer(self.x)
        self.graph = self.net.graph(self.x, *self.ends)

    def size(self) -> int:
        return int(self.rng.choice(self.sizes))

    def layer(self, x: Value) -> Value:
        layers = (self.dense, self.gate, self.branches, self.finish)
        if len(self.net.shape(x)) > 2:
            layers = (self.points, self.points, self.window, self.residual, self.flatten)
        return layers[int(self.rng.integers(len(layers)))](x)

    def parameters(self, *shape: int) -> list[Value]:
        """Weights and mostly a bias; the weights of some layers arrive at run time, and so does the bias of others."""
        kind = int(self.rng.integers(8))
        bias = self.net.weights(shape[0], arrive=kind == 1)
        return [self.net.weights(*shape, arrive=kind == 0), *([bias] if kind < 6 else [])]

    def dense(self, x: Value) -> Value:
        y = self.net.apply(Dense(), x, *self.parameters(self.size(), self.net.shape(x)[1]))
        return self.net.apply(Relu(), y) if self.rng.integers(2) else y

    def gate(self, x: Value) -> Value:
        channels = self.net.shape(x)[1]
        inner = self.net.apply(Dense(), x, *self.parameters(channels, channels))
        return self.net.apply(Mul(), x, self.net.apply(Sigmoid(), inner))

    def branches(self, x: Value) -> Value:
        return self.net.apply(Concat(axis=1), self.dense(x), self.dense(x))

    def finish(self, x: Value) -> Value:
        self.ends.append(self.net.apply(Softmax(axis=1), x))
        return x

    def points(self, x: Value) -> Value:
        channels = self.net.shape(x)[1]
        y = self.net.apply(Conv((1, 1)), x, *self.parameters(self.size(), channels, 1, 1))
        return self.net.apply(Relu(), y)

    def window(self, x: Value) -> Value:
        channels = self.net.shape(x)[1]
        y = self.net.apply(Conv((3, 3), padding="same"), x, *self.parameters(self.size(), channels, 3, 3))
        return self.net.apply(MaxPool((2, 2), (2, 2)), y) if min(self.net.shape(y)[2:]) > 1 else y

    def residual(self, x: Value) -> Value:
        channels = self.net.shape(x)[1]
        return self.net.apply(Add(), x, self.net.apply(Conv((1, 1)), x, *self.parameters(channels, channels, 1, 1)))

    def flatten(self, x: Value) -> Value:
        x = self.net.apply(GlobalAveragePool(), x) if self.rng.integers(2) else x
        return self.net.apply(Flatten(), x)


def images(plan: Plan, feeds: Mapping[str, Array], count: int) -> dict[str, Array]:
    """Different numbers for each of so many images; inputs that carry none stay as they are."""
    found, rng = dict(feeds), np.random.default_rng(count)
    for port in plan.inputs:
        if port.batched:
            found[port.name] = rng.standard_normal((count, *port.type.shape[1:])).astype(np.float32)
    return found


def one(plan: Plan, feeds: Mapping[str, Array], image: int) -> dict[str, Array]:
    """A single image of them."""
    return {
        port.name: feeds[port.name][image : image + 1] if port.batched else feeds[port.name] for port in plan.inputs
    }


def assert_as_alone(model: Model, alone: Model, plan: Plan, feeds: Mapping[str, Array], count: int) -> None:
    """The bits of a call of so many images are those of calls of one."""
    given = images(plan, feeds, count)
    data = sprinkled(given, count) if count % 2 else given
    single = [call(alone, one(plan, data, image)) for image in range(count)]
    wanted = {name: np.concatenate([results[name] for results in single]) for name in single[0]}
    assert_same_bits(call(model, data), wanted, f"{count} images")


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("seed", range(8))
def test_images_in_blocks_have_the_bits_of_single_images(seed: int) -> None:
    """All kinds of networks, 0 to 2·B + 1 images, one to four shards, each stage shared, replicated or left to one."""
    random = Random(seed)
    target = list(runnable_targets())[seed % len(runnable_targets())]
    most = (2, 3, 4, 8, 16)[seed // 2 % 5]
    options = {"sharing": ("all", "cost")[seed % 2], "checked": seed % 3 == 0}
    blocks = compilation(random.graph, target, images_at_once=most, **options)  # type: ignore[arg-type]
    plain = compilation(random.graph, target, images_at_once=1)
    plan = blocks.plan
    assert plan.batchable and plain.plan.block is None
    with Model(blocks.build(), threads=1 + seed % 4) as model, Model(plain.build()) as alone:
        for count in sorted({1, 2, 3, most, most + 1, 2 * most + 1}):
            assert_as_alone(model, alone, plan, random.net.feeds, count)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("seed", [2, 3])
def test_blocks_with_shards_in_any_order(seed: int) -> None:
    """Memory is full of NaN, and each shard in turn runs ahead of the others as far as barriers allow."""
    random, sharing = Random(seed, images=9), ("all", "cost")[seed % 2]
    executable = compilation(random.graph, images_at_once=4, sharing=sharing).build()
    wanted = native(compilation(random.graph, images_at_once=1), random.net.feeds)
    for order in ORDERS:
        assert_same_bits(in_turns(executable, random.net.feeds, order), wanted, f"shards in the order {order}")


@pytest.mark.usefixtures("always")
def test_the_networks_have_blocks_of_all_kinds() -> None:
    """Dense layers and 1×1 layers at several positions, alone and beside stages that run image by image."""
    plans = [compilation(Random(seed).graph, images_at_once=4).plan for seed in range(20)]
    blocks = [plan.block for plan in plans if plan.block]
    positions = {block.positions(number) for block in blocks for number in block.steps}
    assert len(blocks) > 12 and 1 in positions and len(positions) > 3
    assert any(0 < len(plan.block.steps) < len(plan.steps) - 2 for plan in plans if plan.block)


def compiled_dense(*sizes: int, **options: object) -> Plan:
    net = Net()
    x = net.input(1, sizes[0])
    for inner, outputs in itertools.pairwise(sizes):
        x = net.apply(Relu(), net.apply(Dense(), x, net.weights(outputs, inner), net.weights(outputs)))
    return compilation(net.graph(x), **options).plan  # type: ignore[arg-type]


def test_a_graph_of_several_images_is_within_its_bounds() -> None:
    """The graph's own N is 37: two blocks of 16, and five images by smaller tiles."""
    net = Net()
    x = net.input(37, 200)
    y = net.apply(Dense(), x, net.weights(130, 200), net.weights(130))
    check(net.graph(net.apply(Relu(), y)), net.feeds)


@pytest.mark.parametrize("target", ["x86-64-v3", "x86-64-v4", "aarch64"])
def test_dense_layers_are_computed_in_blocks_with_the_weights_of_one_image(target: str) -> None:
    plan = compiled_dense(640, 128, 128, 10, target=target)
    plain = compiled_dense(640, 128, 128, 10, target=target, images_at_once=1)
    assert plan.block and set(plan.block.steps) == set(range(len(plan.steps)))
    assert plan.weights == plain.weights and plan.steps == plain.steps
    assert 2 <= plan.block.least <= 4
    for step in plan.block.steps.values():
        assert isinstance(step.kernel, Direct) and step.kernel.images == 16
        assert step.kernel.tile.columns >= 4


def test_small_memories_and_plans_that_save_memory_have_no_blocks() -> None:
    assert compiled_dense(640, 128, 128, target="cortex-m4").block is None
    assert compiled_dense(640, 128, 128, streaming="chains").block is None
    assert compiled_dense(640, 128, 128, images_at_once=1).block is None


def test_the_memory_does_not_depend_on_the_number_of_images_and_grows_little() -> None:
    """16 pieces of each tensor between dense layers, of 64 bytes at least; the caller's tensors lie where they are."""
    plan, plain = compiled_dense(640, 128, 120, 10), compiled_dense(640, 128, 120, 10, images_at_once=1)
    assert plan.arena_bytes == 16 * 4 * (128 + 128)
    assert plan.arena_bytes - plain.arena_bytes <= cost.FREE_BYTES


def test_stages_that_save_little_are_left_out_where_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both layers need pieces of what lies between them; without free bytes there is no room."""
    assert compiled_dense(1000, 500, 400).block
    monkeypatch.setattr(cost, "FREE_BYTES", 0)
    assert compiled_dense(1000, 500, 400).block is None


def test_pieces_of_a_buffer_begin_in_cache_lines_of_their_own() -> None:
    """Other stages write whole vectors there, image by image."""
    plan = compiled_dense(300, 203, 100)
    pieces = [buffer for buffer in plan.buffers.values() if buffer.images > 1]
    assert plan.block and pieces and all(buffer.pitch * buffer.dtype.bytes % 64 == 0 for buffer in pieces)


def arriving(images: int) -> tuple[Net, Graph]:
    """Two products by matrices that arrive and are the same for all images; the second one is computed further."""
    net = Net()
    x = net.input(images, 200)
    first, second = (net.weights(*shape, arrive=True) for shape in ((200, 161), (161, 96)))
    y = net.apply(Relu(), net.apply(MatMul(), x, first))
    return net, net.graph(net.apply(MatMul(), y, net.apply(Sigmoid(), second)))


def test_what_depends_on_no_image_is_computed_once_a_call() -> None:
    _, graph = arriving(5)
    plan = compilation(graph, "x86-64-v3").plan
    once = [plan.steps[stage.steps[0]] for stage in plan.stages if stage.once]
    assert len(once) >= 3 and plan.stages[: len(once)] == tuple(stage for stage in plan.stages if stage.once)
    assert any("sigmoid" in step.kernel.describe() for step in once)
    assert plan.block and len(plan.block.steps) == 2
    assert not any(stage.once for stage in compilation(graph, "cortex-m4").plan.stages)


@pytest.mark.parametrize("options", [{}, {"images_at_once": 1}, {"sharing": "all"}, {"checked": True}])
def test_images_after_the_first_find_what_was_computed_once(options: dict[str, object]) -> None:
    net, graph = arriving(1)
    compiled = compilation(graph, **options)  # type: ignore[arg-type]
    assert any(stage.once for stage in compiled.plan.stages)
    with Model(compiled.build(), threads=3) as model, Model(compiled.build()) as alone:
        for count in (1, 2, 7, 16, 35):
            assert_as_alone(model, alone, compiled.plan, net.feeds, count)


def test_what_is_kept_survives_shards_in_any_order() -> None:
    net, graph = arriving(5)
    wanted = native(compilation(graph, images_at_once=1), net.feeds)
    for order in ORDERS:
        found = in_turns(compilation(graph, images_at_once=2, sharing="all").build(), net.feeds, order)
        assert_same_bits(found, wanted, f"shards in the order {order}")


def test_outputs_and_borders_are_no_work_of_a_call() -> None:
    """A border belongs to the tensor in it, and an output is written for each image."""
    net = Net()
    x = net.input(2, 3, 9, 9)
    y = net.apply(Conv((3, 3), padding="same"), net.apply(Relu(), x), net.weights(20, 3, 3, 3))
    assert not any(stage.once for stage in compilation(net.graph(y)).plan.stages)
