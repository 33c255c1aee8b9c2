"""`model.summary()` against the counts and sizes of the lectures' worked examples, and receptive fields.

Where a printed number is wrong, the right one stands here and the comment says so.
"""

from __future__ import annotations

import numpy as np
import pytest

from cnncc import interpret, nn
from cnncc.frontends.summary import Row


def rows(model: nn.Model) -> dict[str, Row]:
    return {row.layer: row for row in model.summary().rows}


def lenet(channels: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv(6, 5, activation="tanh", name="conv1"),
        nn.MaxPool(2, name="pool1"),
        nn.Conv(16, 5, activation="tanh", name="conv2"),
        nn.MaxPool(2, name="pool2"),
        nn.Flatten(name="flatten"),
        nn.Dense(120, name="fc3"),
        nn.Dense(84, name="fc4"),
        nn.Dense(10, activation="softmax", name="classes"),
        input=(channels, 32, 32),
        name="lenet",
    )


def test_the_table() -> None:
    assert str(lenet().summary()) == "\n".join(
        [
            "layer    kind             output      parameters     MACs  receptive field",
            "───────  ───────────────  ──────────  ──────────  ───────  ───────────────",
            "conv1    Conv + tanh      1×6×28×28          156  117,600  5×5",
            "pool1    MaxPool          1×6×14×14                        6×6",
            "conv2    Conv + tanh      1×16×10×10       2,416  240,000  14×14",
            "pool2    MaxPool          1×16×5×5                         16×16",
            "flatten  Flatten          1×400                            32×32",
            "fc3      Dense            1×120           48,120   48,000  32×32",
            "fc4      Dense            1×84            10,164   10,080  32×32",
            "classes  Dense + softmax  1×10               850      840  32×32",
            "───────  ───────────────  ──────────  ──────────  ───────  ───────────────",
            "total                                     61,706  416,520",
        ]
    )


def test_lenet_like_network_of_lecture_000() -> None:
    """Sizes 32-28-14-10-5-400-120-84-10. The lecture's 150 and 2400 leave out the biases of the convolutions

    (156 and 2416 with them), while its 48120, 10164 and 850 have those of the dense layers; its second pool has 16
    channels, not the printed 6.
    """
    found = rows(lenet())
    assert [row.shapes[0][2:] for row in found.values()][:4] == [(28, 28), (14, 14), (10, 10), (5, 5)]
    assert [row.shapes[0][1] for row in found.values()] == [6, 6, 16, 16, 400, 120, 84, 10]
    assert [row.parameters for row in found.values()] == [156, 0, 2416, 0, 0, 48120, 10164, 850]
    without = nn.Sequential(nn.Conv(6, 5, bias=False), nn.MaxPool(2), nn.Conv(16, 5, bias=False), input=(1, 32, 32))
    assert [row.parameters for row in without.summary().rows] == [150, 0, 2400]


def test_table_of_lecture_001() -> None:
    """Activations as printed. Its 208 and 416 count filters with the same weights for all channels; real layers have

    608 and 3216 parameters. Its 48001 and 10081 and 841 count one bias for a whole dense layer: 48120, 10164, 850.
    """
    model = nn.Sequential(
        nn.Conv(8, 5),
        nn.MaxPool(2),
        nn.Conv(16, 5),
        nn.MaxPool(2),
        nn.Flatten(),
        nn.Dense(120),
        nn.Dense(84),
        nn.Dense(10),
        input=(3, 32, 32),
    )
    found = model.summary().rows
    sizes = [int(np.prod(row.shapes[0])) for row in found]
    assert int(np.prod(model.inputs[0].shape)) == 3072
    assert sizes == [6272, 1568, 1600, 400, 400, 120, 84, 10]
    assert [row.parameters for row in found] == [608, 0, 3216, 0, 0, 48120, 10164, 850]


@pytest.mark.parametrize(
    ("layer", "shape", "parameters", "out"),
    [
        (nn.Conv(10, 5), (3, 28, 28), 760, (1, 10, 24, 24)),  # 001; "with zero padding" there means none
        (nn.Conv(64, 5, bias=False), (3, 32, 32), 4800, (1, 64, 28, 28)),  # 003
        (nn.Dense(50176, bias=False), (3072,), 154_140_672, (1, 50176)),  # 003: its dense equivalent
        (nn.Conv(1, 3), (1, 28, 28), 10, (1, 1, 26, 26)),  # 002; the 26 is lost in print
        (nn.Conv(1, 3, padding=1), (1, 28, 28), 10, (1, 1, 28, 28)),  # 002
        (nn.Conv(1, 5), (1, 7, 7), 26, (1, 1, 3, 3)),  # 004
        (nn.Conv(1, 3, padding=1), (1, 7, 7), 10, (1, 1, 7, 7)),  # 004
        (nn.Conv(1, 3, stride=2, padding=1), (1, 7, 7), 10, (1, 1, 4, 4)),  # 004; its picture shows 8×8
        (nn.Conv(96, 11, stride=4), (3, 227, 227), 34_944, (1, 96, 55, 55)),  # 004
        (nn.Conv(6, 5), (3, 32, 32), 456, (1, 6, 28, 28)),  # 000, homework
        (nn.Conv(1, 2), (1, 5, 5), 5, (1, 1, 4, 4)),  # 003
        (nn.MaxPool(2, 2), (3, 4, 4), 0, (1, 3, 2, 2)),  # 001
        (nn.AveragePool(2), (1, 100, 100), 0, (1, 1, 50, 50)),  # 003
        (nn.MaxPool(2, 1), (1, 3, 3), 0, (1, 1, 2, 2)),  # 001
        (nn.ConvTranspose(1, 3), (1, 2, 2), 10, (1, 1, 4, 4)),  # 000
        (nn.ConvTranspose(1, 3, stride=2), (1, 2, 2), 10, (1, 1, 5, 5)),  # 000
    ],
)
def test_sizes_and_parameters(layer: nn.Layer, shape: tuple[int, ...], parameters: int, out: tuple[int, ...]) -> None:
    x = nn.Input(shape)
    (result,) = layer.apply((x,), {}, None)
    assert result.shape == out
    assert sum(int(np.prod(own.type.shape)) for own in layer.parameters.values()) == parameters


def test_shared_parameters_count_once() -> None:
    conv, x = nn.Conv(3, 3, padding="same"), nn.Input((3, 8, 8))
    summary = nn.Model(x, conv(conv(x))).summary()
    assert [row.parameters for row in summary.rows] == [84, 0]
    assert (summary.parameters, summary.macs) == (84, 2 * 3 * 27 * 64)


def seen_by(tensor: nn.Tensor, x: nn.Input) -> tuple[int, ...]:
    return nn.Model(x, tensor).summary().rows[-1].seen


def influence(tensor: nn.Tensor, x: nn.Input) -> tuple[int, ...]:
    """The extent of the inputs that change the middle of the tensor, found by changing them one by one."""
    model = nn.Model(x, tensor)
    model.assign({name: np.abs(array) + np.float32(0.01) for name, array in model.weights.items()})
    middle = (0, slice(None), *(size // 2 for size in tensor.shape[2:]))
    zero = np.zeros(x.shape, np.float32)
    still = interpret(model, zero)[middle]
    found = []
    for place in np.ndindex(*x.shape[2:]):
        changed = zero.copy()
        changed[(0, slice(None), *place)] = 1
        if (interpret(model, changed)[middle] != still).any():
            found.append(place)
    return tuple(int(n) for n in np.max(found, axis=0) - np.min(found, axis=0) + 1)


@pytest.mark.parametrize(
    ("layers", "seen"),
    [
        ([nn.Conv(1, 3), nn.Conv(1, 3)], (5, 5)),  # 000: two layers of three taps see five
        ([nn.Conv(1, 3, dilation=2)], (5, 5)),  # 000: 3×3 taps two apart cover 5×5
        ([nn.Conv(1, 3, stride=2), nn.Conv(1, 3)], (7, 7)),
        ([nn.Conv(1, (1, 3)), nn.Conv(1, (5, 1))], (5, 3)),
        ([nn.MaxPool(2), nn.Conv(1, 3, padding="same"), nn.AveragePool(2)], (8, 8)),
        ([nn.SpatiallySeparable(1, (3, 5))], (3, 5)),
        ([nn.Parallel(nn.Conv(1, 1), nn.Conv(1, 5, padding="same"))], (5, 5)),
        ([nn.Residual(nn.Conv(1, 3, padding="same"))], (3, 3)),
        ([nn.SpaceToDepth(2), nn.Conv(1, 1)], (2, 2)),
        ([nn.Conv(4, 3, padding="same"), nn.DepthToSpace(2)], (3, 3)),
        ([nn.Transpose((0, 1, 3, 2)), nn.Conv(1, (1, 3))], (3, 1)),
        ([nn.ConvTranspose(1, 2, stride=2)], (1, 1)),
        ([nn.ConvTranspose(1, 3)], (3, 3)),
        ([nn.Resize(scales=(2.0, 2.0))], (1, 1)),
        ([nn.Resize(scales=(2.0, 2.0)), nn.Conv(1, 3)], (2, 2)),
        ([nn.Resize(sizes=(32, 32), mode="linear")], (2, 2)),
        ([nn.Resize(sizes=(32, 32), mode="cubic")], (4, 4)),
        ([nn.Resize(sizes=(8, 8), mode="linear")], (2, 2)),
        ([nn.Pad(((0, 0), (0, 0), (1, 1), (2, 2)), "reflect"), nn.Conv(1, 3)], (3, 3)),
        ([nn.AdaptiveAveragePool(4)], (4, 4)),
        ([nn.Slice((0,), (16,), (2,), (2,)), nn.Conv(1, 2)], (3, 2)),
    ],
)
def test_receptive_fields(layers: list[nn.Layer], seen: tuple[int, ...]) -> None:
    x = nn.Input((1, 16, 16))
    tensor = nn.Chain(*layers)(x)
    assert seen_by(tensor, x) == seen
    assert influence(tensor, x) == seen


def test_receptive_fields_of_whole_tensors() -> None:
    x = nn.Input((2, 12, 10))
    conv = nn.Conv(4, 3)(x)
    assert seen_by(nn.GlobalAveragePool()(conv), x) == (12, 10)
    assert seen_by(nn.Dense(3)(nn.Flatten()(conv)), x) == (12, 10)
    assert seen_by(nn.SqueezeExcite()(x), x) == (12, 10)
    assert seen_by(nn.ReduceMax(axes=(3,))(conv), x) == (3, 10)
