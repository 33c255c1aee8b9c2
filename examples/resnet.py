"""A ResNet-like classifier: every block learns what to add to what it is given.

cnncc check examples/resnet.py
python examples/resnet.py
"""

from cnncc import nn


def conv(filters: int, stride: int = 1) -> nn.Conv:
    """3×3 without a bias: the batch norm after it has one."""
    return nn.Conv(filters, 3, stride, padding="same", bias=False)


def block(filters: int, stride: int = 1) -> nn.Layer:
    """Two convolutions; where the shape changes, the shortcut needs a 1×1 convolution of its own."""
    shortcut = nn.Sequential(nn.Conv(filters, 1, stride, bias=False), nn.BatchNorm()) if stride > 1 else None
    body = conv(filters, stride), nn.BatchNorm(), nn.ReLU(), conv(filters), nn.BatchNorm()
    return nn.Residual(*body, shortcut=shortcut, activation="relu")


model = nn.Sequential(
    conv(16),
    nn.BatchNorm(),
    nn.ReLU(),
    block(16),
    block(32, stride=2),
    block(32),
    block(64, stride=2),
    nn.GlobalAveragePool(),
    nn.Flatten(),
    nn.Dense(10, activation="softmax"),
    input=(3, 32, 32),
    name="resnet",
)

if __name__ == "__main__":
    print(model.summary())
