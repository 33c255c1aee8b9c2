"""Arguments → a namespace. Nothing here imports the compiler: `cnncc --help` must be instant."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from ..errors import UsageError
from ..version import VERSION
from . import (
    bench,
    cache,
    check,
    compile,
    completion,
    fit,
    inspect,
    machine,
    ops,
    reduce,
    report,
    run,
    show,
    targets,
    weights,
    why,
)
from .console import say

VERBS = {
    "compile": compile,
    "run": run,
    "check": check,
    "fit": fit,
    "reduce": reduce,
    "show": show,
    "why": why,
    "bench": bench,
    "report": report,
    "weights": weights,
    "inspect": inspect,
    "machine": machine,
    "targets": targets,
    "cache": cache,
    "completion": completion,
    "ops": ops,
}


class Parser(argparse.ArgumentParser):
    """Reports wrong usage like every other error instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


class _Say(argparse.Action):
    """Answer with a text and run no verb; unlike argparse's own action, it ends no process."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        raise _Answered(parser.format_help() if self.const is None else self.const)


class _Answered(Exception):
    """The command line was a question (`--help`, `--version`); this is the answer."""


def parse(argv: Sequence[str] | None, manual: str) -> argparse.Namespace | None:
    """The arguments, with the verb's function as `run`; None if they were a question, which is answered.

    `manual` is what `--help` tells below the verbs. Raises UsageError for a wrong command line.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        if given and given[0] in VERBS:
            # Intermixed: input files may stand before and after options.
            return _verb_parser(given[0]).parse_intermixed_args(_attached(given[1:]))
        if given and not given[0].startswith("-"):
            raise UsageError(f"unknown verb '{given[0]}': expected one of {', '.join(VERBS)} (see cnncc --help)")
        _top_parser(manual).parse_args(given)
    except _Answered as answer:
        say(str(answer).rstrip())
    return None


def _attached(argv: list[str]) -> list[str]:
    """`--passes -fuse` as `--passes=-fuse`, which argparse does not mistake for an option."""
    joined: list[str] = []
    for word in argv:
        if joined and joined[-1] == "--passes" and word.startswith("-") and not word.startswith("--"):
            joined[-1] = f"--passes={word}"
        else:
            joined.append(word)
    return joined


def _top_parser(manual: str) -> Parser:
    """Knows the verbs by name only: it is asked when the first word is none of them."""
    verbs = [f"  {name:8} {_summary(name)}" for name in VERBS]
    parser = _parser(
        "cnncc",
        "Compile small convolutional networks to native code.",
        "\n".join(["verbs (cnncc VERB --help tells more):", *verbs, "", manual]),
    )
    parser.add_argument("--version", action=_Say, nargs=0, const=f"cnncc {VERSION}", help="print the version")
    parser.add_argument("verb", metavar="VERB", help="what to do")
    return parser


def _verb_parser(name: str) -> Parser:
    module = VERBS[name]
    text = _text(name)
    parser = _parser(f"cnncc {name}", text[:1].upper() + text[1:])
    module.add_arguments(parser)
    parser.set_defaults(run=module.run, verbs=VERBS)
    return parser


def _text(name: str) -> str:
    """A verb's documentation: that of its module, which begins with its name."""
    return (VERBS[name].__doc__ or "").partition(": ")[2]


def _summary(name: str) -> str:
    return _text(name).splitlines()[0].rstrip(".")


def _parser(prog: str, description: str, epilog: str | None = None) -> Parser:
    parser = Parser(
        prog=prog,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("-h", "--help", action=_Say, nargs=0, help="print this help")
    return parser
