"""PyTorch modules compiled from Python: the same results, names of modules, open numbers of images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytestmark = pytest.mark.tools

import cnncc  # noqa: E402
from cnncc.errors import ModelError, UsageError  # noqa: E402

from .modules import CASES, Bottleneck, Of, UNet  # noqa: E402


def settled(make: Any, seed: int = 7) -> Any:
    """A module with weights and statistics of its norms that are not those it began with."""
    torch.manual_seed(seed)
    module = make().eval()
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if tensor.dtype.is_floating_point:
            low = 0.5 if name.endswith("running_var") else -0.5
            tensor.data = torch.rand_like(tensor) * 0.9 + low
    return module


def flat(result: Any) -> list[Any]:
    values = result.values() if isinstance(result, dict) else result if isinstance(result, tuple) else (result,)
    return [np.asarray(value.detach()) for value in values]


def compared(model: Any, module: Any, tensors: Any) -> None:
    """Floats differ by roundings of sums of a few hundred terms; whole numbers do not differ."""
    with torch.no_grad():
        expected = flat(module(*tensors))
    result = model(*(tensor.numpy() for tensor in tensors))
    for one, other in zip(result if isinstance(result, tuple) else (result,), expected, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        scale = np.abs(other).max() if other.size else 0
        np.testing.assert_allclose(one, other, rtol=0, atol=0 if other.dtype.kind != "f" else 2e-6 * (1 + scale))


@pytest.mark.parametrize("case", CASES)
def test_modules(case: str) -> None:
    make, shapes = CASES[case]
    module, tensors = settled(make), [torch.randn(shape) for shape in shapes]
    model = cnncc.compile(module, tuple(tensors))
    compared(model, module, tensors)
    if model.executable.batchable:
        compared(model, module, [torch.randn(5 * shape[0], *shape[1:]) for shape in shapes])


def test_layers_are_called_as_the_modules() -> None:
    graph = cnncc.from_torch(Bottleneck(8), torch.zeros(1, 8, 7, 7))
    names = {node.name for node in graph}
    assert graph.name == "Bottleneck"
    assert {"body.0.0", "body.0.1", "body.0.2", "body.3", "down.0", "down.1", "down.1.running_var"} <= names
    assert sum(name.startswith(("relu", "add")) for name in names) == 2
    assert list(graph.inputs) == ["x"] and list(graph.outputs) == ["output"]


def test_forms_of_examples_and_results() -> None:
    module = settled(lambda: Of(lambda m, a, b: {"sum": a + b, "both": torch.cat([a, b], 1)}))
    a, b = torch.randn(2, 3), torch.randn(2, 3)
    model = cnncc.compile(module, (a, b))
    assert [port.name for port in model.outputs] == ["sum", "both"]
    compared(model, module, (a, b))

    class Named(torch.nn.Module):
        def forward(self, left: Any, right: Any) -> Any:
            return left - right, left * right

    model = cnncc.compile(Named(), {"right": b, "left": a})
    assert {port.name for port in model.inputs} == {"left", "right"}
    assert [port.name for port in model.outputs] == ["output1", "output2"]
    np.testing.assert_array_equal(model({"left": a.numpy(), "right": b.numpy()})[0], (a - b).numpy())


def test_training_form_comes_back() -> None:
    module = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm2d(3))
    module[1].eval()
    cnncc.from_torch(module, torch.zeros(1, 3, 4, 4))
    assert (module.training, module[0].training, module[1].training) == (True, True, False)


def test_a_number_of_images_that_is_computed_with() -> None:
    model = cnncc.compile(Of(lambda m, x: x * x.shape[0]), torch.randn(2, 3))
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(model(x), 2 * x)
    with pytest.raises(cnncc.CnnccError, match="the number of images is fixed at 2"):
        model(np.ones((4, 3), np.float32))


def test_axes_without_elements() -> None:
    """A file does not tell them from open ones."""
    module, tensors = Of(lambda m, x, y: torch.cat([x, y.relu()], 1)), [torch.empty(2, 0, 3), torch.randn(2, 4, 3)]
    compared(cnncc.compile(module, tuple(tensors)), module, tensors)
    module, tensors = Of(lambda m, x: x.sum(0)), [torch.empty(0, 3)]
    compared(cnncc.compile(module, tuple(tensors)), module, tensors)


def test_tensors_are_arguments_and_outputs() -> None:
    module = settled(UNet)
    x, y = torch.randn(2, 3, 8, 8), torch.zeros(2, 2, 8, 8)
    model = cnncc.compile(module, x)
    expected = model(x.numpy())
    np.testing.assert_array_equal(model(x), expected)
    np.testing.assert_array_equal(model(x.to(memory_format=torch.channels_last)), expected)
    assert model(x, out=y) is y
    np.testing.assert_array_equal(y.numpy(), expected)


def test_modules_of_float64() -> None:
    """In float32, where that is asked for; the example and the arguments are tensors of float64."""
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Tanh()).double().eval()
    x = torch.randn(5, 3, 6, 6, dtype=torch.float64)
    with pytest.raises(ModelError, match="With convert=True"):
        cnncc.compile(module, x[:1])
    found = cnncc.compile(module, x[:1], convert=True)(x)
    with torch.no_grad():
        np.testing.assert_allclose(found, module(x).numpy(), rtol=1e-5, atol=1e-5)


def test_what_is_wrong_is_said() -> None:
    module = torch.nn.Linear(3, 2)
    for call, kind, told in (
        (
            lambda: cnncc.compile(module),
            UsageError,
            "compiled for an example of its input: cnncc.compile(module, example)",
        ),
        (lambda: cnncc.from_torch(3, torch.zeros(1)), UsageError, "expects a torch.nn.Module, got int"),
        (lambda: cnncc.from_torch(module, (torch.zeros(1, 3), 4)), UsageError, "it holds int"),
        (lambda: cnncc.from_torch(module, torch.zeros(1, 4)), ModelError, "Linear fails on the example: mat1 and mat2"),
        (
            lambda: cnncc.from_torch(Of(lambda m, x: torch.special.bessel_j0(x)), torch.zeros(1, 4)),
            ModelError,
            "PyTorch cannot export Of: Error when translating node %bessel_j0",
        ),
        (
            lambda: cnncc.from_torch(torch.nn.Sequential(Of(lambda m, x: torch.linalg.det(x))), torch.zeros(1, 4, 4)),
            ModelError,
            "operator Det is not supported (at node '0')",
        ),
    ):
        with pytest.raises(kind) as caught:
            call()  # type: ignore[no-untyped-call]
        assert told in str(caught.value)
