"""The barrier between dependent steps, in words at the head of the workspace.

Two shards meet with one message each way, which cross: each adds one to a word of its own, in a cache line of its own,
and waits until the other's word is no longer behind. (The other may already be one ahead, on its way to the next
barrier, but not two.) Both words are equal after every call.

More shards count: the last to arrive resets the counter and advances the generation; the others wait for it to change.

All words start as zero and only grow, the counter apart, so no call has to initialise them, and a call with another
number of shards may follow.
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
        _meet_one(e, workspace, shard, wait, argument)
        e.branch(after)
        e.label(more)
        with e.when(e.compare(">", shards, 2, unsigned=True)):
            _meet_all(e, workspace, shards, wait, argument)
        e.branch(after)
        e.label(after)
        e.ret()


def _meet_one(e: Emitter, workspace: Ssa, shard: Ssa, wait: Ssa, argument: Ssa) -> None:
    words = [e.address(workspace, offset, BYTE) for offset in abi.PAIR]
    first = e.compare("==", shard, 0)
    own, other = (e.select(first, a, b) for a, b in (words, reversed(words)))
    before = e.atomic_load(own, "relaxed")
    e.atomic_store(_one_more(e, before), own, "release")
    joined = e.fresh_label("joined")
    _wait_for_change(e, other, before, wait, argument, joined)
    e.label(joined)


def _meet_all(e: Emitter, workspace: Ssa, shards: Ssa, wait: Ssa, argument: Ssa) -> None:
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
    """Test, and until the test succeeds call `wait` (or pause, if there is none)."""
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
