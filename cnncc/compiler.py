"""The road from a graph to an executable, from top to bottom.

The stages import their rooms when they run: a model that comes from the cache needs none of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from . import native
from .abi import WORD_BYTES
from .allowance import Allowance, allowance
from .cache import models as cache
from .cache.identity import compiler_identity
from .cache.sources import Framed, OnnxFile
from .elements import ELEMENTS
from .errors import ModelError, NativeError, TargetError, UsageError
from .machine.routines import allowed
from .machine.target import TARGETS, Target, named
from .naming import c_identifier
from .objects.regions import Regions
from .plan import PlanOptions
from .runtime.executable import BufferUse, Executable, Port, StatePort
from .timings import Stopwatch, Timing
from .version import VERSION

if TYPE_CHECKING:
    from .ir import Graph
    from .passes import Optimised
    from .plan.identity import Identity
    from .plan.plan import Plan


STORED = ("float32", "float16")
"""What weights may be stored as."""


def resolve_target(name: str | Target) -> Target:
    """The target of a name; 'host' is this machine. Raises TargetError for an unknown one."""
    if isinstance(name, Target):
        return name
    return native.host_target() if name == "host" else named(name)


VALUE_PASSES = ("groups", "separable", "subexpressions", "zero_rings")
"""What replaceable weights do without: passes that find out what the values of weights have in common."""


def storage(weights: str) -> tuple[str, bool]:
    """What weights are stored as, and whether they are replaceable: what words such as 'float16,replaceable' say.

    Raises UsageError for other words.
    """
    words = weights.split(",") if isinstance(weights, str) else [weights]
    stored = [word for word in words if word != "replaceable"] or [STORED[0]]
    if len(stored) != 1 or stored[0] not in STORED or len(words) > 2:
        known = " or ".join(map(repr, STORED))
        raise UsageError(f"unknown weights {weights!r}: expected {known}, or one of them with ',replaceable'")
    return stored[0], "replaceable" in words


def expect_storage(weights: str, target: Target) -> None:
    """Raise UsageError for weights that cannot be stored as wished, TargetError where a target cannot read them."""
    storage(weights)
    if weights == "float16" and not target.float16:
        able = ", ".join(known.name for known in TARGETS.values() if known.float16)
        raise TargetError(
            f"target '{target.name}' has no instruction that reads float16 weights: expected one of {able}, "
            "or weights of float32"
        )


def expect_alone(undefined: Sequence[str], target: Target) -> None:
    """Raise NativeError if an object needs what no runtime of a compiler has: such an object might not link."""
    if missing := sorted(set(undefined) - allowed(target)):
        raise NativeError(f"the object for target '{target.name}' would need {', '.join(missing)}: please report it")


@contextmanager
def located(graph: Graph) -> Iterator[None]:
    """What is wrong with a layer is told with the line that made it."""
    try:
        yield
    except ModelError as error:
        node = graph.nodes.get(error.node or "")
        raise error.at(error.node, node.where if node else None) from None


@dataclass(frozen=True)
class Entry:
    """What makes a compilation one of several programs of one library, which share one block of weights.

    The names of its functions end in `suffix`; it stores only the weights that the `earlier` entries do not have.
    """

    suffix: str
    earlier: tuple[Compilation, ...] = ()


@dataclass(frozen=True)
class Options:
    """Everything besides the graph that decides what is compiled.

    `precision` 'fast' allows rewrites that round differently, each with a stated bound; 'strict' does not.
    `off` names passes to leave out. `checked` tests the bounds of every memory access at run time; `profiled`
    counts the cycles of every step. `weights` is what those of convolutions and dense layers are stored as: 'float32',
    or 'float16' for half the bytes, rounded once and widened by each load. `convert` is what calls do with arrays of
    other elements, if they do not say. `regions` names sections of the objects for linker scripts.
    """

    target: Target
    precision: str = "fast"
    off: tuple[str, ...] = ()
    checked: bool = False
    plan: PlanOptions = field(default_factory=PlanOptions)
    profiled: bool = False
    weights: str = "float32"
    convert: bool = False
    regions: Regions = field(default_factory=Regions)


class Compilation:
    """One graph on its way to machine code; each stage is computed when it is first asked for.

    The graph in a file is such a stage as well: an executable from the cache does without it. `timings` has what the
    stages took so far; a stopwatch that is given goes on.
    """

    def __init__(
        self,
        source: Graph | OnnxFile | Framed,
        options: Options,
        stopwatch: Stopwatch | None = None,
        entry: Entry | None = None,
    ):
        self.source, self.options, self.entry = source, options, entry
        self.stopwatch = stopwatch or Stopwatch()
        if options.precision not in ("fast", "strict"):
            raise UsageError(f"unknown precision '{options.precision}': expected 'fast' or 'strict'")
        expect_storage(options.weights, options.target)

    @cached_property
    def graph(self) -> Graph:
        """The graph as it was given. Raises for a file what `load_graph` raises."""
        if not isinstance(self.source, OnnxFile | Framed):
            return self.source
        with self.stopwatch.stage("read"):
            return self.source.graph

    @property
    def timings(self) -> tuple[Timing, ...]:
        """The seconds that each stage took so far, with what it imported: read, passes, plan, code, object, cache."""
        return self.stopwatch.timings

    @cached_property
    def _allowance(self) -> Allowance:
        """What passes and plan may make of the graph's constants."""
        return Allowance()

    @cached_property
    def symbol(self) -> str:
        """The C identifier that prefixes the names of all functions."""
        return f"{self.library}_{self.entry.suffix}" if self.entry else self.library

    @property
    def library(self) -> str:
        """The C identifier that the weights are called after."""
        return c_identifier(self.graph.name)

    @cached_property
    def optimised(self) -> Optimised:
        """The graph after the passes, with the log of what fired."""
        graph = self.graph
        with self.stopwatch.stage("passes"), allowance(self._allowance):
            from .passes.manager import optimise

            return optimise(graph, self.options.precision, self.off)

    @property
    def off(self) -> tuple[str, ...]:
        """The names of the passes that are left out."""
        return (*self.options.off, *(VALUE_PASSES if self.options.plan.replaceable else ()))

    @cached_property
    def plan(self) -> Plan:
        """Kernels, buffers and schedule of the optimised graph."""
        strict = self.options.precision == "strict"
        optimised, weights = self.optimised.graph, ELEMENTS[self.options.weights]
        earlier = [entry.plan for entry in self.entry.earlier] if self.entry else ()
        with self.stopwatch.stage("plan"), allowance(self._allowance), located(optimised):
            from .plan.make import make_plan

            plan = make_plan(
                optimised, self.options.target, self.options.plan, strict=strict, weights=weights, earlier=earlier
            )
            return replace(plan, checked=self.options.checked)

    @cached_property
    def identity(self) -> Identity:
        """What tells the program from others: code takes no calls and no weights that were made for another."""
        from .plan.identity import Identity, fingerprint

        more = f"{VERSION} {self.options.checked} {self.options.profiled}"
        number = fingerprint(self.plan, more, weights=not self.options.plan.replaceable)
        return Identity(self.symbol, number, len(self.entry.earlier) if self.entry else 0)

    @property
    def weights(self) -> bytes:
        """The block of packed weights, which begins with the fingerprints of the programs of its library."""
        block = self.plan.weights
        if not block:
            return b""
        programs = (*(self.entry.earlier if self.entry else ()), self)
        words = b"".join(each.identity.fingerprint.to_bytes(WORD_BYTES, "little") for each in programs)
        return b"".join((words, memoryview(block)[len(words) :]))

    @cached_property
    def llvm(self) -> str:
        """The module's text."""
        plan = self.plan
        with self.stopwatch.stage("code"):
            from .codegen.llvm.emitter import LlvmEmitter
            from .codegen.program import generate

            section = self.options.regions.spelled("code", self.options.target)
            emitter = LlvmEmitter(self.options.target, checked=self.options.checked, section=section)
            return generate(emitter, plan, self.identity, profiled=self.options.profiled)

    @cached_property
    def _emitted(self) -> native.Emitted:
        text = self.llvm
        with self.stopwatch.stage("object"):
            return native.emit(text, self.options.target)

    @cached_property
    def object(self) -> bytes:
        """The code object: what the JIT loads is what the command line writes."""
        from .objects import format_of

        emitted, target = self._emitted, self.options.target
        with self.stopwatch.stage("object"):
            objects = format_of(target)
            code = objects.without_unwinding(emitted.object)
            expect_alone(objects.undefined_symbols(code), target)
            return code

    @cached_property
    def stack_bytes(self) -> int | None:
        """The most that a call takes of the stack, without what is not in the object; None where nobody knows."""
        from .codegen.llvm.stack import deepest

        emitted = self._emitted
        return deepest(self.llvm, emitted.object, emitted.frames, f"{self.symbol}_run", self.options.target)

    @cached_property
    def assembly(self) -> str:
        text = self.llvm
        with self.stopwatch.stage("object"):
            return native.emit_assembly(text, self.options.target)

    def listing(self, kind: str) -> str:
        """The code as text: LLVM's for kind 'll', assembly for kind 's'. No path and no time is in it."""
        return {"ll": lambda: self.llvm, "s": lambda: self.assembly}[kind]()

    @cached_property
    def key(self) -> str:
        """What the result depends on: the graph, the options and the compiler."""
        return hashlib.sha256(f"{compiler_identity()}\n{self.options!r}\n{self.source.hash}".encode()).hexdigest()

    def varied(self, **changes: Any) -> Compilation:
        """The same graph with other options; what passes and plan made stays, where the options that they see do."""
        other = Compilation(self.source, replace(self.options, **changes), self.stopwatch)
        if {"precision", "off"}.isdisjoint(changes):
            other.__dict__["optimised"] = self.optimised
        if changes.keys() <= {"checked", "profiled"}:
            other.__dict__["plan"] = replace(self.plan, checked=other.options.checked)
        return other

    def build(self) -> Executable:
        """All stages, without a look at the cache."""
        from .objects import format_of

        objects = format_of(self.options.target)
        plan = self.plan
        return Executable(
            name=self.graph.name,
            symbol=self.symbol,
            target=self.options.target,
            object=self.object,
            weights=self.weights,
            fingerprint=self.identity.fingerprint,
            inputs=tuple(Port(port.name, port.type, port.batched, self.graph.frame(port.name)) for port in plan.inputs),
            outputs=tuple(Port(port.name, port.type, port.batched) for port in plan.outputs),
            images=plan.images,
            batchable=plan.batchable,
            fixed=plan.fixed,
            workspace_base=plan.workspace_base,
            workspace_shard=self._shard_bytes,
            stack_bytes=self.stack_bytes,
            max_shards=plan.max_shards,
            useful_shards=plan.useful_shards,
            cycles=round(sum(step.cycles(self.options.target) for step in plan.steps)),
            sharing=self.options.plan.sharing,
            labels=self.graph.labels,
            checked=self.options.checked,
            weights_element=self.options.weights,
            steps=tuple(step.name for step in plan.steps),
            undefined=objects.undefined_symbols(self.object),
            buffers=self._buffers(),
            library=self.library if self.entry else "",
            states=tuple(StatePort(state.name, state.type, state.offset) for state in plan.states),
            state_bytes=plan.state_bytes,
            initial_state=self.initial_state,
            updates=bool(self.graph.updates),
            convert=self.options.convert,
            regions=self.options.regions,
        )

    def _buffers(self) -> tuple[BufferUse, ...]:
        from .plan.hot import hot_buffers

        return tuple(BufferUse(**{**asdict(each), "layers": tuple(each.layers)}) for each in hot_buffers(self.plan))

    @property
    def initial_state(self) -> bytes:
        """The block of all states before the first call."""
        block = bytearray(self.plan.state_bytes)
        for state in self.plan.states:
            data = self.graph.initial(state.name).tobytes()
            block[state.offset : state.offset + len(data)] = data
        return bytes(block)

    @property
    def _shard_bytes(self) -> int:
        from .codegen.program import tick_bytes

        return self.plan.shard_bytes + (tick_bytes(self.plan) if self.options.profiled else 0)

    def executable(self, *, use_cache: bool = True) -> Executable:
        """The executable: from the cache on disk if it is there, else built and remembered.

        An entry is built: the library that it belongs to is cached as a whole (`opening.library`).
        """
        if not use_cache or self.entry:
            return self.build()
        with self.stopwatch.stage("read"):
            key = self.key
        with self.stopwatch.stage("cache"):
            found = cache.load(key)
        if found is None:
            found = self.build()
            with self.stopwatch.stage("cache"):
                cache.store(key, found)
        return found
