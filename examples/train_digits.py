"""Trains the network of digits.py and writes its weights and its held-out pictures.

    pip install "cnncc[train]" && python examples/train_digits.py

scikit-learn only provides the data. The held-out part is looked at once, after the last step.
"""

import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
from digits import WEIGHTS, network
from sklearn.datasets import load_digits

import cnncc
from cnncc import learn

Bytes = npt.NDArray[np.uint8]

FOLDER = Path(__file__).with_suffix("").with_name("digits")
SEED, HELD_OUT = 7, 360


def write_png(path: Path, picture: Bytes) -> None:
    """An 8-bit grey PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = picture.shape
    rows = b"".join(b"\0" + row.tobytes() for row in picture)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


def main() -> None:
    data = load_digits()
    pictures = np.rint(data.images * (255 / 16)).astype(np.uint8)  # the data have 17 grey levels, 0 to 16
    labels = data.target.astype(np.uint8)
    order = np.random.default_rng(SEED).permutation(len(pictures))
    held, kept = order[:HELD_OUT], order[HELD_OUT:]
    images = (pictures[:, None] / 255).astype(np.float32)

    model = network(SEED)
    model.fit(
        images[kept],
        labels[kept],
        epochs=60,
        optimiser=learn.AdamW(2e-3, decay=0.05),
        schedule="cosine",
        augment=learn.Shift(1),
        keep="last",
        seed=SEED,
    )
    correct = int((cnncc.compile(model)(images[held]).argmax(axis=1) == labels[held]).sum())
    print(f"held-out accuracy: {correct}/{HELD_OUT} = {correct / HELD_OUT:.2%}")

    model.save(WEIGHTS)
    FOLDER.mkdir(exist_ok=True)
    np.savez_compressed(FOLDER / "held_out.npz", images=pictures[held], labels=labels[held])
    for digit in range(10):
        first = held[np.flatnonzero(labels[held] == digit)[0]]
        write_png(FOLDER / f"{digit}.png", pictures[first])


if __name__ == "__main__":
    main()
