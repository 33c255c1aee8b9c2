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
from .emitter import Emitter, Ssa


def emit(e: Emitter) -> None:
    parameters = [("ptr", "workspace"), ("i32", "shard"), ("i32", "shards"), ("ptr", "wait"), ("ptr", "argument")]
    with e.function("void", "@barrier", parameters, "internal") as (workspace, shard, shards, wait, argument):
        pair, more, after = (e.fresh_label(hint) for hint in ("pair", "more", "after"))
        e.branch_if(e.compare("eq", shards, 2), pair, more)
        e.label(pair)
        _meet_one(e, workspace, shard, wait, argument)
        e.branch(after)
        e.label(more)
        with e.when(e.compare("ugt", shards, 2)):
            _meet_all(e, workspace, shards, wait, argument)
        e.branch(after)
        e.label(after)
        e.ret()


def _meet_one(e: Emitter, workspace: Ssa, shard: Ssa, wait: Ssa, argument: Ssa) -> None:
    words = [e.address(workspace, offset, "i8") for offset in abi.PAIR]
    first = e.compare("eq", shard, 0)
    own, other = (e.assign("ptr", f"select i1 {first}, ptr {a}, ptr {b}") for a, b in (words, reversed(words)))
    before = e.assign("i32", f"load atomic i32, ptr {own} monotonic, align 4")
    after = e.assign("i32", f"add i32 {before}, 1")
    e.emit(f"store atomic i32 {after}, ptr {own} release, align 4")
    joined = e.fresh_label("joined")
    _wait_for_change(e, other, before, wait, argument, joined)
    e.label(joined)


def _meet_all(e: Emitter, workspace: Ssa, shards: Ssa, wait: Ssa, argument: Ssa) -> None:
    arrived = e.address(workspace, abi.ARRIVED, "i8")
    generation = e.address(workspace, abi.GENERATION, "i8")
    mine = e.assign("i32", f"load atomic i32, ptr {generation} acquire, align 4")
    before = e.assign("i32", f"atomicrmw add ptr {arrived}, i32 1 acq_rel, align 4")
    count = e.assign("i32", f"add i32 {before}, 1")
    last, others, joined = (e.fresh_label(hint) for hint in ("last", "others", "joined"))
    e.branch_if(e.compare("eq", count, shards), last, others)
    e.label(last)
    e.emit(f"store atomic i32 0, ptr {arrived} monotonic, align 4")
    following = e.assign("i32", f"add i32 {mine}, 1")
    e.emit(f"store atomic i32 {following}, ptr {generation} release, align 4")
    e.branch(joined)
    e.label(others)
    _wait_for_change(e, generation, mine, wait, argument, joined)
    e.label(joined)


def _wait_for_change(e: Emitter, word: Ssa, value: Ssa, wait: Ssa, argument: Ssa, done: str) -> None:
    """Test, and until the test succeeds call `wait` (or pause, if there is none)."""
    test, idle, called, spun = (e.fresh_label(hint) for hint in ("test", "idle", "called", "spun"))
    e.branch(test)
    e.label(test)
    now = e.assign("i32", f"load atomic i32, ptr {word} acquire, align 4")
    e.branch_if(e.compare("ne", now, value), done, idle)
    e.label(idle)
    e.branch_if(e.compare("eq", wait, Ssa("ptr", "null")), spun, called)
    e.label(called)
    e.emit(f"call void {wait}(ptr {argument})")
    e.branch(test)
    e.label(spun)
    pause(e)
    e.branch(test)


def pause(e: Emitter) -> None:
    """Tell the core that this is a spin loop."""
    hint = e.target.isa.pause
    if hint is not None:
        e.declare(f"@{hint.intrinsic}", hint.declaration)
        e.emit(hint.call)


def call(e: Emitter, workspace: Ssa, shard: Ssa, shards: Ssa, wait: Ssa, argument: Ssa) -> None:
    e.emit(f"call void @barrier(ptr {workspace}, i32 {shard}, i32 {shards}, ptr {wait}, ptr {argument})")
