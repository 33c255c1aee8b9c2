"""weights: pack a model's weights for code that was compiled before, with --weights replaceable.

The model may have other values than the one that was compiled, but the same layers. Options have to be the same.
--for names the manifest of that code, whose fingerprint is compared; the code compares it again in each call.
"""

from __future__ import annotations

import argparse
import json

from ..errors import UsageError
from . import common
from .console import say
from .documents import add_json, document, file_facts, say_json

MOST_BYTES = 1 << 26
"""Of a manifest."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_model(parser)
    parser.add_argument("-o", dest="output", required=True, metavar="FILE", help="file to write the block to")
    parser.add_argument("--for", dest="manifest", metavar="NAME.json", help="manifest of the code that will read them")
    common.add_compiling(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> None:
    from ..files import write_whole

    arguments.weights = ",".join(dict.fromkeys([*arguments.weights.split(","), "replaceable"]))
    compilation = common.compilation(arguments)
    number = compilation.identity.fingerprint
    if arguments.manifest:
        _expect_same(arguments.manifest, number, compilation.graph.name)
    block = compilation.weights
    write_whole(arguments.output, "weights", lambda stream: stream.write(block))
    if arguments.json:
        facts = {"model": compilation.graph.name, **file_facts(arguments.output), "fingerprint": number}
        say_json(document("weights", **facts))
    else:
        say(f"{arguments.output}: {len(block):,} bytes of weights for code with fingerprint {number}")


def _expect_same(path: str, number: int, model: str) -> None:
    """Raise UsageError if a manifest is of code that cannot read the weights."""
    found = _fingerprint(path)
    if found != number:
        raise UsageError(
            f"the weights of '{model}' do not fit the code of '{path}', with fingerprint {found} in place of {number}: "
            "it was compiled from other layers, with other options or without --weights replaceable"
        )


def _fingerprint(path: str) -> int:
    from ..files import read

    try:
        return int(json.loads(read(path, MOST_BYTES).decode())["fingerprint"])
    except OSError as error:
        raise UsageError(f"cannot read manifest '{path}': {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageError(
            f"'{path}' is no manifest of one program: expected the .json that cnncc compile wrote"
        ) from None
