"""Several shards, several callers, forks and ends of processes: nothing hangs and every result is right."""

from __future__ import annotations

import ctypes
import gc
import os
import random
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cnncc.errors import NativeError
from cnncc.native import emit_object, host_target
from cnncc.runtime import layout, shim
from cnncc.runtime.model import Model
from cnncc.runtime.session import Session
from cnncc.runtime.shim_processors import IMPORTS
from cnncc.runtime.shim_text import shim_text

from . import toy

SIZE = 37  # no multiple of anything, so that shards differ


def together(*functions: Callable[[], None]) -> None:
    """Run all at once; the first error of any is raised."""
    errors: list[BaseException] = []

    def guarded(function: Callable[[], None]) -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive(), "a call hangs"
    if errors:
        raise errors[0]


def caller(model: Model, calls: int, seed: int) -> Callable[[], None]:
    """Calls the model with images of its own and checks every answer."""

    def run() -> None:
        for k in range(calls):
            x = toy.images(1 + k % 3, SIZE, seed * calls + k)
            np.testing.assert_array_equal(model(x), toy.expected(x))

    return run


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_same_bits_for_every_number_of_threads(threads: int) -> None:
    with Model(toy.executable(SIZE), threads=threads) as model:
        assert model.threads == threads
        caller(model, 200, 1)()


def test_threads_are_limited_by_the_code() -> None:
    with Model(toy.executable(SIZE), threads=100) as model:
        assert model.threads == 8
        caller(model, 3, 1)()


@pytest.mark.parametrize("threads", [2, 3])
def test_thousands_of_calls_and_sleeps(threads: int) -> None:
    chance = random.Random(threads)
    x, y = toy.images(1, SIZE), np.zeros((1, SIZE), np.float32)
    with Model(toy.executable(SIZE), threads=threads) as model:
        bound = model.bind(x, y)
        for k in range(3000):
            x[0, k % SIZE] = k
            bound()
            assert y[0, SIZE - 1 - k % SIZE] == 2 * k + toy.WEIGHT
            if k % 10 == 0:
                time.sleep(chance.choice((0, 2e-5, 1e-4, 1e-3)))  # workers spin, are about to sleep, sleep
        np.testing.assert_array_equal(y, toy.expected(x))


@pytest.mark.parametrize("threads", [1, 2])
def test_one_model_in_four_threads(threads: int) -> None:
    with Model(toy.executable(SIZE), threads=threads) as model:
        together(*(caller(model, 300, seed) for seed in range(4)))
        assert len(model._sessions) <= 4


@pytest.mark.parametrize("taken", [1, 2, 3])
def test_calls_of_a_busy_model_stay_native(taken: int, request: pytest.FixtureRequest) -> None:
    """Only the first one that finds all sessions busy goes through Python, which makes another session."""
    x, y = toy.images(2, SIZE), np.zeros((2, SIZE), np.float32)
    with Model(toy.executable(SIZE)) as model:
        bound = model.bind(x, y)
        for count in range(1, taken + 1):
            model._sessions[-1]._state.busy = 1
            np.testing.assert_array_equal(model(x), toy.expected(x))
            assert len(model._sessions) == count + 1
        request.getfixturevalue("only_native")
        np.testing.assert_array_equal(model(x), toy.expected(x))
        np.testing.assert_array_equal(bound(), toy.expected(x))
        assert len(model._sessions) == taken + 1
        for session in model._sessions:
            session._state.busy = 0


def test_sessions_that_are_made_at_the_same_time_are_all_reached() -> None:
    with Model(toy.executable(SIZE)) as model:
        barrier = threading.Barrier(4)

        def keep() -> None:
            spare = model._new_session(1)
            barrier.wait()
            model._keep(spare)

        together(*[keep] * 4)
        reached = [model._session.address]
        while following := layout.SessionStruct.from_address(reached[-1]).next:
            reached.append(following)
        assert reached == [session.address for session in model._sessions]
        assert len(set(reached)) == 5


def test_two_models_in_two_threads() -> None:
    with Model(toy.executable(SIZE), threads=2) as one, Model(toy.executable(SIZE, name="other"), threads=2) as other:
        together(caller(one, 300, 1), caller(other, 300, 2))


def test_a_bound_call_in_two_threads(model: Model) -> None:
    x = toy.images()
    bound = model.bind(x)

    def run() -> None:
        for _ in range(2000):
            bound()

    together(run, run)
    np.testing.assert_array_equal(bound(), toy.expected(x))


def test_workers_end_with_their_model() -> None:
    before = threading.active_count()
    model = Model(toy.executable(SIZE), threads=3)
    assert threading.active_count() == before  # they start with the first call
    caller(model, 3, 1)()
    assert threading.active_count() == before + 2
    del model
    gc.collect()
    assert threading.active_count() == before


def test_a_spare_session_is_closed_too() -> None:
    model, x = Model(toy.executable(SIZE)), toy.images(1, SIZE)
    model._keep(model._new_session(1))
    model.close()
    model._keep(model._new_session(1))
    for call in (model, model._call):
        with pytest.raises(NativeError, match="has been closed"):
            call(x)


def test_closing_while_others_call() -> None:
    model = Model(toy.executable(SIZE), threads=2)
    started = threading.Barrier(2)

    def call_until_closed() -> None:
        started.wait()
        with pytest.raises(Exception, match="has been closed"):
            while True:
                model(toy.images(1, SIZE))

    def close() -> None:
        started.wait()
        time.sleep(0.02)
        model.close()

    together(call_until_closed, close)


def test_without_workers_one_thread_does_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Session, index: int) -> threading.Thread:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Session, "_start_worker", refuse)
    caller(Model(toy.executable(SIZE), threads=2), 5, 1)()


@pytest.mark.parametrize("threads", [1, 2])
def test_fork(threads: int) -> None:
    with Model(toy.executable(SIZE), threads=threads) as model:
        x = toy.images(1, SIZE)
        bound = model.bind(x)
        bound()
        stop = threading.Event()
        busy = threading.Thread(target=lambda: [model(x) for _ in iter(stop.is_set, True)])
        busy.start()  # so that the model is mostly running at the time of the fork
        try:
            for _ in range(10):
                assert _ended_well(
                    _forked(lambda: all(np.array_equal(y, toy.expected(x)) for y in (bound(), model(x))))
                )
        finally:
            stop.set()
            busy.join()
        np.testing.assert_array_equal(model(x), toy.expected(x))


def test_a_closed_model_is_closed_in_a_child() -> None:
    model = Model(toy.executable(SIZE), threads=2)
    x = toy.images(1, SIZE)
    model(x)
    model.close()

    def refused() -> bool:
        with pytest.raises(Exception, match="has been closed"):
            model(x)
        return True

    assert _ended_well(_forked(refused))


@pytest.mark.parametrize("ending", ["", "sys.exit(0)", "m.close()", "os.fork() or os._exit(0); os.wait()"])
def test_a_process_with_parked_workers_ends(ending: str) -> None:
    script = (
        "import os, sys; from tests.runtime import toy; from cnncc.runtime.model import Model\n"
        "m = Model(toy.executable(), threads=3); x = toy.images(); assert (m(x) == toy.expected(x)).all()\n"
        f"{ending}\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], cwd=root, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def _forked(check: Callable[[], bool]) -> int:
    """A child process that ends with 0 if `check` is true."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of any fork with threads
        child = os.fork()
    if child == 0:
        try:
            os._exit(0 if check() else 1)
        finally:
            os._exit(2)
    return child


def _ended_well(child: int) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status == 0
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return False


# How many of its shards a session uses


def measuring(delays: Sequence[int]) -> tuple[Model, list[int]]:
    """A model that chooses between one shard and two, which take so many milliseconds; and the shards of each call."""
    model = Model(replace(toy.executable(SIZE), sharing="cost"), threads=2)
    calls: list[int] = []

    def run(pointer: int) -> int:
        call = layout.CallStruct.from_address(pointer)
        if call.shard == 0:
            calls.append(call.shards)
            time.sleep(delays[call.shards - 1] / 1000)
        return 0

    function = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)(run)
    model._session._state.run = ctypes.cast(function, ctypes.c_void_p).value
    model._session._owners = (*model._session._owners, function)
    return model, calls


@pytest.mark.parametrize(("delays", "faster"), [((1, 4), 1), ((4, 1), 2)])
def test_the_faster_number_of_shards_is_measured(delays: tuple[int, int], faster: int) -> None:
    model, calls = measuring(delays)
    with model:
        for _ in range(30):
            model(toy.images(1, SIZE, 0))
    assert sorted(set(calls[:12])) == [1, 2]
    assert set(calls[13:20]) == {faster}


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinities on this system")
def test_workers_may_run_where_their_caller_may() -> None:
    with Model(toy.executable(SIZE), threads=3) as model:
        model(toy.images(1, SIZE, 0))
        deadline = time.monotonic() + 10
        for worker in model._session._threads:
            assert worker.native_id is not None
            while os.sched_getaffinity(worker.native_id) != os.sched_getaffinity(0):  # it is just being moved
                assert time.monotonic() < deadline


def test_workers_leave_the_processor_of_their_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time in a row that both run on one, here always number 1 of 0 to 2; then they may go back."""
    chosen: list[int] = []

    def told(thread: int, size: int, processors: int) -> int:
        ctypes.memset(processors, 0, size)
        ctypes.memset(processors, 0b111, 1)
        return 0

    def choose(thread: int, size: int, processors: int) -> int:
        chosen.append(int.from_bytes(ctypes.string_at(processors, size), "little"))
        return 0

    of_set = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_size_t, ctypes.c_void_p)
    functions = [ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 1), of_set(told), of_set(choose)]
    addresses = {name: shim._address(function) for name, function in zip(IMPORTS, functions, strict=True)}
    monkeypatch.setattr(shim, "_of_processors", lambda: addresses)
    shim.shim.cache_clear()
    try:
        with Model(toy.executable(SIZE), threads=2) as model:
            for _ in range(5):
                model(toy.images(1, SIZE, 0))
    finally:
        shim.shim.cache_clear()
    assert chosen == [0b101, 0b111] * 2


def test_shims_of_systems_that_know_no_processors() -> None:
    """Workers stay where they are: the functions are the shim's own."""
    text = shim_text(host_target().isa, knows_processors=False)
    assert "declare i32 @sched_getcpu" not in text
    assert emit_object(text, host_target())


def test_a_bad_beginning_is_soon_forgotten() -> None:
    """Threads that begin on one processor are slow for some milliseconds, and the first trials say so."""
    delays = [1, 4]
    model, calls = measuring(delays)
    with model:
        for _ in range(12 + 8):
            model(toy.images(1, SIZE, 0))
        assert calls[13:] == [1] * 7
        delays[1] = 0
        for _ in range(12 + 8):
            model(toy.images(1, SIZE, 0))
    assert calls[-7:] == [2] * 7


def test_what_is_measured_is_measured_again() -> None:
    model, calls = measuring((0, 20))
    with model:
        for _ in range(13):
            model(toy.images(1, SIZE, 0))
        model._session._state.trials = 1
        for _ in range(3):
            model(toy.images(1, SIZE, 0))
    assert calls[-3:] == [1, 2, 2]


@pytest.mark.parametrize(
    ("one", "all_shards", "total", "rest"),
    [
        (1140, 1290, 12 * 1140 + 6 * 150, 101),  # they lost 0.8 calls: 128 times as many
        (1140, 720, 12 * 720 + 6 * 420, 448),
        (1140, 11400, 12 * 1140 + 6 * 10260, 512),  # 6,912, and at most `rest`
        (1000, 1000, 12 * 1000, 8),
        (0, 0, 0, 8),  # a clock that stands still
        (1000, 2**64 - 1, 6 * 1000, 8),  # no call with all shards was measured
    ],
)
def test_trials_cost_one_of_128_calls(one: int, all_shards: int, total: int, rest: int) -> None:
    model, calls = measuring((0, 0))
    with model:
        for _ in range(13):
            model(toy.images(1, SIZE, 0))
        state = model._session._state
        state.ticks_of_one, state.ticks_of_all, state.ticks_of_trials = one, all_shards, total
        state.trials, state.rest = 2001, 512  # the first call after the trials
        model(toy.images(1, SIZE, 0))
        assert (state.trials, state.rest) == (rest, 1024)
    assert calls[-1] == (1 if all_shards >= one * 0.97 else 2)


def test_bits_do_not_depend_on_the_number_that_was_chosen() -> None:
    with Model(replace(toy.executable(SIZE), sharing="cost"), threads=3) as model:
        caller(model, 100, 1)()
