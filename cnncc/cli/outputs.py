"""What a model answered: in words on the screen, in arrays on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UsageError
from ..files import write_whole
from ..types import Array
from .documents import document, file_facts

if TYPE_CHECKING:
    from ..runtime.executable import NamedPort
    from ..runtime.model import Model
    from ..runtime.open_model import OpenModel


WHOLE = 1000  # elements of an output that a document holds


def describe(model: Model | OpenModel, results: tuple[Array, ...], files: tuple[str, ...], top: int) -> Iterator[str]:
    """Lines that begin with the file: the top classes of each image if the first output is (N, classes), of floats.

    Other outputs are summed up.
    """
    rest = list(zip(_ports(model), results, strict=True))
    if top and _is_ranked(results[0]):
        names = _names(files, len(results[0]))
        for name, row in zip(names, results[0], strict=True):
            yield f"{name}: {_classes(row, model.labels, top)}"
        rest = rest[1:]
    for port, array in rest:
        yield f"{', '.join(files)}: {port.name} {summary(array)}"


def plain_call(
    model: Model | OpenModel, results: tuple[Array, ...], files: tuple[str, ...], top: int
) -> dict[str, Any]:
    """The same as data: the top classes of each image, and every output, whole if it has at most `WHOLE` elements."""
    images = []
    if top and _is_ranked(results[0]):
        names = _names(files, len(results[0]))
        images = [
            {"name": name, "classes": _plain_classes(row, model.labels, top)}
            for name, row in zip(names, results[0], strict=True)
        ]
    outputs = [_plain_output(port.name, array) for port, array in zip(_ports(model), results, strict=True)]
    return {"files": files, "images": images, "outputs": outputs}


def run_document(
    model: Model | OpenModel,
    calls: Sequence[dict[str, Any]],
    written: str | None,
    table: dict[str, Any] | None = None,
    dumped: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What `run` prints with --json: the calls, the file of outputs, a table of results, and what --dump wrote."""
    facts = {"calls": calls, "written": written and file_facts(written), "table": table, "dumped": dumped}
    return document("run", model=model.name, labels=model.labels, **facts)


def _is_ranked(array: Array) -> bool:
    """Whether an output has a score for each of several classes."""
    return array.ndim == 2 and array.shape[1] > 1 and array.dtype.kind == "f"


def _plain_classes(row: Array, labels: tuple[str, ...], top: int) -> list[dict[str, Any]]:
    best = np.argsort(-row, kind="stable")[:top].tolist()
    known = labels if len(labels) == len(row) else (None,) * len(row)
    return [{"index": at, "label": known[at], "score": _shortest(row[at])} for at in best]


def _plain_output(name: str, array: Array) -> dict[str, Any]:
    numbers = array[~np.isnan(array)] if array.dtype.kind == "f" else array
    least, most = (numbers.min(), numbers.max()) if numbers.size else (None, None)
    whole = _plain_array(array) if array.size <= WHOLE else None
    facts = {"name": name, "element": str(array.dtype), "shape": array.shape, "values": whole}
    return {**facts, "min": _shortest(least), "max": _shortest(most), "nan": array.size - numbers.size}


def _plain_array(array: Array) -> Any:
    """Nested lists, or one number for an array without axes."""
    return _shortest(array[()]) if array.ndim == 0 else [_plain_array(part) for part in array]


def _shortest(value: Any) -> Any:
    """A number of NumPy's as Python's, with the fewest digits that are this float."""
    return float(str(value)) if isinstance(value, np.floating) else None if value is None else value.item()


def _ports(model: Model | OpenModel) -> Sequence[NamedPort]:
    return model.outputs


def _names(files: tuple[str, ...], images: int) -> Sequence[str]:
    """A name for each image: its file, or its place in the file."""
    if len(files) == images:
        return files
    return [f"{', '.join(files)}[{number}]" for number in range(images)]


def _classes(row: Array, labels: tuple[str, ...], top: int) -> str:
    best = np.argsort(-row, kind="stable")[:top]
    known = labels if len(labels) == len(row) else [f"class {number}" for number in range(len(row))]
    return ", ".join(f"{known[number]} ({row[number]:.4g})" for number in best)


def summary(array: Array) -> str:
    """Element, shape and range of an array; NaN are counted apart."""
    text = f"{array.dtype} {array.shape}"
    if not array.size:
        return text
    if array.dtype.kind == "b":
        return f"{text}, {np.count_nonzero(array)} of {array.size} true"
    if array.dtype.kind != "f":
        return f"{text}, min {array.min()}, max {array.max()}"
    numbers = array[~np.isnan(array)]
    if numbers.size:
        text += f", min {numbers.min():.6g}, max {numbers.max():.6g}"
    if numbers.size < array.size:
        text += f", {array.size - numbers.size} NaN"
    return text


def check_output(path: str, outputs: int = 1) -> None:
    """Raise UsageError unless a file of this name can hold so many outputs."""
    suffix = Path(path).suffix
    if suffix not in (".npy", ".npz"):
        raise UsageError(f"-o '{path}' must end in .npy or .npz")
    if suffix == ".npy" and outputs != 1:
        raise UsageError(f"-o '{path}' holds one array, the model has {outputs} outputs: name a .npz file")


def _joined(path: str, name: str, group: Sequence[Array]) -> Array:
    shapes = list(dict.fromkeys(array.shape[1:] for array in group))
    if len(shapes) > 1:
        raise UsageError(
            f"-o '{path}' holds arrays of one size, and output '{name}' has several, such as {group[0].shape} and "
            f"{next(array.shape for array in group if array.shape[1:] == shapes[1])}: run files of each size apart"
        )
    return group[0] if len(group) == 1 else np.concatenate(group)


def write(path: str, model: Model | OpenModel, results: Sequence[tuple[Array, ...]]) -> None:
    """The outputs of all calls, one after the other along the first axis.

    Raises UsageError for outputs that differ in other axes, OutputError for a file that cannot be written.
    """
    names = [port.name for port in _ports(model)]
    groups = list(zip(names, zip(*results, strict=True), strict=True))
    arrays = [_joined(path, name, group) for name, group in groups]
    if Path(path).suffix == ".npy":
        write_whole(path, "", lambda stream: np.save(stream, arrays[0], allow_pickle=False))
    else:
        named: dict[str, Any] = dict(zip(names, arrays, strict=True))
        write_whole(path, "", lambda stream: np.savez(stream, **named))
