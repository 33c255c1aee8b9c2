"""Models: named inputs and outputs, the layers between them, and the weights of these layers."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from ..errors import ModelError, caller_location
from ..history import History
from ..ir import UNNAMED, Builder, Graph, Value
from ..shown import brief, listed, shown
from ..types import Array
from .arguments import checked_name, located, whole
from .blocks import Chain, chain, checked_layer
from .inputs import Input
from .summary import Summary, summary
from .symbols import Constant, Layer, LayerCall, Parameter, Tensor
from .weights import assign, read_weights, write_weights

MAX_PARAMETERS = 2**28  # a gigabyte

Outputs = Tensor | Sequence[Tensor] | Mapping[str, Tensor]


class Model:
    """A network from `inputs` to `outputs`.

    Its `name` begins names of files and symbols; without one, a model of a script has the stem of the script.
    `outputs` is a tensor (called 'output'), a list (called 'output1', 'output2'…) or a dict of names.
    `labels` name the classes along the last axis of the first output. Parameters that have no values yet are
    initialised from `seed` and their own name, so that the order of construction does not matter. Raises
    ModelError for names used twice and for inputs that are not declared or not used.
    """

    def __init__(
        self,
        inputs: Input | Sequence[Input],
        outputs: Outputs,
        name: str | None = None,
        labels: Sequence[str] = (),
        seed: int = 0,
    ):
        self.where = caller_location()
        self.named = name is not None
        self.name = checked_name(UNNAMED if name is None else name, self.where)
        with located(None, self.where):
            self.inputs = _checked_inputs(inputs)
            self.outputs = _named_outputs(outputs)
            self.labels = _checked_labels(labels, self.outputs)
            self.seed = whole(seed, "seed", least=0)
            self._calls = _in_order(self.outputs.values())
            _check_reach(self.inputs, self.outputs.values(), self._calls)
            self._names = _layer_names(self._calls, [tensor.name for tensor in self.inputs])
        self._fixed = _asked(self.inputs)
        self._parameters = self._collect()
        self._check_size()
        self._initialise()

    def __repr__(self) -> str:
        """A line for each input and each layer, with the shapes of its results."""
        inputs = [f"{tensor.name}: input {'×'.join(map(str, tensor.shape))}" for tensor in self.inputs]
        layers = [" ".join((f"{row.layer}:", *row.cells[1:3])) for row in self.summary().rows]
        return listed(f"<{type(self).__name__} '{self.name}'>", [*inputs, *layers])

    def _repr_html_(self) -> str:
        """The summary and a drawing, for notebooks."""
        return shown("network", self)

    @property
    def weights(self) -> dict[str, Array]:
        """Every parameter's array (read-only) under 'layer.role'."""
        return {name: value for name, p in self._parameters.items() if (value := p.value) is not None}

    @property
    def graph(self) -> Graph:
        """The model as a graph for the compiler, with the weights that it has at this moment."""
        return _Lowering(self).graph()

    def summary(self) -> Summary:
        """Layers with output shapes, parameters, MACs and receptive fields; `print` shows a table."""
        return summary(self.name, self.inputs[0], self._calls, self._names)

    def assign(self, weights: Mapping[str, Array]) -> None:
        """Set all weights at once; raises WeightsError, and then changes nothing."""
        assign(self._parameters, weights, "the given weights", caller_location())

    def load(
        self, path: str | os.PathLike[str], *, like: str | None = None, names: Mapping[str, str] | None = None
    ) -> None:
        """Read all weights from an `.npz` or `.safetensors` file; raises WeightsError, and then changes nothing.

        `like` 'torch' reads a state dict (`.pt`, `.pth`, `.safetensors`), 'keras' a file of Keras (`.keras`,
        `.weights.h5`, `.h5`), in their names and layouts. Layers are found by their names; `names` has what layers are
        called there that have another one.
        """
        where = caller_location()
        with located(None, where):
            if like is None:
                arrays = read_weights(path)
            else:
                from .likes import read_like

                arrays = read_like(path, like, self._parameters, self._calls, names or {})
            assign(self._parameters, arrays, f"'{path}'", where)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all weights to an `.npz` or `.safetensors` file, whole or not at all; raises OutputError."""
        with located(None, caller_location()):
            write_weights(path, self.weights)

    def fit(self, x: Any, y: Any, **how: Any) -> History:
        """Train all weights on examples `x` and what is wanted for each, `y`; returns the history, epoch by epoch.

        See `cnncc.fit` for what it takes and raises. However training ends, the network then has the weights that it
        kept: of the best epoch, or of the last finished step.
        """
        learning = import_module("cnncc.learning")  # a room above this one, which compiles what it trains
        history: History = learning.fit_network(self, x, y, **how)
        return history

    def _collect(self) -> dict[str, Parameter]:
        return {
            f"{self._names[own.layer]}.{own.role}": own
            for call in self._calls
            for own in call.inputs
            if isinstance(own, Parameter)
        }

    def _check_size(self) -> None:
        """Raise ModelError for too many parameters: a wrong size in a dense layer should not fill the memory."""
        total = 0
        for name, parameter in self._parameters.items():
            total += parameter.type.size
            if total > MAX_PARAMETERS:
                message = (
                    f"with its {name.rpartition('.')[2]} the model has {total} parameters, at most {MAX_PARAMETERS} fit"
                )
                raise ModelError(message, node=name.rpartition(".")[0], where=parameter.layer.where)

    def _initialise(self) -> None:
        for name, parameter in self._parameters.items():
            if parameter.value is None:
                random = np.random.default_rng([self.seed, *name.encode()])
                parameter.set(parameter.initial(random, parameter.type.shape))


class Sequential(Model):
    """Layers one after the other, from one input to one output.

    `input` is the shape (without N) or an `nn.Input`. Without it the result is not a model but a layer, a `Chain` for
    use in other models.
    """

    def __new__(cls, *layers: Layer, input: Sequence[int] | Input | None = None, **options: Any) -> Any:
        if input is None:
            return Chain(*layers, **options)
        return super().__new__(cls)

    def __init__(
        self,
        *layers: Layer,
        input: Sequence[int] | Input,
        name: str | None = None,
        labels: Sequence[str] = (),
        seed: int = 0,
        batch: int = 1,
    ):
        first = input if isinstance(input, Input) else Input(input, batch=batch)
        super().__init__(
            first, chain(first, [checked_layer(layer, "Sequential") for layer in layers]), name, labels, seed
        )


class _Lowering:
    """Converts the calls of a model to nodes."""

    def __init__(self, model: Model):
        self.model = model
        self.builder = Builder(model.name, model.labels)
        self.parameters = {parameter: name for name, parameter in model._parameters.items()}
        self.made: dict[Tensor | Parameter | tuple[LayerCall, int], Value] = {}

    def graph(self) -> Graph:
        self.builder.fixed = self.model._fixed
        if any(tensor.counts for tensor in self.model.inputs):
            self.builder.kept = tuple(tensor.name for tensor in self.model.inputs if not tensor.counts)
        for tensor in self.model.inputs:
            self.made[tensor] = tensor.place(self.builder)
        for call in self.model._calls:
            inputs = [self.value(tensor) for tensor in call.inputs]
            name = self.model._names[call.layer] + call.suffix
            values = self.builder.add(call.op, inputs, name, call.where)
            self.made.update({(call, index): value for index, value in enumerate(values)})
        return self.builder.graph({name: self.value(tensor) for name, tensor in self.model.outputs.items()})

    def value(self, source: Tensor | Parameter) -> Value:
        if isinstance(source, Constant) and source not in self.made:
            self.made[source] = self.builder.constant(source.data, "constant", source.where, element=source.exact.dtype)
        if isinstance(source, Tensor):
            return self.made[source if source.call is None else (source.call, source.index)]
        if source not in self.made and source.value is not None:
            self.made[source] = self.builder.constant(source.value, self.parameters[source], source.layer.where)
        return self.made[source]


def _checked_inputs(inputs: Input | Sequence[Input]) -> tuple[Input, ...]:
    several = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    names: set[str] = set()
    for tensor in several:
        if not isinstance(tensor, Input):
            raise ModelError(f"the inputs of a model are nn.Input tensors, got {brief(tensor)}")
        if tensor.name in names:
            raise ModelError(f"two inputs are called '{tensor.name}'", where=tensor.where)
        names.add(tensor.name)
    return several


def _asked(inputs: Sequence[Input]) -> str:
    """Why the model is for its own number of images only, if the script has read that number; else empty."""
    for tensor in inputs:
        if (where := tensor.asked) is not None:
            line = f"line {where.line} of '{os.path.basename(where.file)}'"
            return f"{line} computes with the number of images of '{tensor.name}'"
    return ""


def _named_outputs(outputs: Outputs) -> dict[str, Tensor]:
    if isinstance(outputs, Tensor):
        named = {"output": outputs}
    elif isinstance(outputs, Mapping):
        named = {checked_name(name, None): tensor for name, tensor in outputs.items()}
    else:
        named = {f"output{number}": tensor for number, tensor in enumerate(outputs, start=1)}
    if not named:
        raise ModelError("a model needs at least one output")
    for name, tensor in named.items():
        if not isinstance(tensor, Tensor):
            raise ModelError(f"output '{name}' must be a tensor, got {type(tensor).__name__}")
    return named


def _checked_labels(labels: Sequence[str], outputs: Mapping[str, Tensor]) -> tuple[str, ...]:
    first, tensor = next(iter(outputs.items()))
    classes = tensor.shape[-1] if tensor.shape else 1
    if labels and len(labels) != classes:
        raise ModelError(f"{len(labels)} labels for the {classes} classes of output '{first}'")
    return tuple(map(str, labels))


def _in_order(outputs: Iterable[Tensor]) -> list[LayerCall]:
    """The calls that compute `outputs`, each after those whose results it reads (depth first, without recursion).

    A call cannot read the result of a later call, so there are no cycles, and networkx is not imported (see `ir`).
    """
    done: dict[LayerCall, None] = {}
    stack = [tensor.call for tensor in reversed(list(outputs)) if tensor.call]
    while stack:
        call = stack[-1]
        waiting = [t.call for t in call.inputs if isinstance(t, Tensor) and t.call and t.call not in done]
        if waiting:
            stack += reversed(waiting)
        else:
            done[stack.pop()] = None
    return list(done)


def _check_reach(inputs: Sequence[Input], outputs: Iterable[Tensor], calls: Sequence[LayerCall]) -> None:
    """Raise ModelError unless the declared inputs are the inputs that are read."""
    read = [*outputs, *(tensor for call in calls for tensor in call.inputs)]
    for tensor in read:
        if isinstance(tensor, Input) and tensor not in inputs:
            raise ModelError(f"input '{tensor.name}' is read but is not among the model's inputs", where=tensor.where)
    for tensor in inputs:
        if tensor not in read:
            raise ModelError(f"input '{tensor.name}' is read by nothing on the way to an output", where=tensor.where)


def _layer_names(calls: Sequence[LayerCall], inputs: Sequence[str]) -> dict[Layer, str]:
    """Given names as they are; other layers are named by their block, their kind and a running number."""
    layers = list(dict.fromkeys(layer for call in calls for layer in _lineage(call.layer)))
    owners = set(inputs)
    for layer in layers:
        if layer.name is not None:
            if layer.name in owners:
                raise ModelError(f"there already is a layer or input called '{layer.name}'", where=layer.where)
            owners.add(layer.name)
    names: dict[Layer, str] = {}
    numbers: dict[str, Iterator[int]] = {}
    for layer in layers:
        stem = (f"{names[layer.parent]}." if layer.parent else "") + layer.kind
        stem += "_" * stem[-1].isdigit()  # relu6_1 is the first relu6; relu61 might be the 61st relu
        counter = numbers.setdefault(stem, itertools.count(1))
        names[layer] = layer.name or next(name for number in counter if (name := f"{stem}{number}") not in owners)
    return names


def _lineage(layer: Layer) -> list[Layer]:
    """The blocks that a layer is part of, outermost first, and the layer itself."""
    found = [layer]
    while found[0].parent is not None:
        found.insert(0, found[0].parent)
    return found
