"""The barrier between dependent steps, in words of the workspace's header.

For two shards each shard has one word, in its own cache line. A shard adds one to its word and waits until the other's
word is no longer behind: one message each way, both at once. (The other word may already be one ahead, at the next
barrier, but not two.) Both words are equal after every call.

More shards use a counter: the last shard to arrive resets it and increments the generation, for which the others wait.

All words start at zero, and all but the counter only grow. So no call has to initialise them, and the next call may
have another number of shards.
"""

from __future__ import annotations

from .. import abi
from .emitter import Emitter
from .registers import BYTE, INT32, POINTER, Ssa


def emit(e: Emitter) -> None:
    parameters = [(POINTER, "workspace"), (INT32, "shard"), (INT32, "shards"), (POINTER, "wait"), (POINTER, "argument")]
    with e.function("barrier", parameters, internal=True) as (workspace, shard, shards, wait, argument):
        pair, more, after = (e.fresh_label(hint) for hint in ("pair", "more", "after"))
        e.branch_if(e.compare("==", shards, 2), pair, more)
        e.label(pair)
        _two_party_barrier(e, workspace, shard, wait, argument)
        e.branch(after)
        e.label(more)
        with e.when(e.compare(">", shards, 2, unsigned=True)):
            _counter_barrier(e, workspace, shards, wait, argument)
        e.branch(after)
        e.label(after)
        e.ret()


def _two_party_barrier(e: Emitter, workspace: Ssa, shard: Ssa, wait: Ssa, argument: Ssa) -> None:
    words = [e.address(workspace, offset, BYTE) for offset in abi.PAIR]
    first = e.compare("==", shard, 0)
    own, other = (e.select(first, a, b) for a, b in (words, reversed(words)))
    before = e.atomic_load(own, "relaxed")
    e.atomic_store(_one_more(e, before), own, "release")
    joined = e.fresh_label("joined")
    _wait_for_change(e, other, before, wait, argument, joined)
    e.label(joined)


def _counter_barrier(e: Emitter, workspace: Ssa, shards: Ssa, wait: Ssa, argument: Ssa) -> None:
    arrived = e.address(workspace, abi.ARRIVED, BYTE)
    generation = e.address(workspace, abi.GENERATION, BYTE)
    mine = e.atomic_load(generation, "acquire")
    count = _one_more(e, e.atomic_add(arrived, 1, "acquire_release"))
    last, others, joined = (e.fresh_label(hint) for hint in ("last", "others", "joined"))
    e.branch_if(e.compare("==", count, shards), last, others)
    e.label(last)
    e.atomic_store(e.constant(0, INT32), arrived, "relaxed")
    e.atomic_store(_one_more(e, mine), generation, "release")
    e.branch(joined)
    e.label(others)
    _wait_for_change(e, generation, mine, wait, argument, joined)
    e.label(joined)


def _one_more(e: Emitter, count: Ssa) -> Ssa:
    return e.binary("add", count, e.constant(1, INT32))


def _wait_for_change(e: Emitter, word: Ssa, value: Ssa, wait: Ssa, argument: Ssa, done: str) -> None:
    """Test in a loop until the test succeeds; after each failed test call `wait`, or pause if `wait` is null."""
    test, idle, called, spun = (e.fresh_label(hint) for hint in ("test", "idle", "called", "spun"))
    e.branch(test)
    e.label(test)
    now = e.atomic_load(word, "acquire")
    e.branch_if(e.compare("!=", now, value), done, idle)
    e.label(idle)
    e.branch_if(e.compare("==", wait, e.null()), spun, called)
    e.label(called)
    e.call_pointer(wait, [argument])
    e.branch(test)
    e.label(spun)
    e.pause()
    e.branch(test)


def call(e: Emitter, workspace: Ssa, shard: Ssa, shards: Ssa, wait: Ssa, argument: Ssa) -> None:
    e.call("barrier", [workspace, shard, shards, wait, argument])
