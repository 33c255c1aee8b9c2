"""Models of another architecture, run by an emulator: any number of them in one C program, which runs one of them.

It reads inputs from standard input and writes outputs, both as bytes.
"""

from __future__ import annotations

import dataclasses
import struct
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnncc import abi
from cnncc.compiler import Compilation
from cnncc.runtime import artefacts
from cnncc.runtime.executable import Executable
from cnncc.types import Array

from .support import STRICT, build

_PROGRAM = """\
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
HEADERS
static const struct model {
    const char *name;
    int (*run)(const cnncc_call *);
    int (*check)(void);
    size_t (*workspace_bytes)(uint32_t);
    const void *weights;
    uint32_t fingerprint, images;
} models[] = {
MODELS
};

static const struct model *model;

static void *shard(void *argument)
{
    const cnncc_call *call = argument;
    int code = model->check() ? -1 : model->run(call);
    if (code) {
        fprintf(stderr, "%s: code %d of shard %u\\n", model->name, code, (unsigned)call->shard);
        exit(1);
    }
    return NULL;
}

static void read_all(void *target, size_t size)
{
    if (fread(target, 1, size, stdin) != size)
        exit(2);
}

/* Memory full of NaN, as long as the next number on stdin says. */
static void *buffer(size_t *size)
{
    uint64_t count;
    void *made;
    read_all(&count, sizeof count);
    *size = (size_t)count;
    made = malloc(*size + 1);
    return memset(made, 255, *size);
}

static void run(uint32_t shards)
{
    uint32_t counts[2], i;
    const void *inputs[64];
    void *outputs[256];
    size_t sizes[256], bytes = model->workspace_bytes(shards);
    pthread_t threads[8];
    cnncc_call calls[8];
    unsigned char *workspace = aligned_alloc(64, (bytes + 63) / 64 * 64);
    memset(workspace, 255, bytes);
    memset(workspace, 0, bytes < HEADER_BYTES ? bytes : HEADER_BYTES); /* a target of one shard has less */
    read_all(counts, sizeof counts);
    for (i = 0; i < counts[0]; i++) {
        void *input = buffer(&sizes[i]);
        read_all(input, sizes[i]);
        inputs[i] = input;
    }
    for (i = 0; i < counts[1]; i++)
        outputs[i] = buffer(&sizes[i]);
    for (i = 0; i < shards; i++) {
        cnncc_call call = {CNNCC_ABI, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL};
        call.fingerprint = model->fingerprint;
        call.images = model->images;
        call.shard = i;
        call.shards = shards;
        call.inputs = inputs;
        call.outputs = outputs;
        call.workspace = workspace;
        call.weights = model->weights;
        calls[i] = call;
        pthread_create(&threads[i], NULL, shard, &calls[i]);
    }
    for (i = 0; i < shards; i++)
        pthread_join(threads[i], NULL);
    for (i = 0; i < counts[1]; i++)
        fwrite(outputs[i], 1, sizes[i], stdout);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    model = &models[atoi(argv[1])];
    run((uint32_t)atoi(argv[2]));
    return 0;
}
"""


@dataclass(frozen=True)
class Emulator:
    """A cross compiler with its flags, and the command that runs what it makes.

    Objects of a profile that the compiler's own system is not of lose their attributes by `strip`: a linker would not
    mix them.
    """

    compiler: str
    command: tuple[str, ...]
    flags: tuple[str, ...] = ("-static",)
    strip: tuple[str, ...] = ()

    def without_profile(self, folder: Path, files: Sequence[str]) -> None:
        """Take out the attributes that say "profile M" of objects that are to be linked for profile A."""
        for name in files if self.strip else ():
            subprocess.run([*self.strip, name], cwd=folder, check=True)


EMULATORS = {
    "aarch64": Emulator("aarch64-linux-gnu-gcc", ("qemu-aarch64",)),
    "riscv64": Emulator("riscv64-linux-gnu-gcc", ("qemu-riscv64", "-cpu", "rv64,v=true,vlen=128,vext_spec=v1.0")),
    "riscv64gc": Emulator("riscv64-linux-gnu-gcc", ("qemu-riscv64",)),
    "armv7": Emulator("arm-linux-gnueabihf-gcc", ("qemu-arm",)),
}
CORTEX_M4 = Emulator(
    "arm-linux-gnueabihf-gcc",
    ("qemu-arm",),
    ("-mthumb", "-static"),
    ("arm-linux-gnueabihf-objcopy", "--remove-section=.ARM.attributes"),
)
"""The instructions of a cortex-m4 in a Linux program of the same calling convention."""


EMULATORS_FAULT = b"decode_save_opc: Assertion"
"""What qemu 7.2 says when it fails itself: where a conversion that truncates (vfcvt.rtz) is the first instruction with
a rounding mode in one of its blocks, which depends on where the linker puts the code."""


def emulator_fails(command: Sequence[str | Path]) -> bool:
    return EMULATORS_FAULT in subprocess.run(command, capture_output=True, timeout=300, check=False).stderr


@dataclass(frozen=True)
class Emulated:
    """A program that holds models."""

    executables: tuple[Executable, ...]
    path: Path

    @classmethod
    def of(cls, work: Sequence[Compilation], folder: Path, emulator: Emulator) -> Emulated:
        """Compile the models and link them into one program in `folder`."""
        executables = tuple(_named(compilation, f"m{number}").build() for number, compilation in enumerate(work))
        names = [executable.symbol for executable in executables]
        objects = [name for symbol in names for name in (f"{symbol}.o", f"{symbol}_weights.o")]
        for executable in executables:
            artefacts.write(executable, folder, ["o", "h"])
        emulator.without_profile(folder, objects)
        text = _PROGRAM.replace("HEADERS", "".join(f'#include "{name}.h"\n' for name in names))
        text = text.replace("MODELS", "".join(map(_row, names))).replace("HEADER_BYTES", str(abi.HEADER_BYTES))
        (folder / "main.c").write_text(text)
        flags = "-std=c11", *STRICT, *emulator.flags
        return cls(executables, build(folder, emulator.compiler, *flags, "main.c", *objects, "-pthread"))

    def run(
        self, command: Sequence[str], number: int, feeds: Mapping[str, Array], shards: int = 1
    ) -> dict[str, Array] | None:
        """The outputs of a model; None if the emulator itself fails (see `EMULATORS_FAULT`)."""
        executable = self.executables[number]
        done = subprocess.run(
            [*command, self.path, str(number), str(shards)],
            input=_request(executable, feeds),
            capture_output=True,
            timeout=300,
            check=False,
        )
        if EMULATORS_FAULT in done.stderr:
            return None
        assert (done.returncode, done.stderr) == (0, b""), done.stderr
        return _outputs(executable, done.stdout)


def _named(compilation: Compilation, name: str) -> Compilation:
    return Compilation(dataclasses.replace(compilation.graph, name=name), compilation.options)


def _row(name: str) -> str:
    macro = name.upper()
    functions = ", ".join(f"{name}_{part}" for part in ("run", "check", "workspace_bytes", "weights"))
    return f'    {{"{name}", {functions}, {macro}_FINGERPRINT, {macro}_IMAGES}},\n'


def _request(executable: Executable, feeds: Mapping[str, Array]) -> bytes:
    parts = [struct.pack("<II", len(executable.inputs), len(executable.outputs))]
    for port in executable.inputs:
        data = np.ascontiguousarray(feeds[port.name], port.type.dtype.numpy).tobytes()
        parts += [struct.pack("<Q", len(data)), data]
    parts += [struct.pack("<Q", port.type.nbytes) for port in executable.outputs]
    return b"".join(parts)


def _outputs(executable: Executable, data: bytes) -> dict[str, Array]:
    found, place = {}, 0
    for port in executable.outputs:
        found[port.name] = np.frombuffer(data, port.type.dtype.numpy, port.type.size, place).reshape(port.shape)
        place += port.type.nbytes
    assert place == len(data)
    return found
