"""Weights in blocks of outputs, the last one padded."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.plan.kernels.packing import in_blocks, put_in_blocks


@pytest.mark.parametrize("outputs", [1, 3, 4, 5, 8, 11])
def test_points_one_by_one_lie_as_all_together(outputs: int) -> None:
    weights = np.random.default_rng(0).standard_normal((outputs, 3, 2))
    shape = 1, -(-outputs // 4), 2, 3, 4
    packed = np.zeros(shape, np.float32)
    for point in range(2):
        put_in_blocks(weights[..., point], packed[0, :, point])
    np.testing.assert_array_equal(packed, in_blocks(weights, shape).astype(np.float32))
