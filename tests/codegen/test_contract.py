"""The kernel contract, used four ways: whole tensors, shards, line buffers, streamed chains; and batches.

Every kernel computes rows [a, b) from row views, so all of these are one mechanism and must give the same bits.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncc import abi, alignment
from cnncc import native as door
from cnncc.codegen import program
from cnncc.errors import InputError
from cnncc.ir import Graph, Value
from cnncc.ops import (
    Add,
    AveragePool,
    Concat,
    Conv,
    Dense,
    Flatten,
    GlobalAveragePool,
    MaxPool,
    Mul,
    Relu,
    Sigmoid,
    Softmax,
    Split,
)
from cnncc.runtime import layout
from cnncc.runtime.executable import Executable
from cnncc.runtime.model import Model
from cnncc.types import Array
from tests.fuzz.generate import random_graph
from tests.graphs import Net, assert_same_bits, call, check, compilation, native, runnable_targets

pytestmark = pytest.mark.combinations

TARGETS = list(runnable_targets())


def conv(net: Net, x: Value, outputs: int, *kernel: int, **how: object) -> Value:
    groups = int(how.get("groups", 1))  # type: ignore[call-overload]
    w = net.weights(outputs, net.shape(x)[1] // groups, *kernel)
    return net.apply(Conv(kernel, **how), x, w, net.weights(outputs))  # type: ignore[arg-type]


def network(images: int = 1) -> tuple[Graph, dict[str, Array]]:
    """A small network with every kind of step: fills, moves, pools, branches, a dense end."""
    net = Net()
    x = net.input(images, 3, 23, 19)
    y = net.apply(MaxPool((2, 2)), net.apply(Relu(), conv(net, x, 16, 3, 3, padding="same")))
    y = net.apply(MaxPool((3, 3), 2, 1), conv(net, y, 20, 3, 3, padding="same"))
    y = conv(net, y, 20, 3, 3, padding="same", groups=20)
    left, right = net.builder.add(Split((8, 12)), (y,))
    y = net.apply(Concat(), right, net.apply(AveragePool((3, 3), 1, 1), left), conv(net, y, 9, 1, 1))
    y = net.apply(Add(), y, conv(net, y, 29, 1, 3, padding="same"))
    flat = net.apply(Flatten(), y)
    dense = net.apply(Dense(), flat, net.weights(10, net.shape(flat)[1]))
    return net.graph(net.apply(Softmax(), dense), y), net.feeds


def by_hand(
    executable: Executable,
    feeds: Mapping[str, Array],
    shards: int,
    *,
    wait: bool = True,
    workspace: Array | None = None,
) -> dict[str, Array]:
    """One call through the C interface: each shard in a Python thread of its own."""
    code = door.load_object(executable.object)
    run = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(code.address(f"{executable.symbol}_run"))
    size = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_uint32)(code.address(f"{executable.symbol}_workspace_bytes"))
    assert size(shards) == executable.workspace_bytes(shards)
    workspace = alignment.aligned(size(shards)) if workspace is None else workspace
    weights = alignment.aligned_bytes(executable.weights)
    outputs = {port.name: np.full(port.shape, np.nan, np.float32) for port in executable.outputs}
    sources = layout.pointers([feeds[port.name].ctypes.data for port in executable.inputs])
    results = layout.pointers([array.ctypes.data for array in outputs.values()])
    yield_ = ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p).value if wait else None
    calls = [
        layout.CallStruct(
            abi=abi.VERSION,
            fingerprint=executable.fingerprint,
            images=executable.images,
            shard=shard,
            shards=shards,
            inputs=ctypes.addressof(sources),
            outputs=ctypes.addressof(results),
            workspace=workspace.ctypes.data,
            weights=weights.ctypes.data,
            wait=yield_,
        )
        for shard in range(shards)
    ]
    codes = [-1] * shards

    def shard(number: int) -> None:
        codes[number] = run(ctypes.addressof(calls[number]))

    for _ in range(3):  # nothing initialises the barrier words between calls
        threads = [threading.Thread(target=shard, args=(number,)) for number in range(shards)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert codes == [0] * shards
    return outputs


# Whole tensors, and shards with barriers


@pytest.mark.parametrize("target", TARGETS)
def test_whole_tensors(target: str) -> None:
    graph, feeds = network()
    check(graph, feeds, target, streaming="none")


@pytest.mark.parametrize("streaming", ["none", "pools", "cost", "chains"])
@pytest.mark.parametrize("target", TARGETS)
def test_shards_make_the_same_bits(target: str, streaming: str) -> None:
    graph, feeds = network()
    compiled = compilation(graph, target, streaming=streaming)
    executable = compiled.build()
    assert any(stage.barrier for stage in compiled.plan.stages)
    wanted = native(compilation(graph, target, streaming="none"), feeds)
    for threads in (1, 2, 3, 5):
        with Model(executable, threads=threads) as model:
            for _ in range(20):
                assert_same_bits(call(model, feeds), wanted, f"{threads} threads")


@pytest.mark.parametrize("shards", [1, 2, 3, 7])
def test_shards_called_by_hand(shards: int) -> None:
    graph, feeds = network()
    compiled = compilation(graph)
    assert_same_bits(by_hand(compiled.build(), feeds, shards), native(compiled, feeds))


def test_calls_with_other_numbers_of_shards_on_one_workspace() -> None:
    graph, feeds = network()
    executable = compilation(graph).build()
    workspace = alignment.aligned(executable.workspace_bytes(5))
    wanted = by_hand(executable, feeds, 1)
    for shards in (2, 3, 2, 1, 5, 2, 2, 4):
        assert_same_bits(by_hand(executable, feeds, shards, workspace=workspace), wanted, f"{shards} shards")


def test_shards_that_only_spin() -> None:
    graph, feeds = network()
    compiled = compilation(graph)
    assert_same_bits(by_hand(compiled.build(), feeds, 2, wait=False), native(compiled, feeds))


def test_more_shards_than_rows() -> None:
    net = Net()
    x = net.input(1, 4, 2, 5)
    graph = net.graph(conv(net, conv(net, x, 6, 3, 3, padding="same"), 5, 1, 2))
    compiled = compilation(graph, streaming="chains", borders="all")
    wanted = check(graph, net.feeds)
    for shards in (3, 8, 64):
        assert_same_bits(by_hand(compiled.build(), net.feeds, shards), wanted)


def test_a_program_without_barriers_ends_for_every_thread() -> None:
    """Shards that never wait for each other finish in any order, also before the last of them was woken."""
    script = (
        "from cnncc.runtime.model import Model\n"
        "from cnncc.ops import Add\n"
        "from tests.graphs import Net, call, compilation\n"
        "net = Net()\n"
        "executable = compilation(net.graph(net.apply(Add(), net.input(3, 2), net.weights(3, 2)))).build()\n"
        "for _ in range(1000):\n"
        "    with Model(executable, threads=3) as model:\n"
        "        call(model, net.feeds)\n"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", script], cwd=root, check=True, timeout=120)


# Shards in the worst order: where a barrier is missing, one reads what another has not written yet


class Turns:
    """Only one shard runs at a time, until it has to wait at a barrier or ends; then the next in order goes on.

    The last to come to a barrier goes on at once, alone, to the next one. So each shard in turn is ahead of all others
    by as much as the barriers allow.
    """

    def __init__(self, order: Sequence[int]):
        self.order, self.changed = list(order), threading.Condition()

    def take(self, shard: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.order[0] == shard, timeout=60)

    def give(self, *, done: bool = False) -> None:
        with self.changed:
            shard = self.order.pop(0)
            self.order += [] if done else [shard]
            self.changed.notify_all()

    def wait(self, argument: int | None) -> None:
        self.give()
        self.take((argument or 0) - 1)


def in_turns(executable: Executable, feeds: Mapping[str, Array], order: Sequence[int]) -> dict[str, Array]:
    """One call through the C interface, the shards in turns that begin in this order, over memory full of NaN."""
    code = door.load_object(executable.object)
    run = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(code.address(f"{executable.symbol}_run"))
    workspace, weights = (
        alignment.aligned(executable.workspace_bytes(len(order))),
        alignment.aligned_bytes(executable.weights),
    )
    workspace[abi.HEADER_BYTES :] = 255
    outputs = {port.name: np.full(port.shape, np.nan, np.float32) for port in executable.outputs}
    sources = layout.pointers([feeds[port.name].ctypes.data for port in executable.inputs])
    results = layout.pointers([array.ctypes.data for array in outputs.values()])
    turns, codes = Turns(order), {}
    wait = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(turns.wait)

    def shard(number: int) -> None:
        call = layout.CallStruct(
            abi=abi.VERSION,
            fingerprint=executable.fingerprint,
            images=executable.images,
            shard=number,
            shards=len(order),
            inputs=ctypes.addressof(sources),
            outputs=ctypes.addressof(results),
            workspace=workspace.ctypes.data,
            weights=weights.ctypes.data,
            wait=ctypes.cast(wait, ctypes.c_void_p).value,
            wait_argument=number + 1,
        )
        turns.take(number)
        codes[number] = run(ctypes.addressof(call))
        turns.give(done=True)

    threads = [threading.Thread(target=shard, args=(number,)) for number in order]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == dict.fromkeys(order, 0)
    return outputs


ORDERS = [(0, 1), (1, 0), (0, 1, 2), (2, 1, 0), (1, 4, 0, 3, 2)]


def assert_any_order(graph: Graph, feeds: Mapping[str, Array], **options: Any) -> None:
    executable = compilation(graph, **options).build()
    wanted = native(compilation(graph, **options), feeds)
    for order in ORDERS:
        assert_same_bits(in_turns(executable, feeds, order), wanted, f"shards in the order {order}")


@pytest.mark.parametrize("sharing", ["all", "cost"])
@pytest.mark.parametrize("streaming", ["none", "cost", "chains"])
def test_shards_in_any_order(streaming: str, sharing: str) -> None:
    assert_any_order(*network(), streaming=streaming, sharing=sharing)


def test_a_missing_barrier_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program.barrier, "call", lambda *arguments: None)
    graph, feeds = network()
    with pytest.raises(AssertionError, match="differ"):
        assert_any_order(graph, feeds)


def separable(size: int, stride: int, *, squeeze: bool) -> tuple[Graph, dict[str, Array]]:
    """Depthwise and 1×1 layers, and perhaps a gate: rows that go their own way from step to step."""
    net = Net()
    x = conv(net, net.input(1, 3, size, size), 16, 3, 3, padding="same")
    for step in (stride, 1):
        y = net.apply(Relu(), conv(net, x, 16, 3, 3, stride=step, padding="same", groups=16))
        if squeeze:
            gate = net.apply(Relu(), conv(net, net.apply(GlobalAveragePool(), y), 4, 1, 1))
            y = net.apply(Mul(), y, net.apply(Sigmoid(), conv(net, gate, 16, 1, 1)))
        x = net.apply(Relu(), conv(net, y, 16, 1, 1))
    return net.graph(net.apply(MaxPool((2, 2)), x), x), net.feeds


@pytest.mark.parametrize("sharing", ["all", "cost"])
@pytest.mark.parametrize("squeeze", [False, True])
@pytest.mark.parametrize(("size", "stride"), [(12, 1), (14, 2), (29, 1), (48, 2)])
def test_rows_that_no_barrier_parts(size: int, stride: int, squeeze: bool, sharing: str) -> None:
    graph, feeds = separable(size, stride, squeeze=squeeze)
    stages = compilation(graph, streaming="none", sharing=sharing).plan.stages
    assert sum(stage.barrier for stage in stages) < len(stages) - 1
    assert_any_order(graph, feeds, streaming="none", sharing=sharing)


@pytest.mark.parametrize("seed", range(30))
def test_random_graphs_in_any_order(seed: int) -> None:
    graph, feeds = random_graph(seed)
    assert_any_order(graph, feeds, sharing="cost" if seed % 2 else "all", borders="all" if seed % 3 else "cost")


# A line buffer before an overlapping pool


@pytest.mark.parametrize("average", [False, True])
def test_a_pool_through_a_line_buffer(average: bool) -> None:
    """3×3 with stride 2: rows of the convolution go into a ring of rows, and the tensor between never exists."""
    net = Net()
    x = net.input(2, 3, 41, 30)
    pool = (AveragePool if average else MaxPool)((3, 3), 2, 1)
    graph = net.graph(net.apply(pool, net.apply(Relu(), conv(net, x, 24, 3, 3, padding="same"))))
    whole, streamed = compilation(graph, streaming="none"), compilation(graph, streaming="pools")
    assert not any(view.ring for step in whole.plan.steps for view in step.sources)
    assert any(step.sources[0].ring for step in streamed.plan.steps if step.sources)
    wanted = check(graph, net.feeds, streaming="none")
    before, after = (made.varied(precision="strict").build() for made in (whole, streamed))  # no scratch of transforms
    assert after.workspace_bytes(1) < 0.65 * before.workspace_bytes(1)  # a ring of 16 of 41 rows, and the pool
    executable = streamed.build()
    for threads in (1, 2, 3):
        with Model(executable, threads=threads) as model:
            assert_same_bits(call(model, net.feeds), wanted, f"{threads} threads")


# Chains a few rows at a time

CHAINS = {
    "two": [Conv((3, 3)), Conv((3, 3))],
    "two, padded": [Conv((3, 3), padding="same"), Conv((5, 3), padding="same")],
    "two, full": [Conv((3, 3), padding="full"), Conv((2, 3), padding="full")],
    "strides": [Conv((3, 3), padding="same"), Conv((3, 3), 2, padding=1), Conv((2, 2), (3, 1))],
    "dilation": [
        Conv((3, 3), padding="same"),
        Conv((3, 3), 1, (4, 1), ((4, 4), (1, 1))),
        Conv((3, 1), dilation=3),
    ],
    "depthwise": [Conv((3, 3), padding="same"), Conv((3, 3), padding="same", groups=16), Conv((1, 2), padding="same")],
}


def chained(name: str, *, end: str = "") -> tuple[Graph, dict[str, Array]]:
    net = Net()
    x = net.input(1, 8, 141, 11)
    for op in CHAINS[name]:
        weights = net.weights(16, net.shape(x)[1] // op.groups, *op.kernel), net.weights(16)
        x = net.apply(Relu(), net.apply(op, x, *weights))
    if end == "pool":
        x = net.apply(MaxPool((3, 3), 2), x)
    if end == "residual":
        x = net.apply(Add(), x, net.input(*net.shape(x), name="residual"))
    return net.graph(x), net.feeds


@pytest.mark.parametrize("end", ["", "pool", "residual"])
@pytest.mark.parametrize("name", CHAINS)
def test_chains_streamed_a_few_rows_at_a_time(name: str, end: str) -> None:
    graph, feeds = chained(name, end=end)
    whole, streamed = compilation(graph, streaming="none"), compilation(graph, streaming="chains")
    wanted = check(graph, feeds, streaming="none")
    executable = streamed.build()
    if end != "residual":  # it arrives planar: its copy stands between the last two steps
        length = len(CHAINS[name]) + (end == "pool")
        assert max(len(stage.steps) for stage in streamed.plan.stages) == length
        assert executable.workspace_bytes(1) < whole.build().workspace_bytes(1)
    for shards in (1, 2, 3):
        with Model(executable, threads=shards) as model:
            assert_same_bits(call(model, feeds), wanted, f"{shards} threads")


@pytest.mark.parametrize("target", TARGETS)
def test_chains_on_every_target(target: str) -> None:
    for name in CHAINS:
        graph, feeds = chained(name)
        streamed = compilation(graph, target, streaming="chains", checked=True)
        assert_same_bits(native(streamed, feeds, threads=2), check(graph, feeds, target, streaming="none"), name)


@pytest.mark.parametrize("rows", range(1, 30))
def test_chains_of_any_height(rows: int) -> None:
    """The last block may hold fewer rows, and small images are not streamed at all."""
    net = Net()
    x = net.input(1, 3, rows, 6)
    y = conv(net, conv(net, x, 8, 3, 3, padding="same"), 7, 3, 3, padding="same")
    graph = net.graph(net.apply(AveragePool((3, 3), 2, 1), y))
    wanted = check(graph, net.feeds, streaming="none")
    for streaming in ("pools", "chains"):
        compiled = compilation(graph, streaming=streaming, checked=True)
        assert_same_bits(native(compiled, net.feeds), wanted, streaming)
        assert_same_bits(native(compiled, net.feeds, threads=3), wanted, f"{streaming}, three threads")


def test_chains_in_three_dimensions() -> None:
    """Rows are positions of the outermost spatial axis."""
    net = Net()
    x = net.input(1, 2, 30, 5, 6)
    graph = net.graph(conv(net, conv(net, x, 8, 3, 3, 3, padding="same"), 8, 3, 2, 2))
    streamed = compilation(graph, streaming="chains")
    assert max(len(stage.steps) for stage in streamed.plan.stages) == 2
    wanted = check(graph, net.feeds, streaming="none")
    assert_same_bits(native(streamed, net.feeds, threads=2), wanted)


# Batches


@pytest.mark.parametrize("streaming", ["none", "pools", "cost", "chains"])
@pytest.mark.parametrize("threads", [1, 3])
def test_images_of_a_batch_are_computed_as_if_alone(streaming: str, threads: int) -> None:
    graph, feeds = network(images=2)
    compiled = compilation(graph, streaming=streaming)
    assert compiled.plan.batchable
    rng = np.random.default_rng(3)
    with Model(compiled.build(), threads=threads) as model:
        for images in range(1, 6):
            x = rng.standard_normal((images, *feeds["x"].shape[1:])).astype(np.float32)
            together = call(model, {"x": x})
            for image in range(images):
                alone = call(model, {"x": x[image : image + 1]})
                assert_same_bits(alone, {name: y[image : image + 1] for name, y in together.items()}, f"image {image}")


def test_graphs_that_mix_images_refuse_another_number() -> None:
    net = Net()
    graph = net.graph(net.apply(Softmax(0), net.input(3, 4)))
    compiled = compilation(graph)
    assert not compiled.plan.batchable
    check(graph, net.feeds)
    with Model(compiled.build()) as model, pytest.raises(InputError, match="shape"):
        model(np.zeros((2, 4), np.float32))


def test_the_program_refuses_another_number_itself() -> None:
    """Not only Python: the C interface returns the code for it."""
    net = Net()
    compiled = compilation(net.graph(net.apply(Softmax(0), net.input(3, 4))))
    executable = compiled.build()
    wrong = type(executable)(**{**vars(executable), "images": 2})
    with pytest.raises(AssertionError):
        by_hand(wrong, net.feeds, 1)


def test_weights_given_at_run_time_are_no_images() -> None:
    net = Net()
    x, w = net.input(1, 3, 6, 6), net.weights(5, 3, 3, 3, arrive=True)
    compiled = compilation(net.graph(net.apply(Conv((3, 3)), x, w)))
    with Model(compiled.build()) as model:
        batch = net.random(4, 3, 6, 6)
        together = model({"x": batch, "w": net.feeds["w"]})
        alone = [model({"x": batch[i : i + 1], "w": net.feeds["w"]}) for i in range(4)]
        np.testing.assert_array_equal(together, np.concatenate(alone))
