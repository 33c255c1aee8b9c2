"""Makes `examples/report.svg`, what a report shows in one picture: `python -m tests.docs.picture`.

The graph of `examples/inception.py` after the passes, its roofline and its memory, for one target whatever this
machine is: by the model of its core, so that nothing in the picture depends on a measurement. The parts are those of
the report.
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import cnncc
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.explain import explain
from cnncc.report.facts import Facts
from cnncc.report.page import html_of

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FILE = EXAMPLES / "report.svg"
TARGET = "x86-64-v3"
WIDTH, HEIGHT, LEFT = 1240, 760, 640
"""Pixels of the picture, and of the part of it that the graph takes."""
HEAD = 44
FONT = 'system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif'


def parts() -> list[str]:
    """The pictures of a report as SVG: the graph after the passes, the one as given, roofline, memory."""
    compilation = Compilation(cnncc.load_graph(EXAMPLES / "inception.py"), Options(resolve_target(TARGET)))
    optimised, reasons = compilation.optimised.graph, explain(compilation)
    page = html_of(Facts("inception", "", compilation.options, compilation.graph, optimised, reasons))
    return re.findall(r"<svg .*?</svg>", page, re.DOTALL)


def placed(svg: str, x: float, y: float, width: float, height: float, view: str, fit: str = "meet") -> str:
    """A part of the picture: what `view` shows of it, without its titles and links; 'slice' cuts it off below."""
    inner = re.sub(r"<title>.*?</title>|<a [^>]*>|</a>| data-layer=\"[^\"]*\"| aria-label=\"[^\"]*\"", "", svg)
    kind = re.search(r'class="[\w-]+"', inner)
    body = inner.partition(">")[2].removesuffix("</svg>")
    place = f'x="{x}" y="{y}" width="{width}" height="{height}" viewBox="{view}" preserveAspectRatio="xMidYMin {fit}"'
    return f"<svg {place} {kind[0] if kind else ''}>{body}</svg>"


def style() -> str:
    """The colours of the page, dark and light, and the rules of its charts."""
    css = files("cnncc.report").joinpath("style.css").read_text(encoding="utf-8")
    rules = [line for line in css.splitlines() if line.startswith(".chart")]
    return "\n".join([css[: css.index("* {")], *rules, f"text{{font-family:{FONT}}}.head{{fill:var(--text)}}"])


def head(text: str, x: float, y: float) -> str:
    return f'<text class="head" x="{x:g}" y="{y:g}" font-size="16" font-weight="600">{text}</text>'


def picture() -> str:
    """The whole as the text of an SVG."""
    graph, _, roofline, memory, *_ = parts()
    graph_width = float(re.findall(r'width="(\d+)"', graph)[0])
    scale = graph_width / (LEFT - 20)
    view = f"-8 -8 {graph_width:g} {(HEIGHT - HEAD - 12) * scale:.0f}"
    tall = (HEIGHT - HEAD - 24) / 2
    size = f'width="{WIDTH}" height="{HEIGHT}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {WIDTH} {HEIGHT}">',
            f"<style>{style()}</style>",
            f'<rect {size} rx="10" fill="var(--back)" stroke="var(--line)"/>',
            head("The graph after the passes", 16, 28),
            head("Roofline", LEFT + 16, 28),
            head("Memory", LEFT + 16, HEAD + tall + 18),
            placed(graph, 10, HEAD, LEFT - 20, HEIGHT - HEAD - 12, view, "slice"),
            placed(roofline, LEFT, HEAD - 8, WIDTH - LEFT - 10, tall, "0 0 760 420"),
            placed(memory, LEFT, HEAD + tall + 24, WIDTH - LEFT - 10, tall, "0 0 760 430"),
            "</svg>",
            "",
        ]
    )


if __name__ == "__main__":
    FILE.write_text(picture(), encoding="utf-8")
