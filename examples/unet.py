"""A U-Net-like segmentation network: down to what is in the picture, up again to where it is.

Transposed convolutions double the size on the way up; at each level the picture from the way down is laid beside
the one from below. The output is a score for each class and pixel.

    cnncc compile examples/unet.py -o build/
    python examples/unet.py
"""

from cnncc import nn

WIDTHS = (8, 16, 32)
CLASSES = 3


def double(filters: int) -> nn.Layer:
    """Two 3×3 convolutions of the same size."""
    return nn.Sequential(
        nn.Conv(filters, 3, padding="same", activation="relu"),
        nn.Conv(filters, 3, padding="same", activation="relu"),
    )


picture = nn.Input((1, 48, 48), name="picture")
level, levels = picture, []
for width in WIDTHS:
    level = double(width)(level)
    levels.append(level)
    level = nn.MaxPool(2)(level)
level = double(2 * WIDTHS[-1])(level)
for width in reversed(WIDTHS):
    wider = nn.ConvTranspose(width, 2, stride=2)(level)
    level = double(width)(nn.Concat()(wider, levels.pop()))
scores = nn.Conv(CLASSES, 1, name="scores")(level)

model = nn.Model(picture, {"scores": scores}, name="unet")

if __name__ == "__main__":
    print(model.summary())
