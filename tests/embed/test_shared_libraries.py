"""Shared libraries of other systems: what they export, that they ask for nothing, and that programs run with them.

Each is linked by the system's cross compiler and by that of the package ziglang, where these are installed.
"""

from __future__ import annotations

import filecmp
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cnncc.machine.target import TARGETS
from cnncc.objects.coff_import import import_library
from cnncc.runtime import artefacts

from .support import C99, build, classes, digits_for, needs, write_digits
from .test_toolchains import DIGITS, MAIN, WINE

EXPORTED = ["cnncc_manifest", "digits_check", "digits_run", "digits_weights", "digits_workspace_bytes"]
HEAD_OF_MACHO = ["__mh_dylib_header", "___dso_handle"]  # ziglang's linker exports its names for it, too
OF_LOADER = "dyld_stub_binder"  # a name of the loader, which that linker asks for whether there are stubs or not
ZIG = pytest.mark.skipif(importlib.util.find_spec("ziglang") is None, reason="not installed: ziglang")
RUN = {  # a compiler of a whole system, and what runs its programs
    "aarch64": ("aarch64-linux-gnu-gcc", "qemu-aarch64", "/usr/aarch64-linux-gnu"),
    "armv7": ("arm-linux-gnueabihf-gcc", "qemu-arm", "/usr/arm-linux-gnueabihf"),
    "riscv64gc": ("riscv64-linux-gnu-gcc", "qemu-riscv64", "/usr/riscv64-linux-gnu"),
}


def linked(target: str, tool: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The digits network's shared library, by that compiler."""
    with monkeypatch.context() as patch:
        patch.delenv("CC", raising=False)
        if tool == "zig":
            patch.setenv("PATH", str(folder))  # no other is found
        write_digits(folder, target, ("h", TARGETS[target].shared_library))
    return folder / f"digits.{TARGETS[target].shared_library}"


def said(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def exported(library: Path) -> list[str]:
    """What LLVM's readers find, after they have seen that nothing is imported."""
    if library.suffix == ".so":
        lines = [line.split() for line in said("llvm-nm", "-D", library).splitlines()]
        assert all(len(words) == 3 and words[1] in "TR" for words in lines)
        return sorted(words[2] for words in lines)
    if library.suffix == ".dll":
        text = said("llvm-readobj", "--coff-exports", "--coff-imports", "--file-headers", library)
        assert "Import {" not in text and "AddressOfEntryPoint: 0x0\n" in text
        return sorted(re.findall(r"Name: (\S+)", text))
    used = said("llvm-objdump", "--macho", "--dylibs-used", library)
    assert re.findall(r"^\t(\S+) ", used, re.MULTILINE) == ["@rpath/digits.dylib", "/usr/lib/libSystem.B.dylib"]
    assert said("llvm-nm", "--undefined-only", library).split() in ([], [OF_LOADER])
    names = re.findall(r"^0x\S+ +(\S+)", said("llvm-objdump", "--macho", "--exports-trie", library), re.MULTILINE)
    return sorted(name.removeprefix("_") for name in names if name not in HEAD_OF_MACHO)


def rows() -> list[object]:
    """Each kind of library, and each compiler that links it."""
    systems = [target for target in TARGETS.values() if target.shared_library and target.tested != "here"]
    compilers = [(target, target.compiler) for target in systems if target.compiler]
    gcc = [pytest.param(target.name, "gcc", marks=needs(compiler)) for target, compiler in compilers]
    return [*gcc, *(pytest.param(target.name, "zig", marks=ZIG) for target in systems)]


@pytest.mark.tools
@needs("llvm-nm", "llvm-readobj", "llvm-objdump")
@pytest.mark.parametrize(("target", "tool"), rows())
def test_they_export_the_interface_and_need_nothing(
    target: str, tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And are the same bytes in another folder."""
    for folder in ("a", "somewhere/else"):
        (tmp_path / folder).mkdir(parents=True)
        library = linked(target, tool, tmp_path / folder, monkeypatch)
        assert exported(library) == EXPORTED
    assert filecmp.cmp(library, tmp_path / "a" / library.name, shallow=False)
    if target == "macos-arm64":  # which runs no code that is not signed
        assert "LC_CODE_SIGNATURE" in said("llvm-objdump", "--macho", "--private-headers", library)


@pytest.mark.tools
@pytest.mark.parametrize("tool", ["gcc", pytest.param("zig", marks=ZIG)])
@pytest.mark.parametrize("target", [pytest.param(name, marks=needs(*row[:2])) for name, row in RUN.items()])
def test_programs_of_linux_run_with_them(
    target: str, tool: str, tmp_path: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler, emulator, system = RUN[target]
    linked(target, tool, tmp_path, monkeypatch)
    program = build(tmp_path, compiler, *C99, "digits.c", "./digits.so", "-Wl,-rpath,$ORIGIN")
    assert classes([emulator, "-L", system, program], pictures) == DIGITS


@pytest.mark.tools
@needs("x86_64-w64-mingw32-gcc", WINE)
@pytest.mark.parametrize("tool", ["gcc", pytest.param("zig", marks=ZIG)])
def test_programs_of_windows_run_with_them(
    tool: str, tmp_path: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linked with the import library, as data of a DLL is declared, and as GNU's linker finds it by itself."""
    monkeypatch.setenv("WINEDEBUG", "-all")
    monkeypatch.setenv("WINEPREFIX", str(tmp_path / "wine"))
    linked("windows-x86-64", tool, tmp_path, monkeypatch)
    for number, flags in enumerate((["-DDIGITS_SHARED"], [])):
        program = build(
            tmp_path, "x86_64-w64-mingw32-gcc", *C99, *flags, "digits.c", "digits.lib", output=f"digits{number}.exe"
        )
        if not number:  # Wine makes its folders, and tells
            subprocess.run([WINE, program], capture_output=True, timeout=120, check=False)
        assert classes([WINE, program], pictures) == DIGITS


@pytest.mark.tools
@needs("clang", "lld-link", "llvm-readobj")
@pytest.mark.parametrize(("machine", "target"), [("x86_64", "windows-x86-64"), ("aarch64", "windows-arm64")])
def test_microsofts_way_of_linking_reads_the_import_library(machine: str, target: str, tmp_path: Path) -> None:
    write_digits(tmp_path, target, ("h",))
    names = {name: name.endswith(("weights", "manifest")) for name in EXPORTED}
    (tmp_path / "digits.lib").write_bytes(import_library("digits.dll", names, TARGETS[target]))
    (tmp_path / "main.c").write_text(f"int _fltused;\n{MAIN}")
    flags = (f"--target={machine}-pc-windows-msvc", "-ffreestanding", "-DDIGITS_SHARED", "-O2", "-c", "main.c")
    build(tmp_path, "clang", *flags, output="main.obj")
    command = ["lld-link", "/entry:main", "/subsystem:console", "/nodefaultlib", "main.obj", "digits.lib"]
    subprocess.run([*command, "/out:main.exe"], cwd=tmp_path, check=True, capture_output=True)
    text = said("llvm-readobj", "--coff-imports", tmp_path / "main.exe")
    assert re.findall(r"(?:Name|Symbol): (\S+)", text) == ["digits.dll", "digits_run", "digits_weights"]


@pytest.mark.tools
@needs("x86_64-w64-mingw32-gcc", "llvm-readobj")
def test_gnus_linker_reads_the_import_libraries_of_several(tmp_path: Path) -> None:
    """Each table of one DLL stays together, also where a name begins as another one does."""
    stems = ("net", "nets", "net_s", "z", "a")
    for stem in stems:
        symbols = {f"{stem}_run": False, f"{stem}_check": False}
        library = import_library(f"{stem}.dll", symbols, TARGETS["windows-x86-64"])
        (tmp_path / f"{stem}.lib").write_bytes(library)
    functions = [f"{stem}_{part}" for stem in stems for part in ("run", "check")]
    declared = "".join(f"int {name}(void);\n" for name in functions)
    (tmp_path / "main.c").write_text(
        f"{declared}int start(void) {{ return {' + '.join(f'{n}()' for n in functions)}; }}"
    )
    flags = ("-nostdlib", "-Wl,-e,start", "main.c", *(f"{stem}.lib" for stem in stems))
    program = build(tmp_path, "x86_64-w64-mingw32-gcc", *flags, output="main.exe")
    text = said("llvm-readobj", "--coff-imports", program)
    found = {block.split("\n")[0]: sorted(re.findall(r"Symbol: (\S+)", block)) for block in text.split("  Name: ")[1:]}
    assert found == {f"{stem}.dll": [f"{stem}_check", f"{stem}_run"] for stem in stems}


def test_a_header_for_windows_says_how_data_of_a_dll_is_declared(tmp_path: Path) -> None:
    text = artefacts.write(digits_for("windows-x86-64"), tmp_path, ["h"])["h"].read_text()
    assert "#ifdef DIGITS_SHARED" in text and "__declspec(dllimport)\n#endif\nextern const unsigned char dig" in text
    text = artefacts.write(digits_for("aarch64"), tmp_path, ["h"])["h"].read_text()
    assert "DIGITS_SHARED" not in text


def test_an_import_library_is_the_same_every_time() -> None:
    symbols = {"net_run": False, "net_weights": True}
    one, again = (import_library("net.dll", symbols, TARGETS["windows-arm64"]) for _ in range(2))
    assert one == again and b"\0__imp_net_weights\0" in one and b"\0net_weights\0net.dll\0" in one


@pytest.mark.skipif(shutil.which("x86_64-w64-mingw32-gcc") is None, reason="not installed: x86_64-w64-mingw32-gcc")
def test_a_dll_is_made_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    files = artefacts.write(digits_for("windows-x86-64"), tmp_path, ["dll", "json"])
    assert [path.name for path in files.values()] == ["digits.dll", "digits.lib", "digits.json"]
    assert '"import": "digits.lib"' in files["json"].read_text()
    assert sorted(os.listdir(tmp_path)) == ["digits.dll", "digits.json", "digits.lib"]
