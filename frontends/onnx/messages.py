"""Error messages about a model that cannot be imported: one sentence, of bounded length for any file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...errors import CnnccError, ModelError

KINDS, NAMES = 6, 3
"""The largest numbers of kinds of problems in a message, and of places of each kind."""

NAME, REASON, WHOLE = 60, 400, 8000
"""The largest lengths, in characters, of a name, of the text about one kind, and of a whole message."""


class Unsupported(ModelError):
    """A feature of ONNX that cnncc does not support; the message names it, the importer adds the place.

    Problems of the same `kind` (default: the same message) are reported once. `advice` is what the user can do: it is a
    sentence of its own after all problems.
    """

    def __init__(self, message: str, kind: str = "", advice: str = ""):
        super().__init__(message)
        self.kind, self.advice = kind or message, advice


@dataclass(frozen=True)
class Problem:
    """Why a node, an input or an output cannot be imported; `place` is empty where the error names it."""

    error: ModelError
    place: str

    @property
    def kind(self) -> str:
        return self.error.kind if isinstance(self.error, Unsupported) else self.error.message


def short(text: str, limit: int = NAME) -> str:
    """`text`; its middle is left out if it has more than `limit` characters."""
    half = (limit - 1) // 2
    return text if len(text) <= limit else f"{text[:half]}…{text[-half:]}"


def listed(texts: Sequence[str], most: int = NAMES) -> str:
    """The first of `texts`, and the number of the others."""
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return f"{', '.join(texts[:most])}{more}"


def report(file: Path, problems: Sequence[Problem]) -> ModelError:
    """One error for all problems: each kind once, with its first places."""
    first = problems[0]
    if len(problems) == 1 and not isinstance(first.error, Unsupported):
        place = "" if first.error.node or not first.place else f"{first.place}: "
        return type(first.error)(place + short(first.error.message, REASON), node=first.error.node)
    kinds = grouped(problems)
    told = [_told(same) for same in kinds[:KINDS]]
    if len(kinds) > KINDS:
        told.append(f"and {len(kinds) - KINDS} more kinds of problems (see cnncc inspect)")
    advice = dict.fromkeys(getattr(same[0].error, "advice", "") for same in kinds)
    return ModelError(
        f"'{file}' cannot be imported: {'; '.join(told)}{''.join(f'. {text}' for text in advice if text)}"
    )


def grouped(problems: Sequence[Problem]) -> list[list[Problem]]:
    """The problems of each kind, in the order in which the kinds came up."""
    kinds: dict[str, list[Problem]] = {}
    for problem in problems:
        kinds.setdefault(problem.kind, []).append(problem)
    return list(kinds.values())


def _told(problems: Sequence[Problem]) -> str:
    places = [problem.place for problem in problems if problem.place]
    return short(problems[0].error.message, REASON) + (f" (at {listed(places)})" if places else "")


@contextmanager
def bounded() -> Iterator[None]:
    """Limits the messages of errors raised inside to `WHOLE` characters, whatever names a file has."""
    try:
        yield
    except CnnccError as error:
        error.node = error.node and short(error.node)
        error.message = short(error.message, WHOLE - NAME - len("layer '': "))
        error.args = (error.message,)
        raise
