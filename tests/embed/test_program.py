"""The C example: built by a plain compiler in every way of linking, and right about every picture."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cnncc.objects.elf import global_symbols
from cnncc.ops import Add, Relu
from cnncc.runtime import artefacts
from tests.graphs import Net, compilation

from .support import C99, CXX11, OBJECTS, build, classes, digits_for, needs, needs_cc

DIGITS = list("0123456789")
FUNCTIONS = ["digits_check", "digits_run", "digits_workspace_bytes"]
LINKED = {"objects": OBJECTS, "archive": ("libdigits.a",), "library": ("./digits.so", "-Wl,-rpath,$ORIGIN")}
needs_cxx = needs("c++")


@needs_cc
@pytest.mark.parametrize("linked", LINKED)
@pytest.mark.parametrize("language", ["c", pytest.param("c++", marks=needs_cxx)])
def test_every_picture(host_folder: Path, pictures: list[Path], linked: str, language: str) -> None:
    compiler, flags = ("cc", C99) if language == "c" else ("c++", CXX11)
    program = f"digits-{linked}-{compiler}"
    build(host_folder, compiler, *flags, "-x", language, "digits.c", "-x", "none", *LINKED[linked], output=program)
    assert classes([host_folder / program], pictures) == DIGITS


@needs_cc
def test_pictures_that_are_none(host_folder: Path, tmp_path: Path) -> None:
    program = build(host_folder, "cc", *C99, "digits.c", *OBJECTS)
    cases = {
        b"": "not a binary PGM file",
        b"P2 8 8 255 ": "not a binary PGM file",
        b"P5 8 9 255 ": "not a picture of 8 by 8 pixels",
        b"P5 8 8 65535 ": "not a picture of one byte a pixel",
        b"P5 8 8 255 " + bytes(63): "the file is cut short",
        b"P5 # never ends": "not a picture of 8 by 8 pixels",
    }
    for data, reason in cases.items():
        path = tmp_path / "picture.pgm"
        path.write_bytes(data)
        done = subprocess.run([program, path], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{path}: {reason}\n")


@needs_cc
def test_comments_in_a_picture(host_folder: Path, pictures: list[Path], tmp_path: Path) -> None:
    pixels = pictures[7].read_bytes()[-64:]
    (tmp_path / "7.pgm").write_bytes(b"P5\n# a comment\n8 # and another\n\t8\n255\n" + pixels)
    program = build(host_folder, "cc", *C99, "digits.c", *OBJECTS)
    assert classes([program], [tmp_path / "7.pgm"]) == ["7"]


def test_the_code_object_is_pure(host_folder: Path) -> None:
    code = global_symbols((host_folder / "digits.o").read_bytes())
    assert sorted(symbol.name for symbol in code) == FUNCTIONS and all(symbol.defined for symbol in code)
    weights = global_symbols((host_folder / "digits_weights.o").read_bytes())
    assert [(symbol.name, symbol.defined) for symbol in weights] == [("digits_weights", True)]


@needs("cc", "nm")
def test_nm_says_so_too(host_folder: Path) -> None:
    def listed(*arguments: str) -> list[str]:
        done = subprocess.run(["nm", *arguments], cwd=host_folder, capture_output=True, text=True, check=True)
        return sorted(line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if line[:1].isalnum())

    assert listed("-g", "digits.o") == [f"T {name}" for name in FUNCTIONS]
    assert listed("-g", "digits_weights.o") == ["R digits_weights"]
    assert listed("-D", "digits.so") == ["R cnncc_manifest", "R digits_weights", *(f"T {name}" for name in FUNCTIONS)]


@needs("objdump")
def test_code_has_no_writable_data(host_folder: Path) -> None:
    for name in OBJECTS:
        done = subprocess.run(["objdump", "-h", name], cwd=host_folder, capture_output=True, text=True, check=True)
        sections = {words[1]: int(words[2], 16) for line in done.stdout.splitlines() if len(words := line.split()) == 7}
        assert sections.get(".data", 0) == sections.get(".bss", 0) == 0, (name, sections)


TWO_MODELS = """
#include <stdint.h>
#include <stdio.h>
#include "digits.h"
#include "net.h"

enum { LARGER = (int)DIGITS_WORKSPACE_BYTES > (int)NET_WORKSPACE_BYTES ? DIGITS_WORKSPACE_BYTES : NET_WORKSPACE_BYTES };
static unsigned char memory[LARGER + 63]; /* of both: their calls do not overlap */

int main(void)
{
    static float x[DIGITS_INPUT_SIZE], y[DIGITS_OUTPUT_SIZE], a[NET_INPUT0_SIZE], b[NET_INPUT1_SIZE];
    float low[NET_OUTPUT0_SIZE], high[NET_OUTPUT1_SIZE];
    unsigned char *workspace = memory + (64 - (uintptr_t)memory % 64) % 64;
    int i;
    a[0] = -1.0f, b[0] = -2.0f, a[1] = 1.0f, b[1] = 2.0f;
    for (i = 0; i < 3; i++) {
        if (digits_infer(x, y, workspace) != CNNCC_OK) return 1;
        if (net_infer(a, b, low, high, workspace) != CNNCC_OK) return 2;
    }
    printf("%g %g %g %g", low[0], low[1], high[0], high[1]);
    return 0;
}
"""


@needs_cc
@pytest.mark.parametrize("language", ["c", pytest.param("c++", marks=needs_cxx)])
def test_several_models_in_one_program(tmp_path: Path, language: str) -> None:
    net = Net()
    a, b = net.input(1, 2, name="a"), net.input(1, 2, name="b")
    total = net.apply(Add(), a, b)
    graph = net.graph(total, net.apply(Relu(), total))
    for executable in (digits_for("host"), compilation(graph).build()):
        artefacts.write(executable, tmp_path, ("a", "h"))
    (tmp_path / "main.c").write_text(TWO_MODELS)
    compiler, flags = ("cc", C99) if language == "c" else ("c++", CXX11)
    libraries = ("-x", "none", "libdigits.a", "libnet.a")
    program = build(tmp_path, compiler, *flags, "-x", language, "main.c", *libraries, output="main")
    done = subprocess.run([program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "-3 3 0 3")


THREADS = """
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "digits.h"

enum { SHARDS = 2, CALLS = 300 };
static _Alignas(64) unsigned char memory[1 << 18], alone[1 << 18];
static float x[DIGITS_INPUT_SIZE], y[DIGITS_OUTPUT_SIZE], wanted[DIGITS_OUTPUT_SIZE];
static const void *inputs[] = {x};
static void *outputs[] = {y};
static pthread_barrier_t barrier;
static int wrong;

static void next_call(int number)
{
    int i;
    if (number > 0)
        wrong += memcmp(y, wanted, sizeof y) != 0;
    for (i = 0; i < DIGITS_INPUT_SIZE; i++)
        x[i] = (float)((i * 37 + number) % 101) / 101;
    wrong += digits_infer(x, wanted, alone) != CNNCC_OK;
}

static void *loop(void *shard)
{
    cnncc_call call = {.abi = CNNCC_ABI, .fingerprint = DIGITS_FINGERPRINT, .images = 1, .shards = SHARDS};
    int number, code = 0;
    call.shard = *(uint32_t *)shard;
    call.inputs = inputs;
    call.outputs = outputs;
    call.workspace = memory;
    call.weights = digits_weights;
    for (number = 0; number < CALLS; number++) {
        if (call.shard == 0) /* the shards of the call before are done, since this one has returned */
            next_call(number);
        pthread_barrier_wait(&barrier);
        code |= digits_run(&call);
    }
    return code == 0 ? NULL : shard;
}

int main(void)
{
    uint32_t shards[SHARDS] = {0, 1};
    pthread_t other;
    void *failed = NULL;
    if (digits_workspace_bytes(SHARDS) > sizeof memory || pthread_barrier_init(&barrier, NULL, SHARDS) != 0) return 1;
    if (pthread_create(&other, NULL, loop, &shards[1]) != 0) return 2;
    if (loop(&shards[0]) != NULL || pthread_join(other, &failed) != 0 || failed != NULL) return 3;
    printf("%d", wrong);
    return 0;
}
"""


@needs_cc
def test_threads_that_wait_for_the_inputs_alone(host_folder: Path) -> None:
    """Two threads, and the same bits as one in each of many calls."""
    (host_folder / "threads.c").write_text(THREADS)
    program = build(host_folder, "cc", "-std=c11", "-O2", "-pthread", "threads.c", "libdigits.a", output="threads")
    done = subprocess.run([program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "0")
