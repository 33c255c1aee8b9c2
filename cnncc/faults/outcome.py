"""How a check ends, and whether two of them end in the same way; in this process, or in one that may crash or hang."""

from __future__ import annotations

import faulthandler
import os
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, NoReturn

from ..check.model import Report, check
from ..compiler import Options, resolve_target
from ..errors import CnnccError, DifferenceError
from ..ir import Graph
from ..plan import PlanOptions
from ..types import Array
from .excerpt import Case

Kind = Literal["ok", "difference", "error", "crash", "hang"]


@dataclass(frozen=True)
class Outcome:
    """`signs` are what tells failures of one kind apart, the first one's own first: where and in which op values are
    off, or the type of an exception, its message without names and numbers, and where it was raised.

    `layer` is the first one that is off, or that an error names.
    """

    kind: Kind = "ok"
    signs: tuple[str, ...] = ()
    sentence: str = "all values are within their bounds"
    layer: str = ""
    exit_code: int = 0

    def is_like(self, first: Outcome) -> bool:
        """Whether this is the failure of `first`, perhaps among others."""
        return self.kind == first.kind and (not first.signs or first.signs[0] in self.signs)


OK = Outcome()


def outcome(case: Case, options: Options, threads: int = 1) -> Outcome:
    """How a check of the graph on these inputs ends."""
    try:
        report = check(case.graph, options, case.feeds, threads)
    except Exception as error:
        return _of_error(error)
    return OK if report.ok else _of_report(report)


def _of_report(report: Report) -> Outcome:
    first = report.culprits[0]
    parts = {"rewrite": report.rewrite, "layer": report.kernels, "model": report.outputs}
    found = [(part, finding) for part, findings in parts.items() for finding in findings if finding.verdict == "off"]
    signs = [f"{part} {finding.op.partition('(')[0]}" for part, finding in found]
    sentence = f"'{first.layer}' is off {first}"
    return Outcome("difference", tuple(dict.fromkeys(signs)), sentence, first.layer, DifferenceError.exit_code)


def _of_error(error: Exception) -> Outcome:
    if isinstance(error, CnnccError):
        return _raised(error, error.message, "", error.node or "", error.exit_code)
    return _raised(error, str(error), _place(error), "", 1)


def _raised(error: Exception, message: str, place: str, layer: str, exit_code: int) -> Outcome:
    message = " ".join(message.split())
    general = re.sub(r"'[^']*'|\"[^\"]*\"|\d[\d.]*", "…", message)
    name = type(error).__name__
    return Outcome("error", (f"{name}: {general}{place}",), f"{name}: {message}{place}", layer, exit_code)


def _place(error: Exception) -> str:
    """The function that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" (in {frames[-1].name} of {Path(frames[-1].filename).name})" if frames else ""


def apart(work: Callable[[], Outcome], seconds: float) -> Outcome:
    """What `work` answers in a copy of this process, which may crash, or hang for at most so many seconds."""
    context = get_context("fork")  # what the caller has changed in its process holds there as well
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(theirs, work), daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads that other libraries have started
        process.start()
    theirs.close()
    try:
        if not ours.poll(seconds):
            return Outcome("hang", (), f"the process has not ended in {seconds:.0f} s", exit_code=1)
        answer: Outcome = ours.recv()
        return answer
    except EOFError:
        process.join()
        return _of_exit(process.exitcode or 0)
    finally:
        process.kill()
        process.join()
        ours.close()


def _of_exit(code: int) -> Outcome:
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return Outcome("crash", (name,), f"the process ended with {name}", exit_code=code)


def _answer(connection: Connection, work: Callable[[], Outcome]) -> None:
    """The main function of the copy: quiet, also in a crash, and left alone by Ctrl-C, which ends it by its parent."""
    import resource

    faulthandler.disable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    connection.send(work())


def settings(options: Options, threads: int = 1) -> dict[str, Any]:
    """What `rerun` takes: all that is not the default, in plain values."""
    plan, default = options.plan, PlanOptions()
    names = ("streaming", "borders", "choices", "sharing", "images_at_once", "replaceable")
    chosen = {name: getattr(plan, name) for name in names if getattr(plan, name) != getattr(default, name)}
    host = options.target == resolve_target("host")
    given = {
        "target": "host" if host else options.target.name,
        "precision": options.precision,
        "off": options.off,
        "checked": options.checked,
        "weights": options.weights,
        "plan": chosen,
        "threads": threads,
    }
    usual = {"threads": 1, "precision": "fast", "off": (), "checked": False, "weights": "float32", "plan": {}}
    return {name: value for name, value in given.items() if value != usual.get(name)}


def options_of(target: str = "host", plan: Mapping[str, Any] | None = None, **more: Any) -> Options:
    """The options that `settings` spelled. Raises TargetError for a target that there is not."""
    return Options(resolve_target(target), plan=PlanOptions(**(plan or {})), **more)


def rerun(graph: Graph, inputs: Mapping[str, Array], threads: int = 1, **settings: Any) -> NoReturn:
    """What a script for a bug report does: check, tell how that ends, and end with the exit code of `cnncc check`."""
    found = outcome(Case(graph, inputs), options_of(**settings), threads)
    print(f"{found.kind}: {found.sentence}", flush=True)
    sys.exit(found.exit_code)
