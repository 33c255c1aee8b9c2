"""completion: print a script that completes verbs, options, their values and files in a shell.

bash: `source <(cnncc completion bash)` in ~/.bashrc; zsh: `cnncc completion zsh > FOLDER/_cnncc`, with a folder of
$fpath; fish: `cnncc completion fish > ~/.config/fish/completions/cnncc.fish`. Needs the extra `cnncc[completion]`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from ..errors import OutputError, UsageError
from .console import say

FILES = ("MODEL", "FILE", "INPUT", "DATA", "DIR")
"""Arguments that are called so are paths."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", metavar="SHELL", help="bash, zsh, fish or another one that shtab knows")


def run(arguments: argparse.Namespace) -> None:
    say(script(arguments.shell, arguments.verbs).rstrip())


def script(shell: str, verbs: Mapping[str, ModuleType]) -> str:
    """The script for verbs by name. Raises UsageError for an unknown shell, OutputError without shtab."""
    try:
        shtab: Any = import_module("shtab")
    except ImportError:
        raise OutputError("completion needs shtab: pip install 'cnncc[completion]'") from None
    if shell not in shtab.SUPPORTED_SHELLS:
        raise UsageError(f"unknown shell '{shell}', expected one of {', '.join(shtab.SUPPORTED_SHELLS)}")
    return str(shtab.complete(_parser(shtab, verbs), shell=shell))


def _parser(shtab: Any, verbs: Mapping[str, ModuleType]) -> argparse.ArgumentParser:
    """A parser of all verbs at once, which `cnncc` itself never needs."""
    parser = argparse.ArgumentParser(prog="cnncc")
    known = parser.add_subparsers()
    for name, module in verbs.items():
        verb = known.add_parser(name)
        module.add_arguments(verb)
        for action in verb._actions:
            _completed(action, shtab)
    return parser


def _completed(action: Any, shtab: Any) -> None:
    """Say what a value of this argument is: one of some words, or a path."""
    known = getattr(action.type, "known", None)
    if known is not None:
        action.choices = list(known)
    elif action.metavar in FILES:
        action.complete = shtab.FILE
