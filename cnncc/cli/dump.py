"""`run --dump`: tensors inside the model, in one .npz file or a folder with a .npy for each."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OutputError, UsageError
from ..files import write_whole
from ..sizes import is_open
from . import common

if TYPE_CHECKING:
    from ..faults.dump import Dumped
    from ..types import Array


@dataclass(frozen=True)
class Written:
    """The tensors, and the file or folder that holds them."""

    path: str
    tensors: Sequence[Dumped]

    def shown(self) -> str:
        """A line for each tensor, and where they are."""
        from .outputs import summary

        lines = [f"{each.name}: {summary(each.data)}, {_origin(each)}" for each in self.tensors]
        return "\n".join([*lines, f"wrote {len(self.tensors)} tensor(s) to {self.path}"])

    def facts(self) -> dict[str, Any]:
        """The same as data."""
        tensors = [
            {
                "name": each.name,
                "layer": each.layer,
                "op": str(each.op),
                "element": str(each.data.dtype),
                "shape": each.data.shape,
            }
            for each in self.tensors
        ]
        return {"path": self.path, "tensors": tensors}


DEFAULT = "dump.npz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dump",
        action="append",
        metavar="LAYER",
        help="write the tensor of this layer, or of this name in an ONNX file, also as 'conv*'; may be repeated",
    )
    parser.add_argument(
        "--dump-to", metavar="FILE", help=f"the .npz file, or the folder for .npy files (default: {DEFAULT})"
    )


def expect_dump(arguments: argparse.Namespace) -> None:
    """Raise UsageError where --dump cannot be served, before anything is compiled."""
    if arguments.dump_to and not arguments.dump:
        raise UsageError("--dump-to says where --dump writes: it needs --dump")
    if not arguments.dump:
        return
    if Path(arguments.model).suffix == ".so":
        raise UsageError(f"--dump looks into a model, and '{arguments.model}' holds only its code")
    if is_open(common.shapes(arguments)):
        raise UsageError("--dump takes one size: give one --shape for each input")
    target = Path(arguments.dump_to or DEFAULT)
    if target.suffix != ".npz" and target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise UsageError(f"--dump-to '{target}' exists: expected a .npz file, or a folder that is empty or not there")


def dumped(arguments: argparse.Namespace, calls: Sequence[Mapping[str, Array]]) -> Written:
    """Write what one call makes inside. Raises UsageError for several calls."""
    from ..faults.dump import dump

    if len(calls) != 1:
        raise UsageError(f"--dump takes the tensors of one call, and these files make {len(calls)}: name fewer files")
    found = dump(common.compilation(arguments), calls[0], arguments.dump, arguments.threads)
    target = arguments.dump_to or DEFAULT
    (_write_archive if target.endswith(".npz") else _write_folder)(target, found)
    return Written(target, found)


def _origin(tensor: Dumped) -> str:
    return tensor.op if tensor.layer == tensor.name else f"layer '{tensor.layer}': {tensor.op}"


def _write_archive(path: str, found: Sequence[Dumped]) -> None:
    from ..measure.peers import save

    write_whole(path, "", lambda stream: save(stream, {tensor.name: tensor.data for tensor in found}))


def _write_folder(path: str, found: Sequence[Dumped]) -> None:
    """A file for each, whose name is percent-encoded; all of them or none."""
    from urllib.parse import quote

    import numpy as np

    with _whole_folder(Path(path)) as folder:
        for tensor in found:
            np.save(folder / f"{quote(tensor.name, safe=' ')}.npy", tensor.data, allow_pickle=False)


@contextmanager
def _whole_folder(path: Path) -> Iterator[Path]:
    """A folder that takes the name `path` when it is complete. Raises OutputError if that cannot be."""
    import tempfile

    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent, ignore_cleanup_errors=True) as made:
            folder = Path(made) / path.name
            folder.mkdir()
            yield folder
            os.replace(folder, path)
    except OSError as error:
        raise OutputError(f"cannot write '{path}': {error.strerror or error}") from None
