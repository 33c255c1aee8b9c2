"""Every error that a user can meet, each with the exit code of the command line.

A message names the layer, what was expected, what came and the user's own line; `CnnccError` puts the
last part together so that no caller has to.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

_PACKAGE_ROOTS = tuple(
    f"{folder}{os.sep}"
    for folder in (Path(__file__).resolve().parent, Path(__file__).resolve().parent.parent / "frontends")
)


@dataclass(frozen=True)
class Location:
    """A line of the user's own code: where a layer was made."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def caller_location() -> Location | None:
    """The innermost line on the call stack that is neither cnncc's own nor NumPy's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if not file.startswith((*_PACKAGE_ROOTS, "<")) and package != "numpy":
            return Location(file, frame.f_lineno)
        frame = frame.f_back
    return None


class CnnccError(Exception):
    """Base of all errors that cnncc raises on purpose.

    `node` is the layer's name and `where` the user's line; both may be unknown.
    """

    exit_code = 1

    def __init__(self, message: str, *, node: str | None = None, where: Location | None = None):
        self.message, self.node, self.where = message, node, where
        super().__init__(message)

    def __str__(self) -> str:
        layer = f"layer '{self.node}': " if self.node else ""
        line = f" (at {self.where})" if self.where else ""
        return f"{layer}{self.message}{line}"

    def at(self, node: str | None, where: Location | None) -> CnnccError:
        """The same error, told where it happened, unless it already knows."""
        self.node = self.node or node
        self.where = self.where or where
        return self


class ResourceError(CnnccError):
    """There is not enough memory for a model, or it is nested too deeply."""


class UsageError(CnnccError):
    """A wrong option or argument."""

    exit_code = 2


class ModelError(CnnccError):
    """A model (script, graph, layer or weights) that cannot be compiled."""

    exit_code = 3


class ShapeError(ModelError):
    """A layer given tensors that its type rule refuses."""


class VerifyError(ModelError):
    """A graph that breaks an invariant: a pass or a front end made a mistake."""


class PassError(VerifyError):
    """A pass broke the graph that it was given, or changed the type of a value: a mistake of ours."""

    exit_code = 1


class ScriptError(ModelError):
    """A model script that is missing, raises, or defines no model or several."""


class WeightsError(ModelError):
    """Weights that are missing, superfluous, of the wrong shape or not finite."""


class InputError(CnnccError):
    """Data given to a model that does not fit its inputs or outputs."""

    exit_code = 4


class NoMemoryError(CnnccError):
    """Arrays or a workspace that a call needs, and for which there is no memory."""


class TargetError(UsageError):
    """An unknown target, or one that this machine or operation cannot serve."""


class OutputError(CnnccError):
    """A result that cannot be written, or a tool for writing it that is missing."""

    exit_code = 5


class PeerError(CnnccError):
    """Another engine that was to be compared with is missing, or cannot run the model."""

    exit_code = 5


class DifferenceError(CnnccError):
    """`check` found a value outside its derived tolerance."""

    exit_code = 6


class LearningError(CnnccError):
    """Training whose loss is no number any more."""

    exit_code = 8


class NativeError(CnnccError):
    """Native code refused a call, or the back end failed to make it."""

    exit_code = 7
