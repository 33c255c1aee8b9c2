"""The C header of a model, in C99 that is also C++; one program may include several."""

from __future__ import annotations

from collections.abc import Sequence
from string import Template

from .. import abi
from ..machine.architecture import ProcessorCheck
from ..naming import macro_prefix
from .executable import Executable, Port

_COMMON = Template("""\
#ifndef CNNCC_ABI
#define CNNCC_ABI $abi
typedef struct {
$fields
} cnncc_call;
enum {
    $ok = 0,
$errors
};
#elif CNNCC_ABI != $abi
#error "this header needs version $abi of the cnncc ABI"
#endif
""")

_HEADER = Template("""\
/* $title, compiled by cnncc for $target.
 *
$ports
 *
 * All arrays are dense and in this order of axes. $images
 *
 * This header, the code and the weights belong together: take all from the same `cnncc compile`. A call has the number
 * of the header that it was written with, ${macro}_FINGERPRINT, and the weights begin with theirs. With another header
 * or other weights run() returns CNNCC_WRONG_FINGERPRINT and touches no memory.
 */
#ifndef CNNCC_${macro}_H
#define CNNCC_${macro}_H

#include <stddef.h>
#include <stdint.h>

$common
#ifdef __cplusplus
extern "C" {
#endif

$constants

/* The weights, an object of their own: link it, or hand run() a copy from elsewhere. */
${imported}extern const unsigned char ${weights}[];
$state
/* 0, or an error code. Allocates nothing, changes nothing global.
 *
 * With threads a call is made of `shards` calls of run, one for each number `shard`, all at the same time and alike in
 * everything else. They end together: when one of them returns, all have done their part, so outputs may be read and
 * inputs be changed. A shard of the next call may begin as soon as the inputs of that call are there. With `apart` set
 * to 1 they return one by one: then the caller has to wait for all of them before it does any of this.
 */
int ${symbol}_run(const cnncc_call *call);

/* The size of a workspace for that many shards; 0 for a number of shards that is not possible. */
size_t ${symbol}_workspace_bytes(uint32_t shards);

/* $check */
int ${symbol}_check(void);

/* The simple case: ${macro}_IMAGES image(s), one thread, the linked weights. */
static inline int ${symbol}_infer($parameters, void *workspace)
{
    const void *inputs[$n_in];
    void *outputs[$n_pointers];
    cnncc_call call;
$assignments
    call.abi = CNNCC_ABI;
    call.fingerprint = ${macro}_FINGERPRINT;
    call.apart = 0;
    call.images = ${macro}_IMAGES;
    call.shard = 0;
    call.shards = 1;
    call.inputs = inputs;
    call.outputs = outputs;
    call.workspace = workspace;
    call.weights = ${weights};
    call.wait = NULL;
    call.wait_argument = NULL;
    return ${symbol}_run(&call);
}

#ifdef __cplusplus
}
#endif
#endif
""")


_STATE = Template("""
/* What the states are before the first call: copy it into a block of ${macro}_STATE_BYTES, aligned to
 * ${macro}_ALIGNMENT. The block's address follows those of the outputs. Calls read and update it, one at a time. */
${imported}extern const unsigned char ${symbol}[];
""")

_IMPORTED = Template("""\
#ifdef ${macro}_SHARED /* define it where the library is a DLL: data of one is reached otherwise */
__declspec(dllimport)
#endif
""")

_CHECKS = {
    ProcessorCheck.CPUID: "0 if this processor can run the code; run() does not ask.",
    ProcessorCheck.BASELINE: "0: every {0.architecture} processor can run the code.",
    ProcessorCheck.LOADER: "0: who loads the module has found that it can run the code.",
    ProcessorCheck.NONE: "0, but nothing is checked: the processor has to be a {0.demands}.",
}


_LIBRARY = Template("""\
/* $title: a library of $count programs, which share ${weights}. A call takes the program of its sizes; a workspace
 * serves one program.
 *
$programs
 */
""")


def library_header(executables: Sequence[Executable]) -> str:
    """The header of a library: of its only program, or of each with a list of all in front."""
    first, texts = executables[0], list(map(header, executables))
    if not first.library:
        return texts[0]
    ports = [", ".join(f"{_comment(port.name)} {port.type}" for port in each.inputs) for each in executables]
    listed = "\n".join(f" *     {each.symbol}: {text}" for each, text in zip(executables, ports, strict=True))
    head = _LIBRARY.substitute(
        title=_comment(first.name), count=len(executables), weights=first.weights_symbol, programs=listed
    )
    return "\n".join([head, *texts])


def header(executable: Executable) -> str:
    """The text of NAME.h: the ABI's structure, sizes, labels, declarations and `NAME_infer`.

    The headers of several programs of one library can stand in one file.
    """
    symbol, macro, imported = executable.symbol, macro_prefix(executable.symbol), _imported(executable)
    inputs, outputs = _named("x", executable.inputs), _named("y", executable.outputs)
    return _HEADER.substitute(
        title=_comment(executable.name),
        target=_comment(executable.target.name),
        ports="\n".join(
            [
                *_port_lines("input", inputs, executable.batchable),
                *_port_lines("output", outputs, executable.batchable),
            ]
        ),
        images=_images_sentence(executable),
        check=_comment(_CHECKS[executable.target.isa.check].format(executable.target)),
        macro=macro,
        symbol=symbol,
        weights=executable.weights_symbol,
        imported=imported,
        state=_STATE.substitute(symbol=executable.state_symbol, macro=macro, imported=imported)
        if executable.states
        else "",
        common=_COMMON.substitute(
            abi=abi.VERSION,
            fields="\n".join(map(_field_line, abi.CALL)),
            ok=abi.ErrorCode.OK.c_name,
            errors="\n".join(
                f"    {abi.ErrorCode(code).c_name} = {code:d}, /* {reason} */" for code, reason in abi.REASONS.items()
            ),
        ),
        constants="\n".join(f"#define {macro}_{line}" for line in _constants(executable)),
        parameters=", ".join(
            [
                *(f"const {_ctype(port)} *{name}" for name, port in inputs),
                *(f"{_ctype(port)} *{name}" for name, port in outputs),
                *(["void *state"] if executable.states else []),
            ]
        ),
        n_in=max(1, len(inputs)),  # C has no arrays of nothing
        n_pointers=len(outputs) + bool(executable.states),
        assignments="\n".join(
            f"    {array}[{place}] = {name};"
            for array, group in (("inputs", [name for name, _ in inputs]), ("outputs", _pointers(outputs, executable)))
            for place, name in enumerate(group)
        ),
    )


def _imported(executable: Executable) -> str:
    """What stands before data that may be in a DLL of Windows."""
    if executable.target.shared_library != "dll":
        return ""
    return _IMPORTED.substitute(macro=macro_prefix(executable.stem))


def _named(letter: str, ports: Sequence[Port]) -> list[tuple[str, Port]]:
    """C names for ports (x, or x0, x1…), since their own names need not be identifiers."""
    return [(letter if len(ports) == 1 else f"{letter}{place}", port) for place, port in enumerate(ports)]


def _pointers(outputs: Sequence[tuple[str, Port]], executable: Executable) -> list[str]:
    """What `outputs` of a call points to."""
    return [*(name for name, _ in outputs), *(["state"] if executable.states else [])]


def _port_lines(what: str, ports: Sequence[tuple[str, Port]], batchable: bool) -> list[str]:
    same = {port.name: ", for any number of images" for _, port in ports if batchable and not port.batched}
    frames = {port.name: f", frames {port.frame}" for _, port in ports if port.frame}
    return [
        f" * {what} {name}: {_comment(port.name)} {port.type}{frames.get(port.name, '')}{same.get(port.name, '')}"
        for name, port in ports
    ]


def _field_line(field: abi.Field) -> str:
    return f"    {field.declaration.format(field.name) + ';':<30} /* {field.meaning} */"


def _ctype(port: Port) -> str:
    return port.type.dtype.c


def _images_sentence(executable: Executable) -> str:
    return "run() takes any number of images." if executable.batchable else "run() takes exactly this number of images."


def _constants(executable: Executable) -> list[str]:
    lines = [f"FINGERPRINT {executable.fingerprint}", f"IMAGES {executable.images}"]
    for what, ports in (("INPUT", executable.inputs), ("OUTPUT", executable.outputs)):
        for place, port in enumerate(ports):
            number = "" if len(ports) == 1 else str(place)
            lines.append(f"{what}{number}_SIZE {port.type.size}")
            lengths = dict(zip(port.frame[:4].strip(), port.shape, strict=True)) if port.frame else {}
            sides = {"HEIGHT": lengths.get("H"), "WIDTH": lengths.get("W"), "CHANNELS": lengths.get("C")}
            lines += [f"{what}{number}_{side} {length}" for side, length in sides.items() if length]
    lines.append(f"ALIGNMENT {executable.target.alignment} /* of workspace, weights and states */")
    lines.append(f"WORKSPACE_BYTES {executable.workspace_bytes(1)} /* one shard */")
    if executable.stack_bytes is not None:
        lines.append(f"STACK_BYTES {executable.stack_bytes} /* at most, of a call of run{_beside(executable)} */")
    lines.append(f"WEIGHTS_BYTES {len(executable.weights)}")
    lines.append(f"CODE_BYTES {executable.code_bytes}")
    placed = executable.regions
    for part, what in (("weights", "WEIGHTS"), ("code", "CODE"), ("workspace", "WORKSPACE"), ("states", "STATE")):
        if section := placed.spelled(part, executable.target):
            lines.append(f"{what}_SECTION {_literal(section)}{_whose(part)}")
    if executable.states:
        lines.append(f"STATE_BYTES {executable.state_bytes}")
    for place, state in enumerate(executable.states):
        lines.append(f"STATE{place}_OFFSET {state.offset} /* {_comment(state.name)} {state.type} */")
    if executable.labels:
        lines.append(f"LABEL_COUNT {len(executable.labels)}")
        lines.append(f"LABELS {{ {', '.join(map(_literal, executable.labels))} }}")
    return lines


def _whose(part: str) -> str:
    """What the caller has to do about a section."""
    return " /* for the caller's memory: __attribute__((section(...))) */" if part in ("workspace", "states") else ""


def _beside(executable: Executable) -> str:
    """What the stack of a call does not have in it."""
    target, parts = executable.target, [""]
    if target.atomics:
        parts.append("without that of wait()")
    if not target.float_unit:
        parts.append("without that of the routines of the compiler's runtime")
    if target.architecture.startswith("riscv") and target.lanes > 1:
        parts.append(f"where vector registers have {target.vector_bits} bits")
    return ", ".join(parts)


def _comment(text: str) -> str:
    """The text for use in a C comment, without anything that would end the comment."""
    return text.encode("ascii", "replace").decode().replace("*/", "* /").replace("\n", " ").replace("\\", "/")


def _literal(text: str) -> str:
    """A C string literal with the text's UTF-8 bytes; special characters are in octal."""
    plain = set(b" !#$%&'()*+,-./:;<=>@[]^_{|}~") | set(range(48, 58)) | set(range(65, 91)) | set(range(97, 123))
    return '"' + "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in text.encode()) + '"'
