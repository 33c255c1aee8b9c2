"""cache: list what is stored of compiled models, remove it, or set how much it may take.

The folder is `$CNNCC_CACHE` (`off`: none is used), else `$XDG_CACHE_HOME/cnncc`, else `~/.cache/cnncc`. Beyond the
limit, the entries that were not used for the longest time go first.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from ..errors import OutputError
from . import common
from .console import say, table
from .documents import add_json, document, say_json

if TYPE_CHECKING:
    from ..cache.store import Entry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="print a line for each entry, the last used first")
    what.add_argument("--clear", action="store_true", help="remove all entries")
    what.add_argument("--limit", type=common.size, metavar="BYTES", help="let all take at most so many, as 100M")
    add_json(parser)


def run(arguments: argparse.Namespace) -> None:
    from ..cache import store

    folder = store.folder()
    if arguments.limit is not None and not store.set_limit(arguments.limit):
        raise OutputError(
            f"the limit cannot be stored in '{folder}'" if folder else "CNNCC_CACHE is off: nothing is stored"
        )
    removed = store.clear() if arguments.clear else None
    entries = store.entries()
    taken = sum(entry.bytes for entry in entries)
    if arguments.json:
        told = [{"label": entry.label, "bytes": entry.bytes, "used": round(entry.used)} for entry in entries]
        facts = {"folder": folder, "limit": store.limit(), "bytes": taken, "entries": told, "removed": removed}
        say_json(document("cache", **facts))
        return
    if removed is not None:
        say(f"removed {_bytes(removed)}")
        return
    if arguments.list and entries:
        say(table(("used", "bytes", "what"), [_row(entry) for entry in entries], (1,)))
    say(f"{folder or 'off'}: {len(entries)} entries, {_bytes(taken)} of {_bytes(store.limit())}")


def _row(entry: Entry) -> tuple[str, str, str]:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used)), f"{entry.bytes:,}", entry.label


def _bytes(number: int) -> str:
    return f"{number / (1 << 20):.1f} MiB" if number >= 1 << 20 else f"{number:,} bytes"
