"""The report in headless Chromium: no error, nothing overlaps, nothing is wider than the page; screenshots to look at.

The page itself is asked: a script is put behind its own, which opens everything and compares the places of texts.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnncc
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.report import Request, report

from .support import reported, skipping

pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
]

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --virtual-time-budget=8000"
).split()
FIRST = """<script>window.faults = [];
addEventListener("error", (event) => faults.push(String(event.message)));
addEventListener("unhandledrejection", (event) => faults.push(String(event.reason)));
for (const kind of ["error", "warn"]) console[kind] = (...words) => faults.push(words.join(" "));
</script>"""
LAST = """<script>
const rect = (element) => element.getBoundingClientRect();
const meets = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
const told = (element) => (element.textContent || element.getAttribute("class")).trim().slice(0, 40);
function overlaps(elements) {
  const found = [], boxes = elements.map(rect);
  boxes.forEach((one, i) => boxes.forEach((other, k) => {
    if (i < k && one.width && other.width && meets(one, other)) found.push([told(elements[i]), told(elements[k])]);
  }));
  return found;
}
const all = (query, root = document) => [...root.querySelectorAll(query)];
const few = (elements) => elements.length < 400 ? elements : elements.slice(0, 400);
function text(cell) { const range = document.createRange(); range.selectNodeContents(cell); return rect(range); }
function escapes(query) {
  return all(query).filter((cell) => cell.childNodes.length && text(cell).right > rect(cell).right + 1).map(told);
}
all("details").forEach((each) => each.open = true);
{
  const found = {
    width: innerWidth, page: document.documentElement.scrollWidth, faults,
    dark: matchMedia("(prefers-color-scheme: dark)").matches,
    texts: all("svg").flatMap((svg) => overlaps(few(all("text", svg)))),
    boxes: all("svg.cnncc-graph").flatMap((svg) => overlaps(few(all(".box", svg)))),
    parts: [".tiles", "tr", "summary", "dl", ".bars", ".bar", "main", ".pair", "figcaption", "nav"].flatMap(
      (query) => all(query).flatMap((each) => overlaps([...each.children]))),
    outside: all("svg.cnncc-graph g").filter((group) => {
      const box = rect(group.querySelector(".box"));
      return all("text", group).some((line) => rect(line).left < box.left || rect(line).right > box.right);
    }).map(told),
    cut: escapes("td, th, dd, .tile b, .tile span, .bar, li, p"),
    boxesSeen: all("svg.cnncc-graph .box").length,
  };
  const layer = document.querySelector(".canvas a");
  if (layer) layer.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
  found.peek = layer ? document.querySelector(".peek h3 a").textContent : "";
  found.picked = all(".picked").length;
  found.tools = all(".tools button").length;
  const result = document.createElement("pre");
  result.id = "found";
  result.textContent = JSON.stringify(found);
  parent.document.body.append(result);
}
</script>"""


def seen(html: str, folder: Path, width: int, dark: bool) -> dict[str, Any]:
    """What the page says of itself in a frame of this width: a window itself has at least 500 pixels."""
    asked = html.replace("<body>", f"<body>{FIRST}", 1).replace("</body>", f"{LAST}</body>")
    file = folder / "frame.html"
    frame = f'<iframe srcdoc="{escape(asked)}" style="border:0;width:{width}px;height:900px"></iframe>'
    file.write_text(f'<!DOCTYPE html><html><body style="margin:0">{frame}</body></html>', encoding="utf-8")
    flags = [*FLAGS, "--window-size=1700,1000", f"--user-data-dir={folder / 'profile'}", "--dump-dom"]
    flags += ["--blink-settings=preferredColorScheme=0"] if dark else []
    done = subprocess.run(["chromium", *flags, file.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    match = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert match, done.stdout[-2000:]
    found: dict[str, Any] = json.loads(unescape(match[1]))
    return found


def photograph(html: str, folder: Path, width: int, dark: bool) -> Path:
    """A screenshot of the page as it is opened."""
    file, image = folder / "page.html", folder / f"report-{width}-{'dark' if dark else 'light'}.png"
    file.write_text(html, encoding="utf-8")
    flags = [*FLAGS, f"--window-size={width},2400", f"--user-data-dir={folder / 'photo'}", f"--screenshot={image}"]
    flags += ["--blink-settings=preferredColorScheme=0"] if dark else []
    subprocess.run(["chromium", *flags, file.as_uri()], capture_output=True, timeout=120, check=True)
    return image


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """A report of everything; one of a network of many layers, for a machine that is not here; one that stopped."""
    digits = cnncc.load_graph("examples/digits.py")
    options = Options(resolve_target("host"))
    whole = report(Compilation(digits, options), Request(against=(), seconds=0.01, threads=(1, 2)))
    return {"whole": whole.html, "foreign": reported(skipping(), "macos-arm64").html, "stopped": stopped()}


def stopped() -> str:
    with pytest.MonkeyPatch.context() as patch:

        def refuse(*_: object, **__: object) -> None:
            raise cnncc.CnnccError("planted", node="second")

        patch.setattr("cnncc.plan.make.make_plan", refuse)
        return reported(skipping()).html


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 900, 1600])
@pytest.mark.parametrize("which", ["whole", "foreign", "stopped"])
def test_nothing_overlaps(pages: dict[str, str], which: str, width: int, dark: bool, tmp_path: Path) -> None:
    found = seen(pages[which], tmp_path, width, dark)
    assert (found["width"], found["dark"]) == (width, dark)
    assert found["faults"] == []
    assert found["page"] <= width
    for kind in ("texts", "boxes", "parts", "outside", "cut"):
        assert found[kind] == [], kind
    assert found["boxesSeen"] >= 6
    assert found["tools"] == 8
    if which == "whole":
        assert found["peek"] == "conv1" and found["picked"] >= 2


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 900, 1600])
def test_screenshots(pages: dict[str, str], width: int, dark: bool, tmp_path: Path) -> None:
    """They are dark or light as wished, and not empty."""
    image = pytest.importorskip("PIL.Image")
    with image.open(photograph(pages["whole"], tmp_path, width, dark)) as picture:
        pixels = np.asarray(picture.convert("L"))
    assert pixels.shape == (2400, width)
    back = np.bincount(pixels.ravel()).argmax()
    assert back < 40 if dark else back > 220
    assert 0.01 < (abs(pixels.astype(int) - back) > 60).mean() < 0.4


def test_it_is_readable_without_scripts(pages: dict[str, str], tmp_path: Path) -> None:
    """No text is made by the script: the page without it has the same sections, and details that open."""
    html = re.sub(r"<script>.*?</script>", "", pages["whole"], flags=re.DOTALL)
    found = seen(html.replace("</body>", "<aside class='peek'><h3><a></a></h3></aside></body>"), tmp_path, 900, False)
    assert found["faults"] == [] and found["tools"] == 0 and found["boxesSeen"] >= 12
