"""What `python -m tests.torch.op_db` does with all of PyTorch's samples: on a few."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytest.importorskip("expecttest")
pytestmark = pytest.mark.tools

from cnncc.check.bound import Bound  # noqa: E402

from . import op_db, op_db_known  # noqa: E402

NAMES = """
    F.conv2d F.conv_transpose2d F.linear F.max_pool2d F.avg_pool2d F.adaptive_avg_pool2d F.batch_norm F.group_norm
    F.layer_norm F.gelu F.hardswish F.interpolate.bilinear F.pad.reflect F.pixel_shuffle F.unfold softmax matmul amax
    argmax cumsum where gather index_select cat split flip clamp
""".split()


@pytest.fixture(scope="module", autouse=True)
def registry() -> None:
    op_db.share_registry()


@pytest.mark.parametrize("name", NAMES)
def test_samples(name: str) -> None:
    number = next(k for k in range(1, 99) if op_db_known.known(name, k) == ("passed", ""))
    assert op_db.check((name, number, 0)).ops


def test_results_are_held_to_their_bounds() -> None:
    """In float64 to the bound itself, in float32 to several."""
    one, off = np.ones(3, np.float32), np.float32([1, 1, 1.001])
    bound = Bound(np.ones(3), np.full(3, 1e-4))
    op_db.agree(bound, one, off.astype(np.float64), one)
    op_db.agree(bound, off, one.astype(np.float64), one)
    op_db.agree(bound, off, None, one)
    with pytest.raises(AssertionError, match=r"at \(2,\): .* not .*; at \(2,\)"):
        op_db.agree(bound, 2 * off, 2 * off.astype(np.float64), one)


def test_every_operator_is_there() -> None:
    named = {f"{prefix}{name}" for prefix, text in op_db_known.OPERATORS.items() for name in text.split()}
    assert {row.name for row in op_db.operators().values()} == named
