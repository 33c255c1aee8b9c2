"""The trained example: accuracy on the held-out part, and files that belong together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnncc.frontends.script import load_script
from cnncc.interpreter import run

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_at_least_97_percent_of_the_held_out_part() -> None:
    graph = load_script(EXAMPLES / "digits.py")
    held_out = np.load(EXAMPLES / "digits" / "held_out.npz")
    images, labels = held_out["images"], held_out["labels"]
    assert images.shape == (360, 8, 8)
    assert images.dtype == labels.dtype == np.uint8
    probabilities = run(graph, {"input": (images[:, None] / 255).astype(np.float32)})["output"]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert (probabilities.argmax(axis=1) == labels).mean() >= 0.97
    assert graph.labels == tuple("0123456789")


def test_pictures_are_held_out_digits_of_their_class() -> None:
    image = pytest.importorskip("PIL.Image")
    graph = load_script(EXAMPLES / "digits.py")
    held_out = np.load(EXAMPLES / "digits" / "held_out.npz")
    for digit in range(10):
        with image.open(EXAMPLES / "digits" / f"{digit}.png") as picture:
            assert (picture.mode, picture.size) == ("L", (8, 8))
            pixels = np.asarray(picture)
        assert any((pixels == other).all() for other in held_out["images"][held_out["labels"] == digit])
        result = run(graph, {"input": (pixels[None, None] / 255).astype(np.float32)})["output"]
        assert result.argmax() == digit


def test_weights_are_small_enough_to_commit() -> None:
    assert (EXAMPLES / "digits.npz").stat().st_size < 200_000
