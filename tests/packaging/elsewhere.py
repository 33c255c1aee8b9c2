"""Be a Windows or a Mac, in a process of its own.

The names of the system, its triple and processor are those of the other one, and what Python has there not is hidden:
modules, functions and flags of `os`, signals, and opening files relative to folders. LLVM is this machine's.
"""

from __future__ import annotations

import ctypes
import importlib.abc
import logging  # noqa: F401 (what follows, and the rest of the standard library, is of the real system)
import os
import pathlib  # noqa: F401
import platform
import shutil
import signal
import subprocess  # noqa: F401
import sys
import tempfile  # noqa: F401
import threading  # noqa: F401
from typing import Any

import llvmlite.binding as llvm
import numpy  # noqa: F401

NAMES = {"win32": "Windows", "darwin": "Darwin"}
TRIPLES = {"win32": "pc-windows-msvc", "darwin": "apple-darwin23.1.0"}
ARCHITECTURES = {"arm64": "arm64", "ARM64": "aarch64", "x86_64": "x86_64", "AMD64": "x86_64"}
MODULES = {"win32": ("fcntl", "grp", "pwd", "pty", "resource", "syslog", "termios", "tty"), "darwin": ()}
FUNCTIONS = {
    "win32": (
        *("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK"),
        *("fchmod", "fork", "getegid", "geteuid", "getgid", "getuid", "killpg", "memfd_create", "mkfifo", "nice"),
        *("pread", "preadv", "pwrite", "pwritev", "readv", "register_at_fork", "sched_getaffinity", "sched_yield"),
        *("sched_setaffinity", "setpgid", "setsid", "statvfs", "sysconf", "uname", "writev"),
    ),
    "darwin": ("memfd_create", "sched_getaffinity", "sched_setaffinity", "posix_fadvise", "posix_fallocate"),
}
SIGNALS = {"win32": ("SIGCONT", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGSTOP"), "darwin": ()}


class Hidden(importlib.abc.MetaPathFinder):
    """Modules that the other system has not."""

    def __init__(self, names: tuple[str, ...]):
        self.names = names

    def find_spec(self, name: str, *_: Any) -> None:
        if name in self.names:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)


def become(system: str, machine: str) -> None:
    """Be a machine of this system (`sys.platform`) and architecture (`platform.machine()`)."""
    llvm.initialize_all_targets()  # while its library is still found
    llvm.initialize_native_target = llvm.initialize_all_targets
    llvm.initialize_native_asmprinter = llvm.initialize_all_asmprinters
    for name in MODULES[system]:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, Hidden(MODULES[system]))
    for module, names in ((os, FUNCTIONS[system]), (signal, SIGNALS[system])):
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    triple = f"{ARCHITECTURES[machine]}-{TRIPLES[system]}"
    features = dict.fromkeys("avx avx2 bmi bmi2 f16c fma lzcnt movbe xsave".split(), machine in ("x86_64", "AMD64"))
    replaced: dict[tuple[Any, str], Any] = {
        (sys, "platform"): system,
        (platform, "machine"): lambda: machine,
        (platform, "system"): lambda: NAMES[system],
        (llvm, "get_process_triple"): lambda: triple,
        (llvm, "get_host_cpu_name"): lambda: "apple-m1" if "arm" in machine.lower() else "skylake",
        (llvm, "get_host_cpu_features"): lambda: features,
    }
    for (holder, name), value in replaced.items():
        setattr(holder, name, value)
    if system == "win32":
        _without_descriptors()


def _without_descriptors() -> None:
    """Windows opens no folder and nothing relative to one, and a library only by its name."""
    opened, loaded = os.open, ctypes.CDLL

    def opening(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if dir_fd is not None:
            raise NotImplementedError("dir_fd unavailable on this platform")
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return opened(path, flags, mode)

    def loading(name: str | None, *arguments: Any, **keywords: Any) -> Any:
        if name is None:
            raise TypeError("bad argument type for built-in operation")
        return loaded(name, *arguments, **keywords)

    os.open, os.supports_dir_fd = opening, set()
    shutil._use_fd_functions = False  # type: ignore[attr-defined]
    ctypes.CDLL = loading  # type: ignore[assignment, misc]
