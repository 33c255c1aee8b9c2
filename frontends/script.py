"""Model scripts: run a `model.py` and find the one model that it defines.

A script defines its model in one of two ways, looked for in this order:

1. one module-level name without leading underscore that is an `nn.Model`, `nn.Sequential` or `Graph`;
2. a function called `model` or, without one, the script's only public function that needs no arguments.
   It is called and returns the model. No other function is ever called.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import CodeType, ModuleType, TracebackType

from ..errors import CnnccError, Location, ScriptError
from ..file_kinds import EMPTY, TEXT, UNKNOWN, explained, kind_of
from ..files import opened
from ..ir import Graph
from .model import Model
from .neighbours import importing_from

MOST_BYTES = 1 << 26  # of a script; weights are in files of their own
UNTOLD = (TEXT, EMPTY, UNKNOWN)  # kinds of files for which Python's own error is more exact
MODULE = "cnncc_script"
"""The `__name__` of a running script; not '__main__', so that a script's own main part does not run."""


def load_script(path: str | os.PathLike[str]) -> Graph:
    """The graph of the one model that the script at `path` defines; raises ScriptError or the model's own error.

    A model without a name of its own has the stem of the script, as one of an ONNX file has.
    """
    file = Path(path)
    code = _compiled(file)
    module = ModuleType(MODULE)
    module.__file__ = code.co_filename
    with _running(module, Path(code.co_filename).parent), _explained(file, code.co_filename):
        exec(code, module.__dict__)
        found = _find(file, module)
        if isinstance(found, Graph):
            return found
        return found.graph if found.named else replace(found.graph, name=file.stem)


def _compiled(file: Path) -> CodeType:
    with opened(file, "model script", ScriptError, MOST_BYTES) as stream:
        kind, text = kind_of(stream), stream.read(MOST_BYTES)
    absolute = str(file.resolve())
    try:
        return compile(text, absolute, "exec", dont_inherit=True)
    except SyntaxError as error:
        where = Location(absolute, error.lineno) if error.lineno else None
        why, where = (error.msg, where) if kind in UNTOLD else (f"it is {explained(file, kind)}", None)
        raise ScriptError(f"model script '{file}' is not valid Python: {why}", where=where) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ScriptError(f"model script '{file}' is not valid Python: {str(error) or type(error).__name__}") from None


@contextmanager
def _running(script: ModuleType, folder: Path) -> Iterator[None]:
    """Inside the block the script can import modules of its folder, and is in `sys.modules`, as dataclasses need."""
    outer = sys.modules.get(MODULE)
    with importing_from(folder):
        sys.modules[MODULE] = script
        try:
            yield
        finally:
            sys.modules.pop(MODULE, None)
            if outer is not None:
                sys.modules[MODULE] = outer


@contextmanager
def _explained(file: Path, absolute: str) -> Iterator[None]:
    """Converts an exception of the script to one sentence with the script's line."""
    try:
        yield
    except CnnccError as error:
        raise error.at(None, _line(error.__traceback__, absolute)) from None
    except SystemExit as error:
        where = _line(error.__traceback__, absolute)
        raise ScriptError(f"model script '{file}' calls sys.exit({error.code!r})", where=where) from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        told = " ".join(str(error).split())
        what = f"{type(error).__name__}: {told}" if told else type(error).__name__
        where = _line(error.__traceback__, absolute)
        raise ScriptError(f"model script '{file}' raises {what}", where=where) from error


def _line(traceback: TracebackType | None, absolute: str) -> Location | None:
    """The script's innermost line in a traceback."""
    found = None
    while traceback:
        if traceback.tb_frame.f_code.co_filename == absolute:
            found = Location(absolute, traceback.tb_lineno)
        traceback = traceback.tb_next
    return found


def _find(file: Path, module: ModuleType) -> Model | Graph:
    public = {name: thing for name, thing in vars(module).items() if not name.startswith("_")}
    names = {id(thing): name for name, thing in public.items() if isinstance(thing, Model | Graph)}
    if len(names) > 1:
        listed = ", ".join(sorted(names.values()))
        raise ScriptError(f"model script '{file}' defines {len(names)} models ({listed}), expected one")
    for name in names.values():
        return public[name]  # type: ignore[no-any-return]
    function = _maker(file, public)
    made = function()
    if not isinstance(made, Model | Graph):
        shown = type(made).__name__
        raise ScriptError(f"function '{function.__name__}' of model script '{file}' returns {shown}, expected a model")
    return made


def _maker(file: Path, public: dict[str, object]) -> Callable[[], object]:
    """The function that makes the model."""
    functions = {name: thing for name, thing in public.items() if inspect.isfunction(thing)}
    if "model" in functions:
        if not _callable_bare(functions["model"]):
            raise ScriptError(f"function 'model' of model script '{file}' has parameters without defaults")
        return functions["model"]
    own = [f for f in functions.values() if f.__module__ == MODULE and _callable_bare(f)]
    if len(own) > 1:
        listed = ", ".join(f.__name__ for f in own)
        raise ScriptError(
            f"model script '{file}' has several functions ({listed}): call the one that makes the model 'model'"
        )
    if not own:
        raise ScriptError(f"model script '{file}' defines no model and no function that makes one")
    return own[0]


def _callable_bare(function: Callable[..., object]) -> bool:
    """Whether `function()` is a valid call."""
    return all(
        p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        for p in inspect.signature(function).parameters.values()
    )
