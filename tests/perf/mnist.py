"""LeNet-5 on handwritten digits: how good it gets, how long that takes, and that threads change no bit.

    python -m tests.perf.mnist FILE.npz [--epochs 20] [--held-out 1000] [--seeds 3]

FILE holds x, pictures of 28² bytes, and y, their digits. They are shuffled, and the last ones are held out. Each seed
gives other first weights, orders and shifts of up to two pixels, and is trained with one thread and with two.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

import cnncc
from cnncc import learn, nn
from cnncc.types import Array

from .trained import lenet

REQUIRED = 0.97


def pictures(file: Path) -> tuple[Array, Array]:
    """Pictures (N, 1, 28, 28) in [0, 1] and their digits, shuffled."""
    with np.load(file) as arrays:
        x, y = arrays["x"], arrays["y"]
    order = np.random.default_rng(0).permutation(len(x))
    return x[order].reshape(-1, 1, 28, 28).astype(np.float32) / 255, y[order]


def trained(x: Array, y: Array, seed: int, epochs: int, threads: int) -> tuple[nn.Model, float]:
    """The network after training, and the seconds that it took."""
    network, begin = lenet(seed), time.perf_counter()
    network.fit(
        x,
        y,
        epochs=epochs,
        batch=64,
        optimiser=learn.SGD(0.05, momentum=0.9),
        schedule="cosine",
        augment=learn.Shift(2),
        seed=seed,
        keep="last",
        threads=threads,
        progress=lambda text: None,
    )
    return network, time.perf_counter() - begin


def main(file: Path, epochs: int, held_out: int, seeds: int) -> int:
    x, y = pictures(file)
    good = True
    for seed in range(seeds):
        (one, seconds), (two, shared) = (
            trained(x[:-held_out], y[:-held_out], seed, epochs, threads) for threads in (1, 2)
        )
        right = float((cnncc.compile(one)(x[-held_out:]).argmax(1) == y[-held_out:]).mean())
        same = all(np.array_equal(one.weights[name], two.weights[name]) for name in one.weights)
        times = f"{seconds:.1f} s with one thread, {shared:.1f} s with two"
        print(
            f"seed {seed}: {right:.2%} of {held_out} right, {times}, {'the same' if same else 'OTHER'} bits", flush=True
        )
        good &= same and right >= REQUIRED
    return 0 if good else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.perf.mnist", description="LeNet-5 on handwritten digits.")
    parser.add_argument("file", type=Path, metavar="FILE", help=".npz with x and y")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--held-out", type=int, default=1000, metavar="N", help="pictures to judge by (default: 1000)")
    parser.add_argument("--seeds", type=int, default=3, metavar="N")
    options = parser.parse_args()
    sys.exit(main(options.file, options.epochs, options.held_out, options.seeds))
