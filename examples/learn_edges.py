"""Learns a vertical-edge filter from pairs of pictures, and compiles it.

    python examples/learn_edges.py

Nobody tells the network the filter: it sees random pictures, and what the filter makes of them. What it learns is the
product of a column and a row, up to rounding. Rounded to thousandths it is one exactly, which the compiler finds: it
makes two passes of three taps in place of one of nine.
"""

import numpy as np

import cnncc
from cnncc import learn, nn

SOBEL = np.outer(np.float32([1, 2, 1]), np.float32([1, 0, -1]))


def network() -> nn.Sequential:
    """One filter of 3×3."""
    return nn.Sequential(nn.Conv(1, 3, bias=False, name="filter"), input=(1, 34, 34), name="learn_edges", seed=0)


def learned() -> nn.Sequential:
    """The network after training."""
    teacher, student = network(), network()
    teacher.assign({"filter.weights": SOBEL[None, None]})
    pictures = np.random.default_rng(0).random((128, 1, 34, 34), np.float32)
    student.fit(
        pictures,
        cnncc.interpret(teacher, pictures),
        loss="mean-squares",
        optimiser=learn.AdamW(0.05, decay=0.0),
        schedule="cosine",
        epochs=100,
        progress=lambda line: None,
    )
    return student


def model() -> nn.Sequential:
    """The learned network, its filter rounded to thousandths."""
    student = learned()
    student.assign({"filter.weights": np.round(student.weights["filter.weights"], 3)})
    return student


def main() -> None:
    from cnncc.passes.manager import optimise

    student = learned()
    weights = student.weights["filter.weights"][0, 0]
    print(f"learned to within {np.abs(weights - SOBEL).max():.1g}:")
    print(np.round(weights, 3) + 0)
    layers = [str(node.op) for node in optimise(model().graph).graph if node.op.source is None]
    print(f"compiled: {', '.join(layers)}")


if __name__ == "__main__":
    main()
