"""PyTorch's gradients in float64 are ours, of pools with ties and of whole modules."""

from __future__ import annotations

import numpy as np
import pytest

import cnncc
from cnncc import learn

from .support import gradients, precisely
from .test_kinks import random_pool

pytestmark = pytest.mark.tools
torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")


@pytest.mark.parametrize("seed", range(200))
def test_ties_of_pools(seed):
    pool, x, counts = random_pool(seed)
    given = torch.tensor(x, requires_grad=True)
    made = torch.nn.functional.max_pool2d(given, pool.kernel, pool.stride, pool.padding, pool.dilation)
    made.backward(torch.tensor(counts))
    np.testing.assert_allclose(gradients(pool, [x], counts)[0], given.grad.numpy(), rtol=0, atol=1e-12)


def residual():
    class Residual(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Conv2d(4, 8, 3, 2, 1, bias=False)
            self.norm = torch.nn.BatchNorm2d(8)
            self.second = torch.nn.Conv2d(8, 8, 3, 1, 1)
            self.projection = torch.nn.Conv2d(4, 8, 1, 2)

        def forward(self, x):
            return torch.relu(self.second(torch.relu(self.norm(self.first(x)))) + self.projection(x)).mean((2, 3))

    return Residual(), (3, 4, 9, 9)


def lenet():
    layers = [torch.nn.Conv2d(1, 6, 5, padding=2), torch.nn.Tanh(), torch.nn.MaxPool2d(2), torch.nn.Conv2d(6, 16, 5)]
    layers += [torch.nn.ReLU(), torch.nn.MaxPool2d(3, 2, 1), torch.nn.Flatten(), torch.nn.Linear(400, 20)]
    layers += [torch.nn.GELU(), torch.nn.Linear(20, 10), torch.nn.Softmax(1)]
    return torch.nn.Sequential(*layers), (2, 1, 28, 28)


def groups():
    layers = [torch.nn.Conv2d(6, 12, 3, 2, 1, groups=6), torch.nn.SiLU()]
    layers += [torch.nn.Conv2d(12, 8, 3, dilation=2, groups=4), torch.nn.Hardswish(), torch.nn.GroupNorm(2, 8)]
    layers += [torch.nn.ConvTranspose2d(8, 6, 3, 2, 1, 1, groups=2), torch.nn.ReLU6(), torch.nn.AvgPool2d(3, 2, 1)]
    return torch.nn.Sequential(*layers, torch.nn.PReLU(6)), (2, 6, 15, 15)


def resampled():
    layers = [torch.nn.Conv2d(3, 4, 3), torch.nn.Mish(), torch.nn.Upsample(scale_factor=2, mode="bilinear")]
    layers += [torch.nn.InstanceNorm2d(4, affine=True), torch.nn.ReflectionPad2d(2), torch.nn.ELU()]
    layers += [torch.nn.AdaptiveAvgPool2d((3, 5)), torch.nn.LocalResponseNorm(3), torch.nn.PixelShuffle(2)]
    return torch.nn.Sequential(*layers), (2, 3, 8, 7)


def transformer():
    return torch.nn.TransformerEncoderLayer(16, 4, 32, 0.0, batch_first=True), (2, 5, 16)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("made", [lenet, residual, groups, resampled, transformer])
def test_gradients_of_modules_by_image_and_parameters(made):
    torch.manual_seed(0)
    module, shape = made()
    module.eval()
    x = torch.randn(*shape)
    graph = cnncc.from_torch(module, x)
    (of,), (image,) = graph.outputs, graph.inputs
    parameters = [name for name, _ in module.named_parameters() if name in graph.nodes]
    assert len(parameters) > 3
    counts = np.random.default_rng(0).standard_normal(graph.type(graph.outputs[of]).shape)
    slopes = learn.gradient(graph, of=of, by=[image, *parameters])
    found = precisely(slopes, {image: x.numpy(), f"d_{of}": counts})
    exact = x.double().requires_grad_()
    (module.double()(exact) * torch.tensor(counts)).sum().backward()
    expected = {image: exact.grad} | {name: p.grad for name, p in module.named_parameters() if name in parameters}
    # Some exports of attention scale query and key by a square root each, a constant that is rounded to float32.
    relative, least = (2.0**-22, 2.0**-24) if made is transformer else (1e-8, 1e-9)
    for name, array in expected.items():
        most = float(array.abs().max())
        np.testing.assert_allclose(found[f"d_{name}"], array.numpy(), rtol=relative, atol=least * most)
