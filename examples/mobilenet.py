"""A MobileNet-like classifier for a camera: pictures arrive as they are, bytes in rows of red, green and blue.

Almost all of its arithmetic is in 1×1 convolutions: each block filters every channel alone, then mixes the channels.

    cnncc compile examples/mobilenet.py -o build/
    python examples/mobilenet.py
"""

from cnncc import nn

WIDTHS = (16, 24, 24, 48, 48, 96)
STRIDES = (1, 2, 1, 2, 1, 2)


def block(filters: int, stride: int) -> nn.Layer:
    """Depthwise 3×3, then 1×1, each with batch norm and ReLU6."""
    return nn.DepthwiseSeparable(filters, 3, stride, norm=True, activation="relu6")


model = nn.Sequential(
    nn.Conv(12, 3, stride=2, padding="same", bias=False, name="stem"),
    nn.BatchNorm(),
    nn.ReLU6(),
    *(block(filters, stride) for filters, stride in zip(WIDTHS, STRIDES, strict=True)),
    nn.SqueezeExcite(name="attention"),
    nn.GlobalAveragePool(),
    nn.Flatten(),
    nn.Dense(10, activation="softmax", name="classes"),
    input=nn.Input((64, 64, 3), layout="NHWC", dtype="uint8", scale=1 / 255, mean=(0.485, 0.456, 0.406), std=0.225),
    name="mobilenet",
)

if __name__ == "__main__":
    print(model.summary())
