"""Folders of tests as the `onnx` package and others ship them: models with inputs and the outputs that they expect.

    python -m tests.onnx.backend [FOLDER] [--only PATTERN] [--quick] [--workers 1]

FOLDER (default: the data of the installed `onnx`; 1.17 ships the most) holds folders with `model.onnx` and
`test_data_set_K/input_I.pb` and `output_I.pb`, and files `light_NAME.onnx` with `light_NAME_output_0.pb`. Each test is
compiled and called with all inputs at run time, and, if it is of one node, with all but the first one known; it counts
as passed if one form does and no form is wrong. `--quick` leaves the second form out where the first one passes.
A right answer has the shape, the element type and, within the test's own tolerance, the numbers of the expected one.
`backend_known.py` says what is set aside, and lists what does not pass, with a reason each. Exit code 1 if anything
else does not pass, if something listed does, or if a number is wrong that is not listed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from cnncc.types import Array
from tests.fuzz.check import Finding
from tests.fuzz.run import Job, answer, run_job

from .backend_known import ASIDE, NAMES_ASIDE, known

PATIENCE = 300.0  # seconds for one test, with what else the machine does
CONSTANTS = 2 << 30  # bytes: files of light models make their weights on import
ELEMENTS = frozenset("FLOAT FLOAT16 INT8 UINT8 INT16 INT32 INT64 BOOL".split())
FORMS = ("arriving", "known")
STATES = ("passed", "failed", "refused", "crashed")

Sets = list[tuple[list[Array], list[Array]]]


class Refused(Exception):
    """The compiler has said in a sentence that it does not take the model."""


@dataclass(frozen=True)
class Example:
    """One test: its name below the folder, and the file of its model."""

    name: str
    file: Path

    @property
    def light(self) -> bool:
        return self.file.name != "model.onnx"

    @property
    def tolerance(self) -> tuple[float, float]:
        """Relative and absolute."""
        stated = self.file.parent / "data.json"
        told = json.loads(stated.read_text()) if not self.light and stated.exists() else {}
        return told.get("rtol", 1e-3), told.get("atol", 1e-7)

    def model(self) -> onnx.ModelProto:
        return onnx.load(str(self.file))

    def sets(self, ports: Sequence[onnx.ValueInfoProto]) -> Sets:
        """Inputs and expected outputs, as often as there are."""
        if self.light:  # what is expected is of inputs whose elements are all 1
            shapes = ([size.dim_value for size in port.type.tensor_type.shape.dim] for port in ports)
            ones = [np.ones(shape, np.float32) for shape in shapes]
            return [(ones, [tensor(self.file.with_name(f"{self.file.stem}_output_0.pb"))])]
        folders = sorted(self.file.parent.glob("test_data_set_*"))
        return [(tensors(folder, "input"), tensors(folder, "output")) for folder in folders]


def tensor(file: Path) -> Array:
    return np.asarray(numpy_helper.to_array(TensorProto.FromString(file.read_bytes())))


def tensors(folder: Path, kind: str) -> list[Array]:
    files = sorted(folder.glob(f"{kind}_*.pb"), key=lambda file: int(file.stem.rpartition("_")[2]))
    return [tensor(file) for file in files]


def examples(root: Path) -> Iterator[Example]:
    """All tests below a folder, without what functions expand to: those are tests of other operators."""
    for file in sorted(root.rglob("*.onnx")):
        kind = file.parent if file.name == "model.onnx" else file.with_suffix("")
        if "_expanded" not in kind.name and (file.name == "model.onnx" or kind.name.startswith("light_")):
            yield Example(kind.relative_to(root).as_posix(), file)


def set_aside(example: Example) -> str:
    """Why a test is none of this compiler; '' for the others."""
    proto = example.model()
    for why, pattern in NAMES_ASIDE.items():
        if re.search(pattern, example.name):
            return why
    operators = {node.op_type for node in proto.graph.node}
    for why, names in ASIDE.items():
        if operators & set(names.split()):
            return why
    kinds = [port.type for port in (*proto.graph.input, *proto.graph.output)]
    if any(kind.WhichOneof("value") != "tensor_type" for kind in kinds):
        return "sequences and optional values as inputs or outputs"
    found = {TensorProto.DataType.Name(kind.tensor_type.elem_type) for kind in kinds}
    return "" if found <= ELEMENTS else f"elements of other types than {', '.join(sorted(ELEMENTS))}"


# One test, in a worker.


def arriving(proto: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    known = {weights.name for weights in proto.graph.initializer}
    return [port for port in proto.graph.input if port.name not in known]


def with_known(proto: onnx.ModelProto, feeds: Mapping[str, Array]) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """All inputs but the first as weights, as exported networks have them; and what still arrives."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    first, *others = feeds
    for port in [port for port in copy.graph.input if port.name in others]:
        weights = numpy_helper.from_array(feeds[port.name], port.name)
        copy.graph.initializer.append(weights)
        copy.graph.input.remove(port)
    return copy, {first: feeds[first]}


def check(example: Example, form: str, folder: Path) -> None:
    """Raises AssertionError for a wrong answer, Refused, or whatever should not be."""
    proto = example.model()
    ports = arriving(proto)
    for inputs, wanted in example.sets(ports):
        if len(inputs) == len(proto.graph.input):
            ports = list(proto.graph.input)
        feeds = {port.name: data for port, data in zip(ports, inputs, strict=True)}
        one, given = with_known(proto, feeds) if form == "known" else (proto, feeds)
        compare(called(one, given, folder), wanted, *example.tolerance)


def called(proto: onnx.ModelProto, feeds: dict[str, Array], folder: Path) -> tuple[Array, ...]:
    """The outputs by native code, compiled for the shapes of these inputs where the model leaves them open."""
    import cnncc
    from cnncc.errors import CnnccError

    file = folder / "model.onnx"
    file.write_bytes(proto.SerializeToString())
    dims = {port.name: port.type.tensor_type.shape.dim for port in proto.graph.input}
    shapes = {name: data.shape for name, data in feeds.items() if not all(size.dim_value > 0 for size in dims[name])}
    try:
        with cnncc.compile(file, shapes=shapes or None, cache=False) as model:
            found = model(feeds)
    except CnnccError as error:
        raise Refused(str(error).replace(f"{folder}/", "")) from None
    return found if isinstance(found, tuple) else (found,)


def compare(found: Sequence[Array], wanted: Sequence[Array], rtol: float, atol: float) -> None:
    assert len(found) >= len(wanted), f"{len(found)} outputs instead of {len(wanted)}"
    for place, (one, other) in enumerate(zip(found, wanted, strict=False)):
        assert one.dtype == other.dtype, f"output {place} is of {one.dtype} instead of {other.dtype}"
        assert one.shape == other.shape, f"output {place} is of shape {one.shape} instead of {other.shape}"
        wide = one.astype(np.float64), other.astype(np.float64)
        if not np.allclose(*wide, rtol=rtol, atol=atol, equal_nan=True):
            raise AssertionError(f"output {place} differs by {np.nanmax(np.abs(wide[0] - wide[1])):.3g}")


Tasks = list[tuple[Example, str]]


def work(connection: Connection, tasks: Tasks) -> None:
    """What a worker does: the task of each number that it is sent."""
    warnings.simplefilter("ignore")
    os.environ.setdefault("CNNCC_CONSTANT_BYTES", str(CONSTANTS))

    def one(number: int) -> Finding:
        check(*tasks[number], Path(folder))
        return Finding()

    with tempfile.TemporaryDirectory() as folder:
        answer(connection, one)


# What came of all tests.

Outcomes = dict[str, dict[str, tuple[str, str]]]
"""For each test and form its state, and why."""


def outcome(failure: str) -> tuple[str, str]:
    kind, _, why = failure.partition("\n")[0].partition(": ")
    states = {"": "passed", "AssertionError": "failed", "Refused": "refused"}
    return (states[kind], why) if kind in states else ("crashed", failure.strip().replace("\n", " ")[-300:])


def run(tasks: Tasks, workers: int | None) -> list[tuple[str, str]]:
    report = run_job(range(len(tasks)), Job(work, tasks, PATIENCE), workers=workers)
    return [outcome(report.failures.get(number, "")) for number in range(len(tasks))]


def outcomes(tests: Sequence[Example], quick: bool, workers: int | None) -> Outcomes:
    """All tests in their forms."""
    found: Outcomes = {test.name: {} for test in tests}
    for form in FORMS:
        tasks = [(test, form) for test in tests if form == FORMS[0] or _has_more_forms(test)]
        if quick:
            tasks = [(test, form) for test, form in tasks if state(found[test.name]) != "passed"]
        for (test, _), told in zip(tasks, run(tasks, workers), strict=True):
            found[test.name][form] = told
    return found


def _has_more_forms(test: Example) -> bool:
    proto = test.model()
    return len(proto.graph.node) == 1 and len(arriving(proto)) > 1


def state(forms: Mapping[str, tuple[str, str]]) -> str:
    """Of a test; what is wrong in any of its forms is wrong, and a crash is worse."""
    told = {state for state, _ in forms.values()}
    worst = [name for name in ("crashed", "failed") if name in told]
    return worst[0] if worst else "passed" if "passed" in told else "refused"


def unexpected(name: str, forms: Mapping[str, tuple[str, str]]) -> str:
    """What the lists of known failures do not say, or say and is not so any more."""
    (expected, reason), told = known(name), state(forms)
    if told == expected:
        return ""
    why = "; ".join(f"{form}: {state}: {why}" for form, (state, why) in forms.items() if state != "passed")
    return f"{told}, listed as {expected}, {reason}. {why}" if reason else why


def summary(found: Outcomes) -> Iterator[str]:
    """A line for each set of tests, and one for all of them."""
    sets: dict[str, Counter[str]] = {}
    for name, forms in found.items():
        sets.setdefault(name.partition("/")[0], Counter())[state(forms)] += 1
    if len(sets) > 1:
        sets["all"] = sum(sets.values(), Counter())
    for kind, counts in sets.items():
        total = counts.total()
        told = ", ".join(f"{counts[state]} {state}" for state in STATES)
        yield f"{kind:18} {total:5} tests: {told}; {counts['passed'] / total:.1%} passed"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path(onnx.__file__).parent / "backend" / "test" / "data"
    )
    parser.add_argument("--only", default="*", metavar="PATTERN", help="tests of these names, such as 'node/*resize*'")
    parser.add_argument("--quick", action="store_true", help="the second form only where the first one does not pass")
    parser.add_argument("--workers", type=int, default=None, help="processes (default: one for each core)")
    options = parser.parse_args()
    tests = [test for test in examples(options.folder) if fnmatch(test.name, options.only)]
    aside = {test.name: set_aside(test) for test in tests}
    print("\n".join(f"set aside: {count:4} {why}" for why, count in Counter(filter(None, aside.values())).items()))
    found = outcomes([test for test in tests if not aside[test.name]], options.quick, options.workers)
    surprises = {name: why for name, forms in found.items() if (why := unexpected(name, forms))}
    print("\n".join(f"{name}: {why}" for name, why in surprises.items()))
    print("\n".join(summary(found)))
    print(f"{len(surprises)} not as listed")
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main())
