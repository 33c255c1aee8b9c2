"""From a network to the graph of its training step: states in place of parameters, a loss, its gradient, updates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ..batching import each_image, with_images
from ..elements import FLOAT16, FLOAT32, INT32
from ..errors import CnnccError, UsageError
from ..expr import Arg, minimum, sqrt
from ..gradient import backward
from ..ir import Builder, Graph, Node, Value
from ..op import Constant
from ..ops import Cast, ReduceSumSquare, Sum
from ..types import TensorType
from .arguments import expect_rate
from .losses import LOSS, WANTED, Loss, judged
from .net import Net
from .optimisers import Optimiser

RATE = "rate"
TINY = 1e-6  # beside a norm that may be 0


@dataclass(frozen=True)
class Training:
    """The graph of a step, and what its inputs and states mean.

    Its inputs are those of the network, `wanted`, `rate` and the `noises`; its outputs the loss, and how many
    predictions are correct if that means something. `parameters` are the states that were weights of the network, those
    of `trained` by gradients; all other states are the optimiser's. `classes` is how many labels there are, if what is
    wanted are labels.
    """

    graph: Graph
    wanted: str
    rate: str
    noises: Mapping[str, TensorType]
    parameters: tuple[str, ...]
    trained: tuple[str, ...]
    classes: int | None


def training(
    graph: Graph,
    *,
    loss: Loss,
    optimiser: Optimiser,
    batch: int,
    train: Sequence[str] | None = None,
    clip: float | None = None,
) -> Training:
    """The training step of a network for batches of so many images.

    `train` are patterns for the names of the parameters that are trained (all, if it is None); the others stay
    constants. `clip` is the largest norm of all gradients together. Raises UsageError for patterns that match nothing,
    for a norm that is not positive and finite and for a network that the loss does not fit, ModelError for a layer
    without a gradient, and for a parameter that no gradient reaches.
    """
    if clip is not None:
        expect_rate(clip, "clip")
    trained = chosen(graph, train)
    net = in_training_form(with_images(each_image(graph), batch), trained)
    prediction = net.made[predicted(graph, loss)]
    top = net.net.at(LOSS)
    wanted = net.new_input(WANTED, loss.wanted(top.type(prediction)))
    rate = net.new_input(RATE, TensorType((), FLOAT32))
    forward = net.builder.graph(judged(top, loss, prediction, wanted))
    back = backward(forward, LOSS, forward.outputs[LOSS], {name: Value(name) for name in trained})
    builder, whole = back.new.builder, back.new.made
    updates = Net(builder, set(trained))
    slopes = [back.gradients[name] for name in trained]
    if clip is not None:
        slopes = clipped(updates.at("clip"), slopes, clip)
    step = updates.at(type(optimiser).__name__.lower())
    shared = optimiser.prepare(step)
    for name, slope in zip(trained, slopes, strict=True):
        optimiser.update(step, name, Value(name), slope, rate, shared)
    made = builder.graph({name: whole.get(value, value) for name, value in forward.outputs.items()})
    labels = forward.type(wanted).dtype is INT32
    classes = forward.type(prediction).shape[1] if labels else None
    parameters = tuple(net.parameters)
    return Training(made, wanted.node, rate.node, net.net.noises, parameters, tuple(trained), classes)


def parameters_of(graph: Graph) -> list[str]:
    """The constants that are parameters, in their order: floats, not the first input of a layer, as weights, biases and
    scales are, but no single number and no statistics."""
    kept = {value for node in graph for place in node.op.statistics for value in node.inputs[place : place + 1]}
    read = {value for node in graph for value in node.inputs[1:]} - kept
    return [node.name for node in graph if _is_parameter(node) and Value(node.name) in read]


def _is_parameter(node: Node) -> bool:
    return isinstance(node.op, Constant) and node.types[0].dtype is FLOAT32 and node.types[0].size > 1


def chosen(graph: Graph, train: Sequence[str] | None) -> list[str]:
    """The parameters whose names match a pattern. Raises UsageError where one matches none, or there are none."""
    known = parameters_of(graph)
    if isinstance(train, str):
        train = (train,)
    if train is not None and not (
        isinstance(train, Sequence) and train and all(isinstance(pattern, str) for pattern in train)
    ):
        raise UsageError(f"train={train!r}: expected patterns for names of parameters, such as ('head.*',)")
    for pattern in train or ():
        if not any(fnmatchcase(name, pattern) for name in known):
            names = ", ".join(map(repr, known[:6])) + (", …" if len(known) > 6 else "")
            raise UsageError(
                f"train: '{pattern}' matches no parameter of model '{graph.name}': it has {names or 'none'}"
            )
    found = [name for name in known if train is None or any(fnmatchcase(name, pattern) for pattern in train)]
    if not found:
        raise UsageError(f"model '{graph.name}' has nothing to train: no layer has weights")
    return found


def learned(graph: Graph, train: Sequence[str] | None) -> list[str]:
    """The constants that training changes: those of `chosen`, and statistics. Raises what `chosen` raises."""
    trained = chosen(graph, train)
    return [*trained, *statistics(graph, set(trained))]


@dataclass
class TrainingForm:
    """The network in its training form; `made` are the values that stand for those of the graph."""

    graph: Graph
    net: Net
    made: dict[Value, Value]
    parameters: list[str]

    @property
    def builder(self) -> Builder:
        return self.net.builder

    def new_input(self, name: str, type: TensorType) -> Value:
        return self.builder.input(self.builder.unique(name), type)


def predicted(graph: Graph, loss: Loss) -> Value:
    """What a loss takes: the only output, or what its last layer takes if the loss takes that into itself.

    Of an output that leaves as a float of 16 bits, it is the value before its rounding.
    """
    if len(graph.outputs) != 1:
        names = ", ".join(map(repr, graph.outputs))
        raise UsageError(
            f"a loss takes one output, model '{graph.name}' has {names}: cut it with outputs= (on the command line "
            "--output)"
        )
    (value,) = graph.outputs.values()
    if graph.type(value).dtype is FLOAT16 and graph[value.node].op.name == Cast.__name__:
        (value,) = graph[value.node].inputs
    last = graph[value.node]
    along = getattr(last.op, "axis", 1) % max(last.types[0].rank, 1)
    return last.inputs[0] if last.op.name == loss.final and along == 1 else value


def in_training_form(graph: Graph, trained: Iterable[str]) -> TrainingForm:
    """The graph with states for what is trained, and for the statistics that are kept beside it."""
    learned = set(trained)
    kept = statistics(graph, learned)
    builder = Builder(f"{graph.name}_step", graph.labels)
    form = TrainingForm(graph, Net(builder, learned), {}, [])
    for node in graph:
        if isinstance(node.op, Constant) and node.name in learned | kept:
            builder.state(node.op.data, node.name, node.where)
            form.parameters.append(node.name)
            results: Sequence[Value] = node.values
        elif node.op.source:
            results = builder.add(node.op, (), node.name, node.where)
        else:
            inputs = [form.made[value] for value in node.inputs]
            try:
                results = node.op.trained(form.net.at(node.name, node.where, node.op), *inputs)
            except CnnccError as error:
                raise error.at(node.name, node.where) from None
        form.made.update(zip(node.values, results, strict=True))
    return form


def statistics(graph: Graph, learned: set[str]) -> set[str]:
    """The constants that layers with trained parameters keep statistics in."""
    return {
        node.inputs[place].node
        for node in graph
        if any(value.node in learned for value in node.inputs)
        for place in node.op.statistics
    }


def clipped(net: Net, gradients: Sequence[Value], most: float) -> list[Value]:
    """The gradients, all times min(1, most / their norm together)."""
    squares = [net.one(ReduceSumSquare(keepdims=False), gradient) for gradient in gradients]
    total = net.one(Sum(), *squares) if len(squares) > 1 else squares[0]
    factor = net.expression(minimum(1.0, most / (sqrt(Arg(0)) + TINY)), total, like=total)
    return [net.expression(Arg(0) * Arg(1), gradient, factor, like=gradient) for gradient in gradients]
