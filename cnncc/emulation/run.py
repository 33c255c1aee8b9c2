"""Running a program under an emulator."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import NativeError, TargetError
from ..machine.target import Target
from ..native import host_target
from ..runtime.arrays import checked_inputs, fresh_outputs, ordered_inputs
from ..runtime.executable import Executable
from ..types import Array
from .emulators import emulators_for
from .hosts import ANSWER
from .module import ModuleProgram
from .program import Answer, Program

_SECONDS = 3600


def emulate(executable: Executable, feeds: Mapping[str, Array], runs: int = 1, plugin: Sequence[str] = ()) -> Answer:
    """Run an object `runs` times on the same inputs and workspace; `plugin` are further words for the emulator.

    States go on from run to run.

    Raises InputError for feeds that do not fit, TargetError where nothing here can run it, NativeError for an object
    that cannot be linked, and for a run that fails, with the reason.
    """
    inputs, images = checked_inputs(executable, ordered_inputs(executable, [feeds]))
    if not images:
        return Answer((tuple(fresh_outputs(executable, 0)),) * runs, 0, emulators_for(executable.target)[0].told)
    program = fitting(executable, inputs, images, runs)
    words = program.emulator.words
    return program.answer(output(program.file, [*words[:1], *plugin, *words[1:]], executable.name))


def holding(executable: Executable, states: Mapping[str, Array]) -> Executable:
    """An executable whose states are these before the first call."""
    block = bytearray(executable.state_bytes)
    for port in executable.states:
        data = np.ascontiguousarray(states[port.name], port.type.dtype.numpy).tobytes()
        block[port.offset : port.offset + len(data)] = data
    return replace(executable, initial_state=bytes(block))


def is_foreign(target: Target) -> bool:
    """Whether processes of this machine cannot load code for a target."""
    host = host_target()
    return (target.architecture, target.object_format) != (host.architecture, host.object_format)


def fitting(executable: Executable, inputs: Sequence[Array], images: int, runs: int = 1) -> Program:
    """The program for the first emulator whose memory holds it. Raises TargetError where none does."""
    emulators = emulators_for(executable.target)
    for emulator in emulators:
        form = ModuleProgram if executable.target.object_format == "wasm" else Program
        program = form(executable, emulator, inputs, images, runs)
        if program.bytes <= emulator.most:
            return program
    raise TargetError(
        f"model '{executable.name}' takes {program.bytes:,} bytes with all that is compared, "
        f"and {emulator.told} has {emulator.most:,}"
    )


def output(file: bytes, command: Sequence[str], name: str) -> bytes:
    """What a program, given as the bytes of its file, writes: to its standard output, or into a file.

    Raises TargetError where the command cannot run it, NativeError where the program does not end well.
    """
    with tempfile.TemporaryDirectory() as folder:
        path, answer = Path(folder) / "program", Path(folder) / ANSWER
        path.write_bytes(file)
        path.chmod(0o700)
        try:
            with answer.open("wb") as stream:
                done = subprocess.run(
                    [*command, str(path)],
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.PIPE,
                    timeout=_SECONDS,
                    check=False,
                )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise TargetError(f"'{command[0]}' cannot run model '{name}': {error}") from error
        if done.returncode:
            raise NativeError(_end(done.returncode, done.stderr.decode(errors="replace"), name))
        return answer.read_bytes()


def _end(code: int, complaint: str, name: str) -> str:
    lines = [line for line in complaint.strip().splitlines() if line]
    how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
    return f"model '{name}': the emulated program ended {how}" + (f": {lines[-1]}" if lines else "")
