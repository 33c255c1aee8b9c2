"""Arguments that several verbs share, and how they become options of the compiler."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..sizes import ANY, Size, is_open, listed

if TYPE_CHECKING:
    from ..cache.sources import OnnxFile
    from ..compiler import Compilation, Options
    from ..frontends.image import Image
    from ..machine.target import Target
    from ..objects.regions import Regions
    from ..plan import PlanOptions
    from ..timings import Stopwatch

Parser = argparse.ArgumentParser


def add_model(parser: Parser, what: str = "model script (.py) or ONNX file (.onnx)") -> None:
    parser.add_argument("model", metavar="MODEL", help=what)
    parser.add_argument(
        "--shape",
        type=_shape,
        action="append",
        metavar="INPUT=N,…",
        help="shape of an input that an ONNX file leaves open, as x=1,3,48,192; several are several sizes",
    )
    parser.add_argument(
        "--fix",
        type=_value,
        action="append",
        metavar="INPUT=VALUE,…",
        help="make an input of an ONNX file a constant, as rate=16000; may be repeated",
    )
    parser.add_argument(
        "--output",
        dest="cuts",
        action="append",
        metavar="LAYER",
        help="end the model at this layer, or tensor of an ONNX file, in place of its outputs; may be repeated",
    )
    parser.add_argument(
        "--convert",
        action="store_true",
        help="compute float64 of an ONNX file in float32; convert input arrays of other elements, exactly or rounded",
    )


def add_image(parser: Parser) -> None:
    parser.add_argument(
        "--image",
        action="append",
        metavar="INPUT=WORD,…",
        help="frames of a camera at an input of floats, as x=640x480,uint8,NHWC,BGR,resize=224x224,mean=…,std=…",
    )


def _value(text: str) -> tuple[str, list[int | float] | int | float]:
    """A name and its number, or its several, for argparse."""
    name, _, given = text.rpartition("=")
    try:
        values = [_number(word) for word in given.split(",")]
    except ValueError:
        values = []
    if not name or not values:
        raise argparse.ArgumentTypeError(f"'{text}' is no value of an input: expected INPUT=VALUE,…, as rate=16000")
    return name, values if len(values) > 1 else values[0]


def _number(text: str) -> int | float:
    """A whole number where it is one: the largest ones are no floats. Raises ValueError for anything else."""
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 20 else float(text)


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    """A name and its dimensions for argparse; the word that stands for every size is a name alone."""
    if text == ANY:
        return text, ()
    name, _, sizes = text.rpartition("=")
    if not name:
        raise argparse.ArgumentTypeError(f"'{text}' is not a shape: expected INPUT=N,…, as x=1,3,48,192")
    return name, tuple(at_least(0)(size) for size in sizes.split(","))


def add_target(parser: Parser) -> None:
    parser.add_argument("--target", default="host", metavar="NAME", help="machine to compile for (default: host)")


def add_precision(parser: Parser) -> None:
    parser.add_argument(
        "--precision",
        type=one_of("precision", ("fast", "strict")),
        default="fast",
        metavar="fast|strict",
        help="'fast' allows rewrites that round otherwise, within stated bounds; 'strict' does not (default: fast)",
    )


def add_weights(parser: Parser) -> None:
    parser.add_argument(
        "--weights",
        default="float32",
        metavar="float32|float16[,replaceable]",
        help="'float16' stores the weights of convolutions and dense layers in half the bytes, within wider bounds; "
        "'replaceable' lets `cnncc weights` pack others for the same code (default: float32)",
    )


def add_passes(parser: Parser) -> None:
    parser.add_argument("--passes", default="", metavar="-NAME,…", help="leave these passes out")


def add_checked(parser: Parser) -> None:
    parser.add_argument("--checked", action="store_true", help="test the bounds of every memory access at run time")


def add_cache(parser: Parser) -> None:
    parser.add_argument("--no-cache", action="store_true", help="neither read nor write the cache of compiled models")


def add_threads(parser: Parser) -> None:
    parser.add_argument(
        "--threads", type=at_least(1), default=1, metavar="N", help="cores that a call uses (default: 1)"
    )


def add_compiling(parser: Parser) -> None:
    """Everything that decides what is compiled."""
    add_image(parser)
    add_target(parser)
    add_precision(parser)
    add_weights(parser)
    add_passes(parser)
    add_checked(parser)
    parser.add_argument("--plan", metavar="FILE", help="take the choices that --save-plan wrote")
    parser.add_argument(
        "--minimise",
        type=one_of("minimise", ("time", "memory")),
        default="time",
        metavar="time|memory",
        help="'memory' takes the plan whose workspace is smallest (default: time)",
    )


LEARNING = {"loss": "cross-entropy", "optimiser": "sgd", "train": None, "clip": None}
"""What a step of training is made of, if nothing is said."""


def add_learning(parser: Parser) -> None:
    """What a step of training is made of."""
    parser.add_argument("--loss", metavar="NAME", help="default: cross-entropy")
    parser.add_argument("--optimiser", metavar="NAME", help="sgd (momentum 0.9; default) or adamw")
    parser.add_argument(
        "--train", action="append", metavar="PATTERN", help="names of parameters that learn (default: all)"
    )
    parser.add_argument("--clip", type=float, metavar="NORM", help="largest norm of all gradients together")
    parser.set_defaults(**LEARNING)


def add_timings(parser: Parser) -> None:
    parser.add_argument("--timings", action="store_true", help="tell on standard error what each stage took")


def one_of(what: str, known: Sequence[str]) -> Callable[[str], str]:
    """A choice for argparse, refused in our words."""

    def chosen(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(f"unknown {what} '{text}', expected one of {', '.join(known)}")
        return text

    chosen.known = known  # type: ignore[attr-defined] # which `completion` offers
    return chosen


def at_least(least: int) -> Callable[[str], int]:
    """A whole number for argparse."""

    def number(text: str) -> int:
        # More digits than any sensible number has; int() itself refuses some thousands of them.
        if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) >= least):
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least {least}")
        return int(text)

    return number


def counts(text: str) -> tuple[int, ...]:
    """Several numbers of at least 1 for argparse, as 1,2."""
    return tuple(map(at_least(1), text.split(",")))


def size(text: str) -> int:
    """A number of bytes for argparse, as 32768, 32K or 1M."""
    unit = {"K": 1 << 10, "M": 1 << 20}.get(text[-1:].upper(), 0)
    return at_least(1)(text[:-1] if unit else text) * (unit or 1)


def seconds(text: str) -> float:
    """A time for argparse: more than nothing, less than a day."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < 86400:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds")
    return number


def options(arguments: argparse.Namespace) -> Options:
    """The compiler's options. Raises UsageError for an unknown pass or a wrong plan, TargetError for no such target."""
    from ..compiler import Options, resolve_target, storage

    target = resolve_target(arguments.target)
    stored, replaceable = storage(arguments.weights)
    plan = planned(getattr(arguments, "plan", None), target)
    if arguments.minimise == "memory":
        plan = replace(plan, streaming="memory")
    return Options(
        target,
        arguments.precision,
        passes_off(arguments.passes),
        getattr(arguments, "checked", False),
        replace(plan, replaceable=replaceable),
        weights=stored,
        convert=arguments.convert,
        regions=placed(getattr(arguments, "place", None), target),
    )


def placed(text: str | None, target: Target) -> Regions:
    """What --place names. Raises what `regions` raises."""
    from ..objects.regions import Regions, regions

    return Regions() if text is None else regions(text, target)


def emulated(arguments: argparse.Namespace) -> str:
    """What runs code for the target where this machine does not; empty where it does.

    Raises TargetError for an unknown target, and where nothing here runs it.
    """
    from ..compiler import resolve_target
    from ..emulation.emulators import emulators_for
    from ..emulation.run import is_foreign

    target = resolve_target(arguments.target)
    return emulators_for(target)[0].told if is_foreign(target) else ""


def planned(file: str | None, target: Target) -> PlanOptions:
    """What --plan names. Raises UsageError for a file that is no plan."""
    from ..plan import PlanOptions

    if file is None:
        return PlanOptions()
    from ..plan.saved import load

    return load(file, target)


def passes_off(text: str) -> tuple[str, ...]:
    """The names in `-fuse,-separable`. Raises UsageError for what is not there or has no minus."""
    if not text:
        return ()
    from ..passes import PIPELINE

    known = dict.fromkeys(step.name for step in PIPELINE)
    names = []
    for word in filter(None, text.split(",")):
        if not word.startswith("-"):
            raise UsageError(f"--passes takes the passes to leave out, each as -NAME, got '{word}'")
        if word[1:] not in known:
            raise UsageError(f"unknown pass '{word[1:]}': expected some of {', '.join(known)}")
        names.append(word[1:])
    return tuple(names)


def compilation(arguments: argparse.Namespace, stopwatch: Stopwatch | None = None) -> Compilation:
    """The model on its way; options are looked at first, since they cost nothing. A stopwatch that is given goes on."""
    from ..compiler import Compilation
    from ..source import open_source, with_frames
    from ..timings import Stopwatch
    from .progress import Compiling

    chosen, stopwatch = options(arguments), stopwatch or Stopwatch(Compiling())
    with stopwatch.stage("read"):
        given = arguments.convert, fixed(arguments)
        network = open_source(arguments.model, shapes(arguments), arguments.cuts, *given)
        source = with_frames(network, images(arguments))
    return Compilation(source, chosen, stopwatch)


def shapes(arguments: argparse.Namespace) -> Any:
    """What --shape gives, as `compile` takes it: shapes by name, of an input that has several a list; "any"; None.

    Raises UsageError for "any" beside others.
    """
    found: dict[str, list[tuple[int, ...]]] = {}
    if (ANY, ()) in (arguments.shape or ()):
        if len(arguments.shape) > 1:
            raise UsageError(f"--shape {ANY} is given beside another one")
        return ANY
    for name, shape in arguments.shape or ():
        found.setdefault(name, []).append(shape)
    return {name: given[0] if len(given) == 1 else given for name, given in found.items()} or None


def each_size(arguments: argparse.Namespace) -> Iterator[tuple[Size, argparse.Namespace]]:
    """The arguments for each of several sizes, with the size; those for one size as they are, without it.

    Raises UsageError for what takes one size only.
    """
    given = shapes(arguments)
    if not is_open(given):
        yield {}, arguments
        return
    expect_listed(given)
    expect_untuned(arguments)
    for size in listed(given):
        yield size, argparse.Namespace(**{**vars(arguments), "shape": list(size.items())})


def expect_listed(given: Any) -> None:
    """Raise UsageError where sizes have to be known."""
    if given == ANY:
        raise UsageError(
            f"--shape {ANY} is for run, which takes the sizes of its files: give one --shape for each size"
        )


def expect_untuned(arguments: argparse.Namespace, why: str = "takes one size: give one --shape for each input") -> None:
    """Raise UsageError for what is chosen for one program."""
    for option in ("--tune", "--save-plan", "--plan"):
        if getattr(arguments, option[2:].replace("-", "_"), None):
            raise UsageError(f"{option} {why}")


def onnx_source(arguments: argparse.Namespace) -> OnnxFile:
    """The ONNX file of a model whose sizes are open. Raises UsageError for another model."""
    from ..cache.sources import OnnxFile
    from ..source import ONNX_ONLY, open_source

    if arguments.image:
        raise UsageError("--image goes with one size of the network: without a size of its own it takes frames of any")
    source = open_source(arguments.model, None, arguments.cuts, arguments.convert, fixed(arguments))
    if not isinstance(source, OnnxFile):
        raise UsageError(ONNX_ONLY)
    return source


def fixed(arguments: argparse.Namespace) -> dict[str, Any]:
    """What --fix gives by name."""
    return dict(arguments.fix or ())


def images(arguments: argparse.Namespace) -> dict[str, Image] | None:
    """What --image gives by name. Raises UsageError for words that mean nothing."""
    if not arguments.image:
        return None
    from .frames import images_of

    return images_of(arguments.image)


def tell_timings(compilation: Compilation | Stopwatch, arguments: argparse.Namespace) -> None:
    """With --timings, a line for each stage on standard error, and one for all."""
    from ..terminal import tell

    if arguments.timings:
        timings = compilation.timings
        rows = [(timing.stage, timing.seconds) for timing in timings]
        rows.append(("all", sum(timing.seconds for timing in timings)))
        tell("".join(f"{seconds:9.3f} s  {stage}\n" for stage, seconds in rows))
