"""What is said about a model that cannot be imported: one sentence, of a length that no file can enlarge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...errors import CnnccError, ModelError

KINDS, NAMES = 6, 3
"""How many kinds of problems are told, and how many places of each."""

NAME, REASON, WHOLE = 60, 400, 8000
"""The greatest lengths, in characters, of a name, of what is said about one kind, and of a whole message."""


class Unsupported(ModelError):
    """Something that ONNX has and cnncc has not; the message says what, the importer adds where.

    Problems of the same `kind` (default: the same message) are told once.
    """

    def __init__(self, message: str, kind: str = ""):
        super().__init__(message)
        self.kind = kind or message


@dataclass(frozen=True)
class Problem:
    """Why a node, an input or an output cannot be imported; `place` is empty where the error names it."""

    error: ModelError
    place: str

    @property
    def kind(self) -> str:
        return self.error.kind if isinstance(self.error, Unsupported) else self.error.message


def short(text: str, limit: int = NAME) -> str:
    """`text`, without its middle if it has more than `limit` characters."""
    half = (limit - 1) // 2
    return text if len(text) <= limit else f"{text[:half]}…{text[-half:]}"


def listed(texts: Sequence[str], most: int = NAMES) -> str:
    """The first of `texts`, and how many more there are."""
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return f"{', '.join(texts[:most])}{more}"


def report(file: Path, problems: Sequence[Problem]) -> ModelError:
    """One error that tells of all problems: each kind once, with its first places."""
    first = problems[0]
    if len(problems) == 1 and not isinstance(first.error, Unsupported):
        place = "" if first.error.node or not first.place else f"{first.place}: "
        return type(first.error)(place + short(first.error.message, REASON), node=first.error.node)
    kinds: dict[str, list[Problem]] = {}
    for problem in problems:
        kinds.setdefault(problem.kind, []).append(problem)
    told = [_told(same) for same in list(kinds.values())[:KINDS]]
    if len(kinds) > KINDS:
        told.append(f"and {len(kinds) - KINDS} more kinds of problems")
    return ModelError(f"'{file}' cannot be imported: {'; '.join(told)}")


def _told(problems: Sequence[Problem]) -> str:
    places = [problem.place for problem in problems if problem.place]
    return short(problems[0].error.message, REASON) + (f" (at {listed(places)})" if places else "")


@contextmanager
def bounded() -> Iterator[None]:
    """Whatever names a file holds: errors raised inside tell no more than `WHOLE` characters."""
    try:
        yield
    except CnnccError as error:
        error.node = error.node and short(error.node)
        error.message = short(error.message, WHOLE - NAME - len("layer '': "))
        error.args = (error.message,)
        raise
