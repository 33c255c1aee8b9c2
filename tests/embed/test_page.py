"""The page that reads a drawn digit: its pictures of strokes under node, and the whole page in headless Chromium."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc.runtime import artefacts

from .support import EXAMPLES, digits_for, needs

WEB = EXAMPLES / "embed" / "web"
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=900,600 --virtual-time-budget=20000"
).split()
PAPER = slice(130, 400), slice(40, 310)  # pixels of the screenshot, within the canvas

PICTURES = """
import { writeSync } from "node:fs";
const { picture, SAMPLES } = await import(process.argv[2]);
const changed = (change) => SAMPLES.map((strokes) => strokes.map((stroke) => stroke.map(change)));
const all = [SAMPLES, changed(([x, y]) => [300 * x - 20, 300 * y + 1000]), changed(([x, y]) => [x - 0.1 * y, y])];
for (const samples of all) for (const strokes of samples) writeSync(1, new Uint8Array(picture(strokes).buffer));
for (const strokes of [[], [[[3, 4]]], [[[1, 2], [1, 2]]], [[[0, 0], [9, 0]]]])
  writeSync(1, new Uint8Array(picture(strokes).buffer));
"""


@needs("node")
def test_strokes_become_pictures_that_the_network_knows(tmp_path: Path) -> None:
    """Wherever a digit stands and however large it is drawn, and in italics."""
    (tmp_path / "pictures.mjs").write_text(PICTURES)
    command: list[str | Path] = ["node", tmp_path / "pictures.mjs", WEB / "drawing.mjs"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    found = np.frombuffer(done.stdout, np.float32).reshape(-1, 1, 8, 8)
    drawn, (nothing, dot, line, dash) = found[:30].reshape(3, 10, 1, 8, 8), found[30:, 0]
    assert (cnncc.interpret(EXAMPLES / "digits.py", found[:30]).argmax(1) == np.tile(np.arange(10), 3)).all()
    np.testing.assert_array_equal(drawn[0] * 16, np.rint(drawn[0] * 16))  # as the pictures that were counted
    np.testing.assert_allclose(drawn[1], drawn[0], atol=1 / 16)
    assert not nothing.any() and (dot == line).all() and dot[3:5, 3:5].all() and 0 < dot.sum() < 4
    assert dash[3:5, 1:7].all() and not dash[:3].any() and not dash[5:].any()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the page is served, as `python -m http.server` does."""
    folder = tmp_path_factory.mktemp("page")
    artefacts.write(digits_for("wasm32-simd"), folder, ["wasm", "json"])
    shutil.copytree(WEB, folder, dirs_exist_ok=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def shown(address: str, folder: Path) -> str:
    """The page's elements after a while, without its script; `page.png` is a screenshot."""
    flags = [*FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", f"--screenshot={folder / 'page.png'}"]
    done = subprocess.run(["chromium", *flags, address], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.partition("<script")[0]


@pytest.mark.tools
@needs("chromium")
@pytest.mark.parametrize("digit", [2, 7])
def test_the_page_reads_a_digit(address: str, digit: int, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    page = shown(f"{address}/?draw={digit}", tmp_path)
    assert f'<p id="said">this is {digit}</p>' in page
    scores = [float(value) for value in re.findall(r'<meter value="([^"]+)">', page)]
    assert len(scores) == 10 and scores[digit] > 0.5 and sum(scores) == pytest.approx(1, abs=1e-5)
    with image.open(tmp_path / "page.png") as picture:
        paper = np.asarray(picture.convert("L"))[PAPER]
    assert 0.05 < (paper == 255).mean() < 0.3 and (paper == 0).mean() > 0.65  # white strokes on black


@pytest.mark.tools
@needs("chromium")
def test_the_page_waits_for_a_drawing(address: str, tmp_path: Path) -> None:
    assert '<p id="said">draw with the mouse, a finger or a pen</p>' in shown(address, tmp_path)


@pytest.mark.tools
@needs("chromium")
def test_the_page_says_what_it_lacks(tmp_path: Path) -> None:
    shutil.copytree(WEB, tmp_path / "page")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "page"))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = shown(f"http://127.0.0.1:{server.server_port}", tmp_path)
        server.shutdown()
    assert "digits.json is missing: cnncc compile --target wasm32-simd --kinds wasm,json" in page
