"""Names of models in C: no two of them share a file, symbol or macro, and none hides what the system has."""

from __future__ import annotations

import dataclasses
import random
import re
import subprocess
from pathlib import Path

import pytest

from cnncc.naming import c_identifier, file_stem, macro_prefix, nearest
from cnncc.runtime import artefacts
from cnncc.runtime.artefacts import KINDS
from cnncc.runtime.header import header
from tests.runtime import toy

from .support import build, needs, needs_cc

SYSTEM = (
    "assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg stdbool "
    "stddef stdint stdio stdlib stdnoreturn string threads time uchar wchar wctype stdbit stdckdint "  # C11, C23
    "aio arpa/inet cpio dirent dlfcn fcntl fmtmsg fnmatch ftw glob grp iconv langinfo libgen monetary mqueue net/if "
    "netdb netinet/in nl_types poll pthread pwd regex sched search semaphore spawn strings stropts sys/mman sys/socket "
    "sys/stat sys/time sys/types sys/wait syslog tar termios ulimit unistd utime utmpx wordexp "  # POSIX
    "alloca argp argz byteswap crypt elf endian envz err error execinfo features fpu_control fts getopt ifaddrs link "
    "malloc mcheck memory mntent obstack paths printf resolv sysexits values"  # glibc
).split()
ONLY_C = ["stdatomic", "tgmath"]
CXX = (
    "algorithm array atomic chrono cmath complex filesystem functional iostream map memory string thread vector".split()
)
NASTY = [
    *("net", "Net", "NET", "nEt", "net_", "_net", "__net", "_Net", "n__et", "net-", "ne-t", "ne_t", "ne.t", "n e t"),
    *("模型", "数字", "é", "e\u0301", "---", "___", "123", "1", "2nd net", "", " ", "\n", "*/", "\\", "??/", "\ud800"),
    *("int", "class", "register", "_Bool", "main", "void", "namespace", "constexpr", "typeof", "asm", "NULL", "EOF"),
    *("linux", "unix", "i386", "e", "E", "sig", "SIG", "INT", "LONG", "errno", "std", "x", "y", "inputs", "call", "I"),
    *("cnncc", "CNNCC", "cnncc_wrong", "cnncc_call", "Cnncc", "crypt", "crypt_gensalt", "CNNCC_OK", "cnncc_manifest"),
    *("a", "a_weights", "a_model", "a_weights_model", "a_run", "a_input", "a_input0", "a_workspace", "a_label", "A_H"),
    *("signal", "Signal", "signal_model", "SIGNAL", "signal_model_model", "signal_weights", "xmmintrin", "m", "c", "z"),
    *("n" * 200, "n" * 201, "N" * 201, "n" * 5000, "é" * 300, "a" * 199 + "_", "png", "zlib", "net_x0123456789abcdef"),
]


def names_of(name: str) -> tuple[str, str, str, str]:
    symbol = c_identifier(name)
    return symbol, macro_prefix(symbol), file_stem(symbol), file_stem(symbol, library=True)


@pytest.mark.parametrize("name", ["digits", "lenet5", "mobilenet_v2_100", "a", "espcn_x3", "model_int", "resnet_18_d"])
def test_small_letters_are_taken_as_they_are(name: str) -> None:
    assert names_of(name) == (name, name.upper(), name, name)


def test_capitals_have_macros_of_their_own() -> None:
    assert [names_of(name)[:3] for name in ("Net", "NET", "nET")] == [
        ("Net", "Net", "Net"),
        ("NET", "net", "NET"),
        ("nET", "nET", "nET"),
    ]


def random_names() -> set[str]:
    chance = random.Random(0)
    parts = [
        "a",
        "b",
        "A",
        "B",
        "_",
        "__",
        "1",
        "-",
        ".",
        " ",
        "é",
        "模",
        "\u0301",
        "\n",
        "/",
        "x",
        "X",
        "0" * 16,
        "\0",
    ]
    parts += ["_model", "_weights", "_MODEL", "signal", "Signal", "m", "cnncc", "_x0123456789abcdef", "int", "n" * 90]
    return {"".join(chance.choices(parts, k=chance.randint(0, 8))) for _ in range(40_000)} | set(NASTY)


def test_different_names_have_different_everything() -> None:
    names = random_names()
    assert len(names) > 25_000
    for kind in zip(*map(names_of, names), strict=True):
        assert len(set(kind)) == len(names)
    for name in names:
        symbol, macro, stem, library = names_of(name)
        for text in (symbol, macro):
            assert re.fullmatch(r"[A-Za-z](_?[A-Za-z0-9])*", text), name
        assert all(len(file) <= 255 for file in (f"{stem}_weights.o", f"lib{library}.a")), name
        assert c_identifier(nearest(name)) == nearest(name)


def test_different_names_share_no_file() -> None:
    files: dict[str, str] = {}
    for name in sorted(random_names())[::4]:
        for file in artefacts._file_names(c_identifier(name), list(KINDS)).values():
            assert files.setdefault(file, name) == name


def program(symbols: list[str], headers: list[str]) -> str:
    """Every header of the system and of the models in one file, which knows each model's size by its place."""
    lines = ["#include <stddef.h>"]
    for name in headers:
        lines += [f"#if __has_include(<{name}>)", f"#include <{name}>", "#endif"]
    lines += [f'#include "{file_stem(symbol)}.h"' for symbol in symbols]
    lines += ["int main(void)", "{", "    signal(SIGINT, SIG_DFL);", "    if (INT_MAX < 3 || sqrt(4.0) != 2) return 1;"]
    for place, symbol in enumerate(symbols):
        lines.append(f"    if ({macro_prefix(symbol)}_INPUT_SIZE != {place + 1} || {symbol}_check() != 0) return 2;")
    return "\n".join([*lines, "    return 0;", "}", ""])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a folder of each nasty name, and the headers of models that are called as the system's are."""
    folder = tmp_path_factory.mktemp("models")
    for place, name in enumerate(NASTY):
        executable = dataclasses.replace(toy.executable(place + 1, name=c_identifier(name)), name=name)
        artefacts.write(executable, folder / str(place), ("a", "h"))
    plain = toy.executable()
    for name in (*SYSTEM, *ONLY_C):
        named = dataclasses.replace(plain, name=name, symbol=c_identifier(name))
        (folder / "headers").mkdir(exist_ok=True)
        (folder / "headers" / f"{file_stem(named.symbol)}.h").write_text(header(named))
    return folder


@needs_cc
@pytest.mark.parametrize("language", ["c11", pytest.param("c++17", marks=needs("c++"))])
def test_all_headers_in_one_program(models: Path, language: str) -> None:
    is_c = language == "c11"
    headers = [f"{name}.h" for name in SYSTEM + ONLY_C * is_c] + ([] if is_c else CXX)
    (models / f"{language}.c").write_text(program([c_identifier(name) for name in NASTY], headers))
    folders = (*(f"-I{place}" for place in range(len(NASTY))), "-Iheaders")
    flags = (f"-std={language}", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", *folders)
    parts = ("-x", "c" if is_c else "c++", f"{language}.c", "-x", "none", *map(str, models.glob("*/lib*.a")), "-lm")
    ran = subprocess.run([build(models, "cc" if is_c else "c++", *flags, *parts, output=language)], check=False)
    assert ran.returncode == 0
