"""PyTorch's own samples of its operators: `python -m tests.torch.op_db [--only PATTERN] [--seed 0] [--workers 1]`.

`op_db` (torch.testing._internal) has inputs and arguments for every operator, with which PyTorch tests itself. Each
sample of float32 of the operators that convolutional networks have (`OPERATORS`) becomes a module of one line,
`cnncc.from_torch` takes it, and

  - native code lies within its derived bound of the interpreter (`cnncc.check`);
  - what PyTorch computes in float64 lies within the same bound of the interpreter, or else what it computes in float32
    does within `OTHERS` bounds (some operators have constants that depend on the type of the elements).

Samples that take or give complex numbers, float64 or bfloat16 are set aside, and those without elements if they are
refused. `op_db_known.py` lists what does not pass, with a reason each. Exit code 1 if anything else does not pass, or
if something listed does. Needs the packages torch, onnxscript and expecttest.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.util import find_spec
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from cnncc.check.bound import Bound, compare
from cnncc.types import Array
from tests.fuzz.check import Finding
from tests.fuzz.run import Job, answer, run_job
from tests.onnx.backend import PATIENCE, Refused, outcome

from .op_db_known import OPERATORS, OTHER, known

OTHERS = 16.0
HALF = 2.0**-24
"""PyTorch's results in float64 are rounded once to float32."""

Task = tuple[str, int, int]
"""The name of an operator with its variant, the number of a sample, and a seed."""


@functools.cache
def operators() -> dict[str, Any]:
    """The rows of op_db by name and variant, such as 'F.conv2d' and 'std.unbiased'."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of packages that PyTorch's own tests would like
        from torch.testing._internal.common_methods_invocations import op_db

    wanted = {f"{prefix}{name}" for prefix, text in OPERATORS.items() for name in text.split()}
    rows = [row for row in op_db if row.name in wanted]
    return {
        f"{row.name} {row.variant_test_name}".strip().replace("nn.functional.", "F.").replace(" ", "."): row
        for row in rows
    }


@functools.lru_cache(maxsize=2)
def samples(name: str, seed: int) -> list[Any]:
    """Of float32; the same ones for the same seed."""
    import torch

    torch.manual_seed(seed)
    return list(operators()[name].sample_inputs("cpu", torch.float32, requires_grad=False))


@dataclass(frozen=True)
class Parts:
    """A sample as tensors, which are the module's arguments, and everything else, which it knows."""

    leaves: list[Any]
    shape: Any
    places: list[int]

    drops: bool
    """Whether the call drops elements at random."""

    @property
    def tensors(self) -> list[Any]:
        return [self.leaves[place] for place in self.places]


def parts(sample: Any) -> Parts:
    import torch

    leaves, shape = torch.utils._pytree.tree_flatten((sample.input, sample.args, sample.kwargs))
    places = [k for k, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
    return Parts(leaves, shape, places, bool(sample.kwargs.get("dropout_p")))


def module_of(operator: Any, given: Parts) -> Any:
    """A module whose forward is a call of the operator."""
    import torch

    class Call(torch.nn.Module):
        def forward(self, *tensors: Any) -> Any:
            leaves = list(given.leaves)
            for place, tensor in zip(given.places, tensors, strict=True):
                leaves[place] = tensor
            x, args, kwargs = torch.utils._pytree.tree_unflatten(leaves, given.shape)
            found = operator(x, *args, **kwargs)
            return tuple(each for each in torch.utils._pytree.tree_leaves(found) if isinstance(each, torch.Tensor))

    return Call()


# One sample, in a worker


def check(task: Task) -> Finding:
    """Raises AssertionError for a wrong number, Refused, or whatever should not be."""
    import torch

    import cnncc
    from cnncc.check.tolerance import bounds
    from cnncc.errors import CnnccError
    from tests.graphs import compilation, expected, native, worst_ratio

    name, number, seed = task
    given = parts(samples(name, seed)[number])
    module = module_of(operators()[name].get_op(), given)
    with torch.no_grad():
        plain = [np.asarray(each) for each in module(*(tensor.clone() for tensor in given.tensors))]
    if why := aside(given, plain):
        return Finding(ops=Counter({why: 1}))
    try:
        graph = cnncc.from_torch(module, tuple(given.tensors))
        feeds = dict(zip(graph.inputs, (tensor.numpy() for tensor in given.tensors), strict=True))
        program = compilation(graph)
        found = native(program, feeds)
        finding = Finding(worst_ratio(found, expected(program, feeds)), Counter({"compared": 1}))
        values = bounds(graph, feeds)
    except CnnccError as error:
        if any(0 in tensor.shape for tensor in given.tensors):
            return Finding(ops=Counter({"refused without elements": 1}))
        raise Refused(str(error)) from None
    assert len(found) == len(plain), f"{len(found)} outputs instead of {len(plain)}"
    exact = exactly(module, given)
    for place, (output, value) in enumerate(graph.outputs.items()):
        assert found[output].dtype == plain[place].dtype, f"{found[output].dtype} instead of {plain[place].dtype}"
        agree(values[value], plain[place], exact[place] if exact else None, found[output])
    return finding


def aside(given: Parts, results: Sequence[Array]) -> str:
    """Why a sample is none of this compiler; '' for the others."""
    if not given.places:
        return "no tensor arrives"
    if given.drops:
        return "random numbers"
    if not results:
        return "no tensor results"
    arrays = [*(np.asarray(tensor) for tensor in given.tensors), *results]
    return "complex numbers or float64" if any(array.dtype.name in OTHER for array in arrays) else ""


def exactly(module: Any, given: Parts) -> list[Array] | None:
    """PyTorch's results in float64; None where the sample is of float32 otherwise."""
    import torch

    wide = [tensor.double() if tensor.is_floating_point() else tensor.clone() for tensor in given.tensors]
    try:
        with torch.no_grad():
            return [np.asarray(each) for each in module(*wide)]
    except RuntimeError:
        return None


def agree(bound: Bound, plain: Array, exact: Array | None, found: Array) -> None:
    """The interpreter with PyTorch in float64 within the bound, or in float32 within several bounds."""
    told = []
    for other, factor in ((exact, 1.0), (plain, OTHERS)):
        if other is not None:
            with np.errstate(all="ignore"):
                held = other.astype(plain.dtype)
                rounding = HALF * np.abs(held) if bound.is_float else 0.0
                near = Bound(bound.reference, factor * bound.error + np.where(np.isfinite(rounding), rounding, 0.0))
            comparison = compare(held, near)
            if comparison.ok:
                return
            at = comparison.index
            told.append(
                f"at {at}: {found[at]!r}, not {held[at]!r}, {comparison.worst_ratio:.3g} times {near.error[at]:.3g}"
            )
    raise AssertionError("; ".join(told))


def work(connection: Connection, tasks: Sequence[Task]) -> None:
    """What a worker does: the task of each number that it is sent."""
    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    share_registry()
    answer(connection, lambda number: check(tasks[number]))


def share_registry() -> None:
    """Let all exports of this process read one table of translations: to make it takes most of their time."""
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    ONNXRegistry.from_torchlib = staticmethod(functools.cache(ONNXRegistry.from_torchlib))


# All samples


def tasks_of(pattern: str, seed: int, most: int) -> list[Task]:
    """The samples of operators whose name fits; of one that has more than `most`, so many, evenly spread."""
    found = []
    for name in filter(lambda name: fnmatch(name, pattern), operators()):
        count = len(samples(name, seed))
        found += [(name, place * count // min(most, count), seed) for place in range(min(most, count))]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="*", metavar="PATTERN", help="operators of these names, such as 'F.conv*'")
    parser.add_argument("--most", type=int, default=40, help="samples of an operator, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=None, help="processes (default: one for each core)")
    options = parser.parse_args()
    missing = [name for name in ("torch", "onnxscript", "expecttest") if find_spec(name) is None]
    if missing:
        print(f"skipped: this needs {', '.join(missing)}: pip install torch onnxscript expecttest")
        return 0
    warnings.simplefilter("ignore")
    os.environ.setdefault("CNNCC_CACHE", "off")
    tasks = tasks_of(options.only, options.seed, options.most)
    report = run_job(range(len(tasks)), Job(work, tasks, PATIENCE), workers=options.workers)
    states: Counter[str] = Counter()
    surprises = 0
    for number, (name, place, _) in enumerate(tasks[: report.done]):
        state, why = outcome(report.failures.get(number, ""))
        listed, reason = known(name, place)
        states[state] += 1
        if state != listed:
            surprises += 1
            print(f"{name}/{place}: {state}{f', listed as {listed}, {reason}' if reason else ''}: {why}", flush=True)
    aside = report.done - len(report.failures) - report.total.ops["compared"]
    counted = report.done - aside
    told = ", ".join(f"{count} {state}" for state, count in states.items())
    share = (states["passed"] - aside) / max(1, counted)
    print(f"{len(operators())} operators, {report.done} samples in {report.seconds:.0f} s: {told}; {report.coverage()}")
    print(f"{share:.1%} of the {counted} samples compared passed; {surprises} not as listed")
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main())
