"""Fine-tunes an ONNX model on examples of one's own, and writes it as an ONNX file again.

    python examples/finetune.py model.onnx data.npz tuned.onnx [PATTERN …]

data.npz holds x and y (labels). Patterns name the parameters that learn (default: all), such as "fc*": then all layers
before them stay constants, with all that compiling does for these. Needs "cnncc[onnx]".
"""

import sys

import numpy as np
import numpy.typing as npt

import cnncc
from cnncc import learn

Images, Labels = npt.NDArray[np.float32], npt.NDArray[np.int64]


def accuracy(path: str, x: Images, y: Labels) -> float:
    """The share of right answers of a file, which may be for one image at a time."""
    with cnncc.compile(path) as model:
        return float(np.mean([model(x[k : k + 1]).argmax() == y[k] for k in range(len(y))]))


def finetune(model: str, x: Images, y: Labels, tuned: str, train: tuple[str, ...] | None = None) -> learn.History:
    """Train on four of five examples, judged by the fifth; the best epoch is written to `tuned`."""
    result = cnncc.fit(
        model,
        x,
        y,
        train=train,
        epochs=20,
        optimiser=learn.AdamW(1e-3),
        schedule=learn.Cosine(warmup=0.5),
        validation=0.2,
        seed=0,
    )
    result.save_onnx(tuned)
    return result.history


def main() -> None:
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    model, data, tuned, *patterns = sys.argv[1:]
    with np.load(data) as arrays:
        x, y = arrays["x"].astype(np.float32), arrays["y"].astype(np.int64)
    held = slice(-round(0.2 * len(y)), None)
    before = accuracy(model, x[held], y[held])
    finetune(model, x, y, tuned, tuple(patterns) or None)
    after = accuracy(tuned, x[held], y[held])
    print(f"of {len(y[held])} held-out examples {before:.1%} were right, and {after:.1%} are")


if __name__ == "__main__":
    main()
