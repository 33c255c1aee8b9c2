"""Runs the blocks of a page, as somebody would who reads it from top to bottom."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .blocks import Block

RUN = ("python", "c", "console")


@dataclass(frozen=True)
class Place:
    """Where blocks run: the working folder, that of the commands `python` and `cnncc`, and PYTHONPATH."""

    folder: Path
    programs: Path
    modules: str = ""

    def run(self, command: list[str]) -> str:
        surroundings = {
            **os.environ,
            "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": self.modules,
            "CNNCC_CACHE": str(self.folder / ".cache"),
        }
        done = subprocess.run(
            command, cwd=self.folder, env=surroundings, capture_output=True, text=True, timeout=300, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), f"{command[-1]}\n{done.stdout}{done.stderr}"
        return done.stdout

    def run_all(self, page: str, found: list[Block]) -> None:
        """The blocks of a page, in order: one may use what the ones before it have made."""
        for block in found:
            if block.language in RUN:
                self.run_block(block, f"{page}:{block.line}")

    def run_block(self, block: Block, where: str) -> None:
        if block.language == "python" and block.name:
            if importlib.util.find_spec(block.name):  # whose warnings are its own
                self.run(["python", "-W", "ignore", "-c", block.text])
        elif block.language == "python":
            self.run(["python", "-W", "error", "-c", block.text])
        elif block.language == "c":
            (self.folder / block.name).parent.mkdir(exist_ok=True)
            (self.folder / block.name).write_text(block.text)
        elif all(map(shutil.which, needed(block))):
            self.run_commands(block, where)

    def run_commands(self, block: Block, where: str) -> None:
        for command, printed in console(block.text):
            if command.startswith("cc ") and shutil.which("cc") is None:
                return
            said = self.run(["bash", "-c", command])
            assert re.fullmatch(pattern(printed, block.name == "figures"), said.rstrip("\n"), re.DOTALL), (
                f"{where}: {command}\nprinted\n{said}"
            )


def console(text: str) -> list[tuple[str, str]]:
    """The commands of a block, each with what it should print."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append((line[2:].strip(), ""))
        else:
            command, printed = found.pop()
            found.append((command, printed + line))
    return found


def pattern(printed: str, figures: bool) -> str:
    """What the output has to match. Other figures may be of other lengths: then columns stand elsewhere, too."""
    text = ".*".join(map(re.escape, printed.rstrip("\n").split("…")))
    if figures:
        text = re.sub(r"\d(?:[\d,]|\\\.\d)*", r"[\\d,.]+", text)
        text = re.sub(r"(?:\\ )+", r" +", re.sub(r"^(?:\\ )+", " *", text, flags=re.MULTILINE))
    return text


def needed(block: Block) -> list[str]:
    """The programs without which the commands of a block cannot run: it says so behind its language."""
    return block.name.removeprefix("needs:").split(",") if block.name.startswith("needs:") else []
