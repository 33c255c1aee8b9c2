"""Weights that are replaced: code of one compilation computes with the weights of another, or refuses them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cnncc import cli, interpret
from cnncc.compiler import Compilation, Options, resolve_target, storage
from cnncc.errors import UsageError
from cnncc.ir import Graph
from cnncc.ops import Add, Conv, Dense, Flatten, Relu
from cnncc.plan import PlanOptions
from cnncc.runtime.model import Model
from cnncc.types import Array
from tests.graphs import Net, check

Values = Callable[[Net, tuple[int, ...]], Array]


def compiled(graph: Graph, *, replaceable: bool = True, precision: str = "fast") -> Compilation:
    options = Options(resolve_target("host"), precision, plan=PlanOptions(replaceable=replaceable))
    return Compilation(graph, options)


def network(values: Values, seed: int = 0) -> Graph:
    """Two equal branches, one 3×3 convolution of one channel, groups, and a dense layer."""
    net = Net(seed)
    x = net.input(1, 4, 8, 8)

    def known(*shape: int) -> str:
        return net.known(values(net, shape))

    left = net.apply(Conv((3, 3), padding="same"), x, known(4, 4, 3, 3), known(4))
    right = net.apply(Conv((3, 3), padding="same"), x, known(4, 4, 3, 3), known(4))
    y = net.apply(Relu(), net.apply(Add(), left, right))
    y = net.apply(Conv((5, 5), groups=4), y, known(4, 1, 5, 5))
    return net.graph(net.apply(Dense(), net.apply(Flatten(), y), known(3, 64), known(3)))


def random(net: Net, shape: tuple[int, ...]) -> Array:
    return net.random(*shape)


def zeros(net: Net, shape: tuple[int, ...]) -> Array:
    return np.zeros(shape, np.float32)


def alike(net: Net, shape: tuple[int, ...]) -> Array:
    """Values that give reason to share them: all equal, and kernels that are products."""
    return np.full(shape, 0.25, np.float32)


def blocks(net: Net, shape: tuple[int, ...]) -> Array:
    """Half of the inputs of each output count, of a kernel only the middle."""
    array = net.random(*shape)
    if len(shape) == 4:
        array[:2, 2:] = array[2:, :2] = 0
        array[..., 0, :] = array[..., -1, :] = array[..., 0] = array[..., -1] = 0
    return array


@pytest.mark.parametrize("values", [random, zeros, alike, blocks])
@pytest.mark.parametrize("precision", ["fast", "strict"])
def test_other_values_fit_the_same_code(values: Values, precision: str) -> None:
    first = compiled(network(random), precision=precision)
    graph = network(values, 1)
    other = compiled(graph, precision=precision)
    assert first.identity == other.identity and first.object == other.object
    x = np.random.default_rng(2).random((1, 4, 8, 8), np.float32)
    with Model(replace(first.build(), weights=other.weights)) as mixed, Model(other.build()) as whole:
        np.testing.assert_array_equal(mixed(x), whole(x))
        np.testing.assert_allclose(mixed(x), np.asarray(interpret(graph, x)), rtol=1e-4, atol=1e-4)


def test_replaceable_code_is_right() -> None:
    net = Net()
    x = net.input(1, 4, 8, 8)
    y = net.apply(Conv((3, 3), padding="same"), x, net.known(np.zeros((8, 4, 3, 3), np.float32)))
    check(net.graph(net.apply(Relu(), y)), net.feeds, replaceable=True)


def test_code_that_is_not_replaceable_keeps_its_weights() -> None:
    one, other = (compiled(network(random, seed), replaceable=False) for seed in (0, 1))
    assert one.identity != other.identity


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("float32", ("float32", False)),
        ("float16", ("float16", False)),
        ("replaceable", ("float32", True)),
        ("float16,replaceable", ("float16", True)),
        ("replaceable,float16", ("float16", True)),
    ],
)
def test_words(text: str, found: tuple[str, bool]) -> None:
    assert storage(text) == found


@pytest.mark.parametrize("text", ["", "float8", "float32,float16", "replaceable,x", "float16,replaceable,float16"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^unknown weights '.*': expected 'float32' or 'float16', or one of them"):
        storage(text)


SCRIPT = """\
from cnncc import nn

model = nn.Sequential(nn.Conv(4, 3, activation="relu"), nn.Flatten(), nn.Dense(3), input=(1, 6, 6), name="net", seed={})
"""


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (0, 1):
        (tmp_path / f"net{seed}.py").write_text(SCRIPT.format(seed))
    build, blob = tmp_path / "build", tmp_path / "net.weights"
    arguments = ["--weights", "replaceable", "--kinds", "o,h,json", "--no-cache"]
    assert cli.main(["compile", str(tmp_path / "net0.py"), "-o", str(build), *arguments]) == 0
    packing = ["weights", str(tmp_path / "net1.py"), "-o", str(blob), "--for", str(build / "net.json")]
    assert cli.main(packing) == 0
    assert "bytes of weights for code with fingerprint" in capsys.readouterr().out
    blob.unlink()
    assert cli.main([*packing, "--precision", "strict", "--passes=-fuse"]) == 2
    assert "do not fit the code of" in capsys.readouterr().err and not blob.exists()
    (tmp_path / "bad.json").write_text("[1]")
    assert cli.main([*packing[:-1], str(tmp_path / "bad.json")]) == 2
    assert "is no manifest of one program" in capsys.readouterr().err
    assert cli.main([*packing[:-1], str(tmp_path / "none.json")]) == 2
    assert "cannot read manifest" in capsys.readouterr().err
