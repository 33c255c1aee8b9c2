"""Counting instructions: a plugin of qemu, which is compiled for this machine when it is wanted, and what it tells."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ..errors import TargetError

_SECONDS = 60
_SOURCE = r"""
#define _POSIX_C_SOURCE 200809L
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of qemu's interface for plugins, what is used here. */
struct qemu_plugin_tb;
struct qemu_plugin_insn;
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t, void (*)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int, void *);
void qemu_plugin_register_atexit_cb(uint64_t, void (*)(uint64_t, void *), void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
char *qemu_plugin_insn_disas(const struct qemu_plugin_insn *);

struct instruction {
    uint64_t address;
    char *text;
};
struct block { /* what qemu translates at once: it is left only at its end */
    struct block *next;
    uint64_t runs;
    size_t size;
    struct instruction instructions[];
};
static struct block *blocks;
static const char *file;

static void count(unsigned cpu, void *block)
{
    (void)cpu;
    ((struct block *)block)->runs++;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
    size_t size = qemu_plugin_tb_n_insns(tb);
    struct block *block = calloc(1, sizeof *block + size * sizeof *block->instructions);
    (void)id;
    if (!block)
        abort();
    block->size = size;
    for (size_t i = 0; i < size; i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(tb, i);
        block->instructions[i].address = qemu_plugin_insn_vaddr(instruction);
        block->instructions[i].text = qemu_plugin_insn_disas(instruction);
    }
    block->next = blocks;
    blocks = block;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, count, 0, block);
}

static void tell(uint64_t id, void *nothing)
{
    FILE *stream = fopen(file, "w");
    (void)id;
    (void)nothing;
    if (!stream)
        return;
    for (struct block *block = blocks; block; block = block->next)
        for (size_t i = 0; i < block->size && block->runs; i++)
            fprintf(stream, "%llx\t%llu\t%s\n", (unsigned long long)block->instructions[i].address,
                    (unsigned long long)block->runs, block->instructions[i].text);
    fclose(stream);
}

int qemu_plugin_version = VERSION;
int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
    (void)info;
    if (argc < 1 || strncmp(argv[0], "out=", 4))
        return 1;
    file = strdup(argv[0] + 4);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, tell, NULL);
    return 0;
}
"""


@dataclass(frozen=True)
class Executed:
    """An instruction: where it lies, how often it ran, and its assembly, as qemu's disassembler writes it."""

    address: int
    count: int
    text: str


@dataclass(frozen=True)
class Plugin:
    """A plugin in a folder, which writes its counts there."""

    folder: Path

    @classmethod
    def compiled(cls, folder: Path, emulator: str) -> Plugin:
        """Compile it with this machine's C compiler. Raises TargetError where there is none, or it fails."""
        if shutil.which("cc") is None:
            raise TargetError(
                "instructions are counted by a plugin of qemu, and 'cc', which compiles it, is not found: install a C "
                "compiler (Debian: apt-get install gcc libc6-dev)"
            )
        (folder / "count.c").write_text(_SOURCE)
        version = f"-DVERSION={_interface(emulator)}"
        command = ["cc", "-std=c11", "-O2", "-shared", "-fPIC", version, "count.c", "-o", "count.so"]
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=_SECONDS, check=False)
        if done.returncode:
            complaint = done.stderr.decode(errors="replace").strip() or "no message"
            raise TargetError(f"'cc' cannot compile the plugin that counts: {complaint.splitlines()[0]}")
        return cls(folder)

    @property
    def words(self) -> list[str]:
        """What makes an emulator load it."""
        return ["-plugin", f"{self.folder / 'count.so'},out={self.folder / 'counts'}"]

    @property
    def counts(self) -> list[Executed]:
        """Every instruction that ran, by its address."""
        found: dict[int, Executed] = {}
        for line in (self.folder / "counts").read_text(errors="replace").splitlines():
            address, count, text = line.split("\t", 2)
            at = int(address, 16)
            before = found[at].count if at in found else 0
            found[at] = Executed(at, before + int(count), text.strip())
        return [found[at] for at in sorted(found)]


def _interface(emulator: str) -> int:
    """The version of the interface that an emulator takes: 2 from 8.2 on (what is used here is the same in both)."""
    told = subprocess.run([emulator, "--version"], capture_output=True, timeout=_SECONDS, check=False).stdout.decode()
    found = re.search(r"version (\d+)\.(\d+)", told)
    return 2 if found and (int(found[1]), int(found[2])) >= (8, 2) else 1
