"""A report of a compilation: one HTML file with drawings, reasons, times, memory, errors, sizes and hashes.

`gather` finds out the facts, each part by itself; `page` writes them down, a module a section.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from ..compiler import Compilation, Options
from ..errors import CnnccError
from ..files import write_whole
from .facts import Request
from .gather import facts_of, unread
from .page import html_of


@dataclass(frozen=True)
class Report:
    """A page, and the error at which the compilation stopped, if it did. A notebook shows it in a frame."""

    name: str
    html: str = field(repr=False)
    error: Exception | None = None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page, whole or not at all. Raises OutputError."""
        write_whole(path, "report", lambda stream: stream.write(self.html.encode("utf-8")))

    def _repr_html_(self) -> str:
        from .html import tag

        return tag("iframe", srcdoc=self.html, style="width:100%;height:720px;border:0", title=f"report of {self.name}")


def report(compilation: Compilation, request: Request | None = None) -> Report:
    """The report of a compilation, which it compiles, runs, times and checks.

    What cannot be found out (a peer that is missing, times of a machine that is not here) is a sentence in the page. A
    model that does not compile gets a report as well, which shows where it stopped. Raises UsageError for an unknown
    engine, InputError for data that does not fit.
    """
    facts, error = facts_of(compilation, request or Request())
    return Report(facts.name, html_of(facts), error)


def report_unread(source: str, options: Options, error: CnnccError) -> Report:
    """The report of a model that could not be read."""
    facts = unread(source, options, error)
    return Report(facts.name, html_of(facts), error)
