"""An Inception-like classifier: windows of several sizes look at the same picture side by side.

cnncc show examples/inception.py --stage passes
python examples/inception.py
"""

from cnncc import nn

model = nn.Sequential(
    nn.Conv(16, 3, stride=2, padding="same", activation="relu"),
    nn.Conv(24, 3, padding="same", activation="relu"),
    nn.MaxPool(2),
    nn.Inception(ones=8, threes=(12, 16), fives=(4, 8), pooled=8),
    nn.Inception(ones=16, threes=(16, 24), fives=(4, 12), pooled=12),
    nn.MaxPool(2),
    # The same idea written out: each branch is a layer, or a list of layers one after the other.
    nn.Parallel(
        nn.Conv(24, 1, activation="relu"),
        [nn.Conv(16, 1, activation="relu"), nn.SpatiallySeparable(24, 5, activation="relu")],
        [nn.AveragePool(3, 1, "same"), nn.Conv(16, 1, activation="relu")],
        name="mixed",
    ),
    nn.GlobalAveragePool(),
    nn.Flatten(),
    nn.Dense(10, activation="softmax"),
    input=(3, 48, 48),
    name="inception",
)

if __name__ == "__main__":
    print(model.summary())
