"""Operations that PyTorch's export does not have or gets wrong compute what PyTorch computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytestmark = pytest.mark.tools

import torch.nn.functional as F  # noqa: E402

import cnncc  # noqa: E402

from .modules import Of  # noqa: E402
from .test_modules import compared, settled  # noqa: E402

Case = tuple[Callable[[], Any], tuple[tuple[int, ...], ...]]


def of(function: Callable[..., Any]) -> Callable[[], Any]:
    return lambda: Of(lambda m, *tensors: function(*tensors))


def filled(x: Any, mask: Any, value: Any) -> Any:
    x = x.clone()
    x[mask] = value
    return x


CASES: dict[str, Case] = {
    "pools with divisors": (
        of(lambda x: (F.avg_pool2d(x, 3, 2, 1, divisor_override=5), F.avg_pool2d(x, (2, 3), divisor_override=1))),
        ((2, 3, 7, 8),),
    ),
    "ceil mode": (of(lambda x: F.avg_pool2d(x, 3, 2, 1, True, False, divisor_override=2)), ((2, 3, 6, 8),)),
    "pools of volumes": (
        of(lambda x: (F.avg_pool3d(x, 2, divisor_override=3), F.adaptive_avg_pool3d(x, (2, 3, 1)))),
        ((1, 2, 5, 4, 6),),
    ),
    "places of maxima": (
        of(lambda x: (F.adaptive_max_pool2d(x, (3, 2), True), F.adaptive_max_pool1d(x.flatten(2), 5, True))),
        ((2, 3, 7, 5),),
    ),
    "maxima alone": (lambda: torch.nn.AdaptiveMaxPool2d((2, 3)), ((2, 3, 7, 5),)),
    "norm of a batch": (lambda: torch.nn.BatchNorm2d(3, track_running_stats=False), ((4, 3, 5, 6),)),
    "norm in training form": (
        of(lambda x: F.batch_norm(x, torch.zeros(3), torch.ones(3), None, None, True)),
        ((4, 3, 5),),
    ),
    "attention": (of(lambda q, k: F.scaled_dot_product_attention(q, k, k, is_causal=True)), ((2, 3, 8), (2, 5, 8))),
    "extremes": (of(lambda x, y: (x.aminmax(), x.amax(), torch.fmax(x, y), x.fmin(y), x.hypot(y))), ((3, 4), (3, 4))),
    "stacks": (
        of(lambda x, y: (torch.hstack([x, y]), torch.vstack([x, y]), torch.dstack([x, y]), torch.column_stack([x, y]))),
        ((3, 4), (3, 4)),
    ),
    "squeezes": (of(lambda x: (x.squeeze(1), x.squeeze(2), x.squeeze((1, 3)))), ((2, 1, 3, 4),)),
    "masks": (of(lambda x, y: (filled(x, x > 0, 0.0), filled(x, y[:, 0] > 0, y[0]))), ((3, 4), (3, 4))),
    "negative widths": (of(lambda x: F.pad(x, (-4, 3, 2, -1), "replicate")), ((2, 3, 4, 4),)),
    "stable sort": (of(lambda x: torch.sort(x.round(), dim=1, stable=True, descending=True)), ((3, 9),)),
}


def flat(module: Any) -> Any:
    """A module whose results are one tuple."""
    return Of(lambda m, *tensors: tuple(torch.utils._pytree.tree_leaves(m.inner(*tensors))), inner=module)


@pytest.mark.parametrize("case", CASES)
def test_rewritten(case: str) -> None:
    make, shapes = CASES[case]
    module, tensors = flat(settled(make)), [torch.randn(shape) for shape in shapes]
    model = cnncc.compile(module, tuple(tensors))
    compared(model, module, tensors)
    if model.executable.batchable:
        compared(model, module, [torch.randn(5 * shape[0], *shape[1:]) for shape in shapes])


def test_nan_is_left_out_of_one_side_only() -> None:
    x, y = torch.tensor([1.0, torch.nan, torch.nan, 2]), torch.tensor([torch.nan, 3, torch.nan, 1])
    found = cnncc.compile(Of(lambda m, a, b: (torch.fmax(a, b), torch.fmin(a, b))), (x, y))(x, y)
    for one, other in zip(found, (torch.fmax(x, y), torch.fmin(x, y)), strict=True):
        assert torch.equal(torch.from_numpy(one).nan_to_num(9), other.nan_to_num(9))
