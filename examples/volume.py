"""A 3-D network for small volumes, such as a nodule cut out of a scan: is it one, or not?

The first block is a dense 3×3×3 convolution; the second takes one apart into a pass for each axis.

    cnncc check examples/volume.py
    python examples/volume.py
"""

from cnncc import nn

model = nn.Sequential(
    nn.Conv(8, 3, padding="same", bias=False),
    nn.BatchNorm(),
    nn.ELU(),
    nn.MaxPool(2),
    nn.Flattened(16, 3, norm=True, activation="elu"),
    nn.MaxPool(2),
    nn.Conv(24, 3, activation="elu"),
    nn.GlobalAveragePool(),
    nn.Flatten(),
    nn.Dense(2, activation="softmax"),
    input=(1, 12, 20, 20),
    name="volume",
    labels=("other", "nodule"),
)

if __name__ == "__main__":
    print(model.summary())
