"""A 1-D network for electrocardiograms: twelve leads, two seconds at 250 samples a second, five kinds of rhythm.

Dilated convolutions let the later layers see whole beats without losing samples; the kernels are long and cheap,
since each lead's features are filtered alone.

    cnncc compile examples/ecg.py -o build/
    python examples/ecg.py
"""

from cnncc import nn


def block(filters: int, dilation: int) -> nn.Layer:
    """A long filter for each feature, a mixture of all, and what was there before."""
    return nn.Residual(
        nn.DepthwiseConv(9, padding="same", dilation=dilation, bias=False),
        nn.BatchNorm(),
        nn.SiLU(),
        nn.Conv(filters, 1),
    )


model = nn.Sequential(
    nn.Conv(24, 15, stride=2, padding="same", bias=False, name="stem"),
    nn.BatchNorm(),
    nn.SiLU(),
    nn.MaxPool(3, 2, padding="same"),
    *(block(24, dilation) for dilation in (1, 2, 4)),
    nn.GlobalAveragePool(),
    nn.Flatten(),
    nn.Dense(5, activation="softmax", name="rhythm"),
    input=(12, 500),
    name="ecg",
    labels=("normal", "fibrillation", "flutter", "block", "paced"),
)

if __name__ == "__main__":
    print(model.summary())
