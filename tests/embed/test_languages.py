"""The examples in C++, Rust, JavaScript, and Python without llvmlite: built and run as their users would."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cnncc.runtime import artefacts

from .support import CXX11, EXAMPLES, digits_for, needs

EMBED = EXAMPLES / "embed"
KINDS = ("a", "so", "h", "json", "cmake", "pc")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Artefacts in a folder with a blank in its name, and the pictures 0 to 9 as raw bytes."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("in other languages")
    artefacts.write(digits_for("host"), folder, KINDS)
    for number in range(10):
        grey = np.asarray(Image.open(EXAMPLES / "digits" / f"{number}.png"), np.uint8)
        (folder / f"{number}.raw").write_bytes(grey.tobytes())
    (folder / "short.raw").write_bytes(b"123")
    return folder


def expect_digits(folder: Path, *command: str | Path) -> None:
    """The program reads all pictures, and refuses a file that is none."""
    pictures = [folder / f"{number}.raw" for number in range(10)]
    done = subprocess.run([*command, *pictures], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"{path}: {path.stem}" for path in pictures]
    refused = subprocess.run([*command, folder / "short.raw"], capture_output=True, text=True, timeout=300, check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == f"{folder / 'short.raw'}: not a picture of 8 by 8 bytes\n"


def called(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


@needs("c++", "cmake")
def test_cmake(folder: Path) -> None:
    called("cmake", "-S", EMBED / "cpp", "-B", folder / "cpp", f"-Ddigits_DIR={folder}", "-DCMAKE_BUILD_TYPE=Release")
    called("cmake", "--build", folder / "cpp")
    expect_digits(folder, folder / "cpp" / "which")


@needs("c++", "pkg-config")
def test_pkg_config(folder: Path, tmp_path: Path) -> None:
    for name in ("libdigits.a", "digits.h", "digits.pc"):
        shutil.copy(folder / name, tmp_path)
    flags = called("env", f"PKG_CONFIG_PATH={tmp_path}", "pkg-config", "--cflags", "--libs", "digits").split()
    strict = ["-std=c++17", *CXX11[1:]]
    called("c++", *strict, EMBED / "cpp" / "main.cpp", *flags, "-o", tmp_path / "which")
    expect_digits(folder, tmp_path / "which")


@needs("cargo")
def test_rust(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(EMBED / "rust", tmp_path / "rust", ignore=shutil.ignore_patterns("target", "Cargo.lock"))
    manifest = ("--manifest-path", tmp_path / "rust" / "Cargo.toml", "--target-dir", tmp_path / "target")
    called("env", f"DIGITS_DIR={folder}", "cargo", "build", "-q", "--offline", *manifest)
    expect_digits(folder, tmp_path / "target" / "debug" / "which")


@needs("cc")
def test_python_without_llvmlite(folder: Path) -> None:
    """An import of cnncc or llvmlite fails."""
    blocked = "import sys, runpy; sys.modules.update(cnncc=None, llvmlite=None); sys.argv = sys.argv[1:]; "
    run = blocked + f"runpy.run_path({str(EMBED / 'without_llvm.py')!r}, run_name='__main__')"
    expect_digits(folder, sys.executable, "-c", run, "which", folder)


@needs("node")
@pytest.mark.parametrize("target", ["wasm32", "wasm32-simd"])
def test_node(folder: Path, target: str) -> None:
    artefacts.write(digits_for(target), folder / target, ["wasm", "json"])
    expect_digits(folder, "node", EMBED / "node" / "which.mjs", folder / target)


def test_files_for_build_systems_name_no_folder(folder: Path) -> None:
    for name in ("digits.pc", "digits-config.cmake"):
        assert str(folder) not in (folder / name).read_text()
