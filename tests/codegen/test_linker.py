"""Objects taken apart and linked: fields of instructions, addresses, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cnncc import native
from cnncc.errors import NativeError
from cnncc.machine.target import TARGETS
from cnncc.objects.archive import archive
from cnncc.objects.elf import global_symbols
from cnncc.objects.elf_data import data_object
from cnncc.objects.elf_pieces import KINDS, elf_pieces
from cnncc.objects.elf_program import Block, program
from cnncc.objects.fixes import FIXES, checked
from cnncc.objects.linker import PAGE, link, place_at_end
from cnncc.objects.members import members, needed
from cnncc.objects.pieces import Fix, Label, Pieces, Section

READ = [name for name, fix in FIXES.items() if fix.get and fix.size]


@pytest.mark.parametrize("kind", READ)
def test_a_field_holds_what_was_put(kind: str) -> None:
    """Whatever stood there before, and without a change to other bits."""
    fix, rng = FIXES[kind], np.random.default_rng(0)
    assert fix.get is not None
    bits = fix.bits or {"low16": 16, "high16": 16}.get(kind.split("_")[-1], 12 if "low12" in kind else 8 * fix.size)
    for _ in range(200):
        number = int.from_bytes(rng.bytes(fix.size), "little")
        value = int.from_bytes(rng.bytes(8), "little") % (1 << bits) - (1 << bits - 1)
        step = max(fix.step, 2 if kind.startswith("thumb_call") or kind == "thumb_jump11" else 1)
        value -= value % step
        put = fix.put(number, value << 16 if kind.endswith("high16") else value)
        assert fix.get(put) == value
        assert fix.put(put, (fix.get(number)) << 16 if kind.endswith("high16") else fix.get(number)) == number


@pytest.mark.parametrize("kind", [name for name, fix in FIXES.items() if fix.bits])
def test_what_does_not_fit_is_refused(kind: str) -> None:
    most = 1 << FIXES[kind].bits - 1
    assert checked(kind, -most) == -most
    for value in (most, -most - FIXES[kind].step):
        with pytest.raises(NativeError, match=rf"^a relocation \({kind}\) cannot hold {value}$"):
            checked(kind, value)


def test_every_relocation_has_its_fix() -> None:
    used = {kind for kinds in KINDS.values() for kind in kinds.values()}
    assert used == set(FIXES)  # those of COFF and Mach-O are among them


def signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> bits - 1 else value


@pytest.mark.parametrize("value", [0x1234_5678, 0x1234_5FFF, 0x7FF, 0x800, 0x1000_0FFF])
def test_high_and_low_parts_of_riscv(value: int) -> None:
    """The low part is signed, and the high part makes up for it."""
    high, low = FIXES["riscv_high20"].put(0, value), FIXES["riscv_low12"].put(0, value)
    assert (high >> 12 << 12) + signed(low >> 20, 12) == value
    call = FIXES["riscv_call"].put(0, value)
    assert (call & 0xFFFF_FFFF, call >> 32) == (high, low)


@pytest.mark.parametrize("size", [0, 1, 64, PAGE - 1, PAGE, PAGE + 1, 10_000])
@pytest.mark.parametrize("alignment", [1, 8, 64])
@pytest.mark.parametrize("start", [0, 1, PAGE, 12_345])
def test_a_block_ends_where_a_page_does(size: int, alignment: int, start: int) -> None:
    at = place_at_end(size, alignment, start)
    assert at >= start and at % alignment == 0
    assert 0 <= -(at + size) % PAGE < alignment


def of_words(*words: int, name: str = "", fixes: tuple[Fix, ...] = (), labels: tuple[Label, ...] = ()) -> Pieces:
    data = b"".join(word.to_bytes(4, "little") for word in words)
    named = (Label(name, 0, 0, True),) if name else ()
    return Pieces((Section(".data", data, 4),), (*named, *labels), fixes)


def test_addresses_across_objects() -> None:
    fixes = (Fix(0, 0, "word32", 0, None), Fix(0, 4, "from32", 0, 12))
    one = of_words(100, 0, fixes=fixes, labels=(Label("there", None, 0),))
    first, second = link([one, of_words(7, name="there")], 0x10000)
    assert second.address - first.address >= PAGE
    words = np.frombuffer(first.data, np.int32)
    assert list(words) == [second.address + 100, second.address + 12 - (first.address + 4)]
    assert dict(second.labels) == {"there": second.address}


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ([of_words(0, fixes=(Fix(0, 0, "word32", 0, 0),), labels=(Label("f", None, 0),))], "nothing defines 'f'"),
        ([of_words(0, name="f"), of_words(0, name="f")], "two objects define 'f'"),
        (
            [of_words(0, name="f", fixes=(Fix(0, 0, "a64_page", 0, None),))],
            r"a relocation \(a64_page\) without an addend is not known",
        ),
    ],
)
def test_refused(objects: list[Pieces], words: str) -> None:
    with pytest.raises(NativeError, match=f"^{words}$"):
        link(objects, 0)


def test_weak_names_give_way() -> None:
    def weakly(word: int) -> Pieces:
        return replace(of_words(word), labels=(Label("f", 0, 0, True, weak=True),))

    asking = of_words(0, fixes=(Fix(0, 0, "word32", 0, 0),), labels=(Label("f", None, 0),))
    firm = of_words(2, name="f")
    for others, chosen in (([weakly(1), firm], 1), ([firm, weakly(1)], 0), ([weakly(1), weakly(3)], 0)):
        first, *placed = link([asking, *others], 0x1000)
        assert int.from_bytes(first.data, "little") == placed[chosen].address


def test_members_of_a_library_that_are_needed() -> None:
    """Those that define what is asked for, and what they ask for themselves; each once."""
    target = TARGETS["aarch64"]
    call = "declare void @{}()\ndefine void @{}() {{ call void @{}()\n ret void }}\n"
    objects = {
        "a.o": native.emit_object(call.format("b", "a", "b"), target),
        "b.o": native.emit_object("define void @b() { ret void }\n", target),
        "c.o": native.emit_object("define void @c() { ret void }\n", target),
    }
    library = archive(objects, global_symbols)
    assert list(members(library)) == list(objects.values())
    asking = elf_pieces(native.emit_object(call.format("a", "start", "a"), target))
    found = needed([asking], library)
    assert [label.name for pieces in found for label in pieces.labels if label.exported] == ["a", "b"]
    assert needed([elf_pieces(objects["b.o"])], library) == []
    link([asking, *found], 0x1000)
    with pytest.raises(NativeError, match=r"^not a static library$"):
        needed([asking], b"!<thin>\n")


@pytest.mark.parametrize("target", [name for name, row in TARGETS.items() if row.object_format == "ELF"])
def test_weights_are_taken_apart(target: str) -> None:
    found = elf_pieces(data_object("w", b"abc", TARGETS[target]))
    kept = (".rodata", b"abc", TARGETS[target].alignment)
    assert [(section.name, section.data, section.alignment) for section in found.sections] == [kept]
    assert [(label.name, label.section, label.value) for label in found.labels if label.exported] == [("w", 0, 0)]


@pytest.mark.parametrize("cut", [0, 10, 63, 100, -1])
def test_damaged_objects(cut: int) -> None:
    code = data_object("w", bytes(500), TARGETS["aarch64"])
    with pytest.raises(NativeError, match=r"^(not a little-endian|damaged) ELF file"):
        elf_pieces(code[:cut])


def test_a_program_is_what_a_linker_would_write() -> None:
    """Each block lies in the file where its address is, as far as pages go; empty ones too."""
    blocks = [Block(0x11FFF, b"a"), Block(0x13000, b"", True), Block(0x20123, b"bcd", True)]
    for name in ("cortex-m4", "aarch64"):
        file = program(blocks, 0x11FFF, TARGETS[name])
        assert file.count(b"bcd") == 1 and file.index(b"bcd") % PAGE == 0x123
    with pytest.raises(NativeError, match="relocation 300, which is not known"):
        elf_pieces(with_relocation(300))


def with_relocation(number: int) -> bytes:
    """An object of aarch64 in which a section of relocations has one of this number."""
    text = "@t = internal constant i64 5\ndefine ptr @f() { ret ptr @t }\n"
    code = bytearray(native.emit_object(text, replace(TARGETS["aarch64"], name="other")))
    place = code.index((275).to_bytes(4, "little"))
    code[place : place + 4] = number.to_bytes(4, "little")
    return bytes(code)
