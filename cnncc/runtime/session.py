"""A session: the state for one call at a time, that is a workspace and, with several threads, waiting workers.

Workers are Python threads inside one native loop of the shim, without the GIL. A call begins a new generation. Workers
wait for it in a spin loop of some tens of microseconds, then sleep on a lock that the next caller releases.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Protocol

from .. import abi
from ..alignment import aligned
from ..types import Array
from . import layout
from .shim import shim

BUSY, NOT_STARTED = -2, -3  # status codes of the shim, below those of the ABI
_EXIT_SECONDS = 2.0
_NO_TRIALS = 0xFFFFFFFF
_FIRST_REST = 8  # most calls between the first and the second trials; the number doubles each time

_allocate_lock = ctypes.PYFUNCTYPE(ctypes.c_void_p)(("PyThread_allocate_lock", ctypes.pythonapi))
_free_lock = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(("PyThread_free_lock", ctypes.pythonapi))
_acquire_lock = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)(
    ("PyThread_acquire_lock", ctypes.pythonapi)
)


class Code(Protocol):
    """Anything that keeps native code in memory as long as it exists."""

    def address(self, symbol: str) -> int:
        """The address of a symbol. Raises NativeError if there is none."""


class _Lock:
    """A lock of Python's C interface, initially taken, which native code can wait for and release."""

    def __init__(self) -> None:
        self.address = _allocate_lock()
        _acquire_lock(self.address, 1)
        weakref.finalize(self, _free_lock, self.address).atexit = False


class Session:
    """Workspace, workers and the busy flag that guards them. `owners` are kept as long as native code may run.

    A session that `measures` times some calls with all shards and some with one, and runs the others in the faster way.
    The cost of shards depends on the distance of the cores and on their other work.

    Threads start with the first call that needs them. Every session of a process survives `os.fork`: the child's has
    no workers and nothing running.
    """

    def __init__(
        self,
        run: int,
        fingerprint: int,
        weights: int,
        workspace: Array,
        shards: int,
        owners: tuple[object, ...],
        *,
        measures: bool = False,
    ):
        self._block = aligned(ctypes.sizeof(layout.SessionStruct))
        self._workers = aligned((shards - 1) * ctypes.sizeof(layout.Worker))
        self._workspace, self._owners = workspace, owners
        self._state = layout.SessionStruct.from_buffer(self._block.data)
        self._state.run, self._state.workers = run, self._workers.ctypes.data
        self._state.trials = 0 if measures and shards > 1 else _NO_TRIALS
        self._state.rest = _FIRST_REST
        self._state.call = layout.CallStruct(
            abi=abi.VERSION,
            fingerprint=fingerprint,
            apart=1,
            shards=shards,
            workspace=workspace.ctypes.data,
            weights=weights,
            wait=shim().wait,
        )
        self._next: Session | None = None
        self._threads: list[threading.Thread] = []
        self._starting = threading.Lock()
        seat = layout.WorkerHandle(self.address, None)
        self._stop = shim().function("stop", layout.KeepAlive.of(seat, self._block, self._workers))
        self._finalizer = weakref.finalize(self, _dismiss, self._stop, self._threads)
        _SESSIONS.add(self)

    @property
    def address(self) -> int:
        return int(self._block.ctypes.data)

    @property
    def workspace(self) -> Array:
        return self._workspace

    def execute(self, call: Callable[[], int]) -> int:
        """Run a shim function over a resolved record of this session; start its workers first if it needs them."""
        code = call()
        if code == NOT_STARTED:
            self._start_workers()
            code = call()
        return code

    def precede(self, session: Session) -> None:
        """Send calls that find this session busy to another one, which it keeps."""
        self._next, self._state.next = session, session.address

    def close(self) -> None:
        """Wait for the running call, mark the session as busy for good, and end the workers."""
        if self._finalizer.detach():
            _dismiss(self._stop, self._threads, patience=math.inf)

    def _start_workers(self) -> None:
        with self._starting:
            if self._state.started:
                return
            try:
                for index in range(1, self._state.call.shards):
                    self._threads.append(self._start_worker(index))
            except RuntimeError:  # no more threads: stay busy, so that callers use sessions of one shard
                self.close()
            self._state.started = 1

    def _start_worker(self, index: int) -> threading.Thread:
        lock = _Lock()
        size = ctypes.sizeof(layout.Worker)
        worker = layout.Worker.from_buffer(self._workers.data, (index - 1) * size)
        worker.asleep, worker.shard, worker.lock = 0, index, lock.address
        seat = layout.WorkerHandle(self.address, ctypes.addressof(worker))
        owners = (self._block, self._workers, self._workspace, self._owners, lock)
        work = shim().function("work", layout.KeepAlive.of(seat, *owners))
        here = _processor()

        def begin() -> None:
            _move_away(here, index)
            work()

        thread = threading.Thread(target=begin, name=f"cnncc-worker-{index}", daemon=True)
        thread.start()
        return thread

    def _after_fork(self) -> None:
        """In the child: forget the parent's workers and the call that another thread of the parent was making."""
        self._starting = threading.Lock()
        self._threads.clear()
        state = self._state
        state.busy = 0 if self._finalizer.alive else 1
        state.generation = state.done = state.started = state.stop = 0
        self._workers[:] = 0
        self._workspace[: abi.HEADER_BYTES] = 0


def _processor() -> int | None:
    """The number of the processor that runs this thread; None where the system does not tell."""
    try:
        return int(ctypes.CDLL(None).sched_getcpu())
    except (OSError, AttributeError, TypeError):  # the last one on Windows
        return None


def _move_away(processor: int | None, index: int) -> None:
    """Move this new thread, the worker of this index, to another processor than its parent's, if it may run on others.

    A new thread starts on its parent's processor, and the system may take a tenth of a second to move it if the two
    processors share no cache. The set of processors that it may run on stays as it was.
    """
    if processor is None or not hasattr(os, "sched_setaffinity"):
        return
    with contextlib.suppress(OSError):
        allowed = os.sched_getaffinity(0)
        others = sorted(allowed - {processor})
        if others:
            os.sched_setaffinity(0, {others[(index - 1) % len(others)]})
            os.sched_setaffinity(0, allowed)


_SESSIONS: weakref.WeakSet[Session] = weakref.WeakSet()  # only for the fork below


def _dismiss(stop: Callable[[], int], threads: list[threading.Thread], patience: float = _EXIT_SECONDS) -> None:
    """End a session's workers. At exit the wait is bounded: an endless call of another thread must not block it."""
    deadline = time.monotonic() + patience
    while not stop() and time.monotonic() < deadline:
        time.sleep(0.001)
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join(_EXIT_SECONDS)


def _after_fork_in_child() -> None:
    for session in list(_SESSIONS):
        session._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
