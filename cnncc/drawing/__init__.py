"""A graph as a drawing: layers in ranks from top to bottom, edges between them, as the text of an SVG.

`draw` is all that others need. The road is that of Sugiyama, Tagawa and Toda (Methods for Visual Understanding of
Hierarchical System Structures, 1981): `boxes` says what each layer shows and how large it is, `ranks` in which row it
stands, `order` in which place of its row, `columns` where exactly, `routes` how edges run, `svg` spells all of it.
"""

from __future__ import annotations

from .svg import Mark, draw

__all__ = ["Mark", "draw"]
