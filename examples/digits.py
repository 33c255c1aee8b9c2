"""A LeNet-like network for handwritten digits of 8×8 pixels, trained by train_digits.py.

Input: float32 (N, 1, 8, 8), grey value / 255, white ink on black. Output: the probabilities of 0 to 9.
"""

from pathlib import Path

from cnncc import nn

WEIGHTS = Path(__file__).with_suffix(".npz")


def network(seed: int = 0) -> nn.Sequential:
    """The untrained network."""
    return nn.Sequential(
        nn.Conv(16, 3, padding="same", name="conv1"),
        nn.ReLU(name="relu1"),
        nn.MaxPool(2, name="pool1"),
        nn.Conv(32, 3, padding="same", bias=False, name="conv2"),
        nn.BatchNorm(name="norm2"),
        nn.ReLU(name="relu2"),
        nn.Flatten(name="flatten"),
        nn.Dense(32, activation="relu", name="dense1"),
        nn.Dense(10, name="dense2"),
        nn.Softmax(name="probabilities"),
        input=(1, 8, 8),
        name="digits",
        labels=tuple("0123456789"),
        seed=seed,
    )


def model() -> nn.Sequential:
    """The network with its trained weights."""
    trained = network()
    trained.load(WEIGHTS)
    return trained


if __name__ == "__main__":
    print(model().summary())
