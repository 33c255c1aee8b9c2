"""Trains one small network for each of several widths and rates, on all workers of a Dask cluster.

    pip install "cnncc[sweep]"
    python examples/sweep.py [--address tcp://SCHEDULER:8786] [--widths 4,8,16] [--rates 0.003,0.01,0.03]

Without an address, this machine's cores are the cluster. A small network takes seconds on one core, so what pays is to
train many at a time, each by one thread; every worker needs cnncc, and nothing else has to be installed there.
"""

import argparse
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from distributed import Client, as_completed

from cnncc import learn, nn

DIGITS = Path(__file__).with_name("digits") / "held_out.npz"

Pictures, Labels = npt.NDArray[np.float32], npt.NDArray[np.int64]


class Trial(NamedTuple):
    """What came of one width and one rate."""

    accuracy: float
    width: int
    rate: float
    parameters: int


def network(width: int) -> nn.Sequential:
    """A convolution of so many channels, and a dense layer."""
    layers = nn.Conv(width, 3, activation="relu"), nn.MaxPool(2), nn.Flatten(), nn.Dense(10)
    return nn.Sequential(*layers, input=(1, 8, 8), seed=0)


def trial(choice: tuple[int, float], x: Pictures, y: Labels) -> Trial:
    """One training, judged by a fifth of the pictures; it runs on a worker."""
    width, rate = choice
    model = network(width)
    history = model.fit(
        x,
        y,
        epochs=20,
        optimiser=learn.AdamW(rate),
        schedule=learn.OneCycle(),
        augment=learn.Shift(1),
        validation=0.2,
        progress=lambda line: None,
    )
    accuracy = history.best.validation_accuracy
    assert accuracy is not None
    return Trial(accuracy, width, rate, sum(array.size for array in model.weights.values()))


def sweep(client: Client, widths: Sequence[int], rates: Sequence[float]) -> Iterator[Trial]:
    """The trials in the order in which they end; the data are sent to each worker once."""
    with np.load(DIGITS) as digits:
        x, y = digits["images"][:, None] / np.float32(255), digits["labels"].astype(np.int64)
    pictures, labels = client.scatter([x, y], broadcast=True)
    choices = list(itertools.product(widths, rates))
    for future in as_completed(client.map(trial, choices, x=pictures, y=labels)):
        yield future.result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", help="of a Dask scheduler (default: this machine's cores)")
    parser.add_argument("--widths", default="4,8,16", help="numbers of channels")
    parser.add_argument("--rates", default="0.003,0.01,0.03", help="rates of learning")
    given = parser.parse_args()
    widths, rates = [int(word) for word in given.widths.split(",")], [float(word) for word in given.rates.split(",")]
    where = {"address": given.address} if given.address else {"threads_per_worker": 1, "dashboard_address": None}
    with Client(**where) as client:
        trials = []
        for done in sweep(client, widths, rates):
            trials.append(done)
            print(f"width {done.width:3}, rate {done.rate:<6g} {done.accuracy:7.2%}, {done.parameters:,} parameters")
    best = max(trials)
    print(f"best: width {best.width}, rate {best.rate:g}: {best.accuracy:.2%} of the held-out pictures are right")


if __name__ == "__main__":
    main()
