"""`torch.compile(module, backend="cnncc")`: what is compiled, what is left to PyTorch, and when it is made again."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytestmark = pytest.mark.tools

from cnncc.frontends.torch.backend import CompiledGraph  # noqa: E402

from .modules import Bottleneck, Of, Patches, UNet  # noqa: E402
from .test_modules import settled  # noqa: E402


@pytest.fixture(autouse=True)
def a_new_dynamo() -> None:
    torch._dynamo.reset()


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The graphs that are compiled during a test."""
    graphs: list[Any] = []
    before = CompiledGraph.__init__

    def noted(self: Any, module: Any, compiler: Any) -> None:
        def compile(graph: Any) -> Any:
            graphs.append(graph)
            return compiler(graph)

        before(self, module, compile)

    monkeypatch.setattr(CompiledGraph, "__init__", noted)
    return graphs


def close(one: Any, other: Any) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=2e-6 * (1 + float(other.abs().max())))


@pytest.mark.parametrize("make", [UNet, Patches, lambda: torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), Bottleneck(8))])
def test_networks(make: Any, compiled: list[Any]) -> None:
    module = settled(make)
    fast = torch.compile(module, backend="cnncc")
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for images in (2, 2, 3):
            x = torch.randn(images, 3, 8, 8)
            close(fast(x), module(x))
    assert len(compiled) == 2  # one for each number of images


def test_changed_weights_are_seen(compiled: list[Any]) -> None:
    module = settled(lambda: torch.nn.Conv2d(3, 4, 3))
    fast, x = torch.compile(module, backend="cnncc"), torch.randn(1, 3, 6, 6)
    with torch.no_grad():
        close(fast(x), module(x))
        module.weight.mul_(3)
        close(fast(x), module(x))
        module.load_state_dict(settled(lambda: torch.nn.Conv2d(3, 4, 3), seed=8).state_dict())
        close(fast(x), module(x))
        close(fast(x), module(x))
    assert len(compiled) == 3


def test_training_is_left_to_pytorch(compiled: list[Any]) -> None:
    module = settled(lambda: torch.nn.Conv2d(3, 4, 3))
    fast, x = torch.compile(module, backend="cnncc"), torch.randn(1, 3, 6, 6)
    fast(x).sum().backward()
    assert module.weight.grad is not None and not compiled


def test_what_is_not_known_is_named_and_left(compiled: list[Any]) -> None:
    layers = {"a": torch.nn.Conv2d(3, 4, 3), "b": torch.nn.Conv2d(4, 4, 3)}

    def function(m: Any, x: Any) -> Any:
        y = m.a(x).relu()
        return torch.special.bessel_j0(y) + m.b(y + torch.special.bessel_j0(y)).sigmoid().mean(), y

    module = settled(lambda: Of(function, **layers))
    fast, x = torch.compile(module, backend="cnncc"), torch.randn(2, 3, 8, 8)
    with torch.no_grad(), pytest.warns(UserWarning, match=r"^cnncc leaves to PyTorch: .*bessel_j0"):
        result = fast(x)
    for one, other in zip(result, module(x), strict=True):
        close(one, other.detach())
    assert len(compiled) == 2  # before and after it


def test_what_onnx_has_and_cnncc_not(compiled: list[Any]) -> None:
    module = settled(
        lambda: Of(lambda m, x: m.a(x).relu() * torch.linalg.det(x[..., :3, :3]).sum(), a=torch.nn.Conv2d(3, 4, 3))
    )
    fast, x = torch.compile(module, backend="cnncc"), torch.randn(2, 3, 8, 8)
    with torch.no_grad(), pytest.warns(UserWarning, match=r"^cnncc leaves to PyTorch: .*operator Det is not supported"):
        close(fast(x), module(x))
    assert len(compiled) >= 1


def test_many_sizes_end_with_pytorch(compiled: list[Any]) -> None:
    graph = torch.fx.symbolic_trace(torch.nn.ReLU())
    run = CompiledGraph(graph, lambda graph: lambda x: x.clip(0))
    with torch.no_grad():
        for size in range(1, 12):
            x = torch.randn(size)
            close(run(x), x.relu())
    assert len(run.made) == 8
