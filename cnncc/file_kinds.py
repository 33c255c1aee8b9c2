"""What a file is, told from its content: names say what somebody believed.

Only the beginning of a file is read; for an ONNX file also the tags of its outermost fields.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

HEAD = 4096  # bytes; the formats below are told by less

_PYTORCH = "torch.onnx.export makes an ONNX file of a PyTorch model"
_KERAS = "tf2onnx makes an ONNX file of a Keras model (or model.export(…, format='onnx'))"
_TFLITE = "tf2onnx makes an ONNX file of it (python -m tf2onnx.convert --tflite … --output …)"
_WEIGHTS = "weights are loaded into a model of a script, with its load()"
_TENSORFLOW = "tf2onnx makes an ONNX file of a TensorFlow model"
_INPUT = "it can be an input of 'cnncc run'"
_LIBRARY = "cnncc.load and 'cnncc run' take a shared library (.so) that cnncc wrote"

ROUTES = {
    **dict.fromkeys((".pt", ".pth", ".ckpt"), _PYTORCH),
    **dict.fromkeys((".h5", ".hdf5", ".keras"), _KERAS),
    ".tflite": _TFLITE,
    ".pb": _TENSORFLOW,
    **dict.fromkeys((".npz", ".safetensors"), _WEIGHTS),
    ".so": _LIBRARY,
    ".ort": "ONNX Runtime's own format cannot be read, the ONNX file that it was made of can",
}
"""What to do with a file of which nothing but its name tells anything."""


@dataclass(frozen=True)
class Kind:
    """What a file is, in words that follow "it is", and how one comes from there to a model ('' if there is no way)."""

    name: str
    route: str = ""


ONNX = Kind("an ONNX file")
TEXT = Kind("a text")
EMPTY = Kind("empty")
UNKNOWN = Kind("of no kind that is known here")


def kind_of(stream: BinaryIO) -> Kind:
    """What an open file is; it is left where it began."""
    head = stream.read(HEAD)
    stream.seek(0)
    if not head:
        return EMPTY
    for found in (kind for begins, kind in _BEGINNINGS if head.startswith(begins)):
        return found
    for looks, kind in _LOOKS:
        if looks(head):
            return kind
    if is_onnx(stream):
        return ONNX
    return TEXT if _is_text(head) else UNKNOWN


def explained(path: str | os.PathLike[str], kind: Kind) -> str:
    """The kind in words, and the way from there to a model if there is one."""
    route = kind.route or ROUTES.get(Path(path).suffix.lower(), "")
    return f"{kind.name}; {route}" if route else kind.name


_LFS = Kind("a pointer of Git LFS in place of a file", "'git lfs pull' fetches the file")
_PICTURE = {name: Kind(f"a {name} picture", _INPUT) for name in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WebP")}
_ARCHIVE = Kind("an archive or compressed file", "unpack it first")
_FOREIGN = Kind("a program or library of another system")
_TORCH_PICKLE = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"  # the number that begins PyTorch's older files

_BEGINNINGS: tuple[tuple[bytes | tuple[bytes, ...], Kind], ...] = (
    (b"\x89PNG\r\n\x1a\n", _PICTURE["PNG"]),
    (b"\xff\xd8\xff", _PICTURE["JPEG"]),
    ((b"GIF87a", b"GIF89a"), _PICTURE["GIF"]),
    ((b"II*\0", b"MM\0*"), _PICTURE["TIFF"]),
    (b"\x93NUMPY", Kind("a NumPy array (.npy)", _INPUT)),
    (b"\x89HDF\r\n\x1a\n", Kind("an HDF5 file, as Keras writes", _KERAS)),
    (_TORCH_PICKLE, Kind("a PyTorch file", _PYTORCH)),
    (tuple(b"\x80%c" % version for version in (2, 3, 4, 5)), Kind("a pickle, which is never loaded", _PYTORCH)),
    (b"\x7fELF", Kind("a shared library, an object or a program (ELF)", _LIBRARY)),
    ((b"MZ", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe"), _FOREIGN),
    ((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"7z\xbc\xaf\x27\x1c", b"\x28\xb5\x2f\xfd"), _ARCHIVE),
    (b"version https://git-lfs", _LFS),
    (b"%PDF-", Kind("a PDF document")),
    ((b"<!DOCTYPE", b"<!doctype", b"<html"), Kind("a web page", "perhaps of an error, in place of a download")),
    (b"GGUF", Kind("a GGUF file of a language model")),
)


def _zip(*names: bytes) -> Callable[[bytes], bool]:
    """Whether an archive holds a file of such a name, as far as its beginning tells."""
    return lambda head: head.startswith(b"PK\x03\x04") and any(name in head for name in names)


_LOOKS: tuple[tuple[Callable[[bytes], bool], Kind], ...] = (
    (lambda head: head[4:8] == b"TFL3", Kind("a TensorFlow Lite model", _TFLITE)),
    (lambda head: head[4:8] == b"ORTM", Kind("a model in ONNX Runtime's own format", ROUTES[".ort"])),
    (lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP", _PICTURE["WebP"]),
    (lambda head: head[:2] == b"BM" and head[6:10] == b"\0\0\0\0", _PICTURE["BMP"]),
    (lambda head: head[257:262] == b"ustar", _ARCHIVE),
    (lambda head: head[8:9] == b"{" and head[5:8] == b"\0\0\0", Kind("a safetensors file", _WEIGHTS)),
    (_zip(b".npy"), Kind("an archive of NumPy arrays (.npz)", _WEIGHTS)),
    (_zip(b"data.pkl", b"constants.pkl", b"/byteorder", b"/.format_version"), Kind("a PyTorch file", _PYTORCH)),
    (_zip(b"metadata.json", b"config.json", b"model.weights.h5"), Kind("a Keras file", _KERAS)),
    (_zip(b""), Kind("a zip archive")),
)


def _is_text(head: bytes) -> bool:
    """UTF-8 without bytes that no text has; the last character may be cut."""
    try:
        head[: -4 if len(head) == HEAD else None].decode()
    except UnicodeDecodeError as error:
        return len(head) == HEAD and error.start > HEAD - 8
    return not any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)


def is_onnx(stream: BinaryIO) -> bool:
    """Whether an open file is a message of ONNX's ModelProto by its outermost fields, with a graph among them."""
    numbers = []
    try:
        for number, kind in _fields(stream):
            if _MODEL.get(number) != kind:
                return False
            numbers.append(number)
    except ValueError:
        return False
    finally:
        stream.seek(0)
    return _GRAPH in numbers


# Fields of ModelProto (onnx.proto) with their wire types: 0 a number, 2 bytes that follow their length.
_MODEL = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
_GRAPH = 7
_MOST_FIELDS = 100_000


def _fields(stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """Number and wire type of each outermost field; ValueError if it is no message."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    for _ in range(_MOST_FIELDS):
        if stream.tell() == size:
            return
        tag = _number(stream)
        value = _number(stream) if tag & 7 in (0, 2) else 0
        yield tag >> 3, tag & 7
        if tag & 7 == 2:
            if value > size - stream.tell():
                raise ValueError("cut short")
            stream.seek(value, os.SEEK_CUR)
    raise ValueError("too many fields")


def _number(stream: BinaryIO) -> int:
    """A whole number of seven bits a byte."""
    total = 0
    for place in range(0, 70, 7):
        byte = stream.read(1)
        if not byte:
            raise ValueError("cut short")
        total |= (byte[0] & 127) << place
        if byte[0] < 128:
            return total
    raise ValueError("too long a number")
