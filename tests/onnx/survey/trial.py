"""One version of an operator, tried with the importer: what is taken and what is refused."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import onnx
from onnx import TensorProto, defs

from cnncc.frontends.onnx.supported import Form, Port, Use

from . import attributes
from .models import NUMBERS, node, refusal, retyped, with_inputs
from .samples import EXPERIMENTAL, parsed, samples
from .types import NAMES, element, elements


@dataclass(frozen=True)
class Version:
    """One version of an operator, in models of `opset`."""

    operator: str
    version: int
    opset: int

    @cached_property
    def schema(self) -> defs.OpSchema:
        return defs.get_schema(self.operator, self.version)

    @cached_property
    def models(self) -> list[tuple[str, onnx.ModelProto]]:
        return list(samples(self.operator, self.version, self.opset))

    @cached_property
    def taken(self) -> list[tuple[str, onnx.ModelProto]]:
        """The models that are imported."""
        return [(text, proto) for text, proto in self.models if not refusal(proto)]

    def form(self) -> Form:
        """What is taken, for the opset of this version alone."""
        if not self.taken:
            why = re.sub(r"^.*cannot be imported: | \(at .*$", "", refusal(self.models[0][1]))
            return Form(self.opset, self.opset, (), {}, {}, {}, why)
        if self.operator in EXPERIMENTAL:
            return self.experimental()
        found = {each.type_param_str: self.types(each.type_param_str, elements(each)) for each in self.constraints}
        taken, refused = ({c: both[k] for c, both in found.items()} for k in (0, 1))
        known = dict(attributes.refused(self.schema, self.models))
        return Form(self.opset, self.opset, tuple(self.ports()), taken, refused, known)

    def experimental(self) -> Form:
        """Of an operator without a schema: the attributes that its models have."""
        names = {attribute.name for _, proto in self.taken for attribute in node(proto, self.operator).attribute}
        taken, refused = self.types("T", ("float16", "float", "double"))
        ports = (Port("input", "T", "arrives"),)
        return Form(self.opset, self.opset, ports, {"T": taken}, {"T": refused}, dict.fromkeys(sorted(names), ()))

    # Element types

    @property
    def constraints(self) -> list[Any]:
        """The type constraints of inputs."""
        used = {port.type_str for port in self.schema.inputs}
        return [each for each in self.schema.type_constraints if each.type_param_str in used]

    def types(self, constraint: str, names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Element types, by ONNX's names, that are taken, and that are not."""
        texts = [text for text, _ in self.taken if text]
        if len(texts) == len(self.taken):
            fits = [len(names) == 1 or self.takes_text(texts, name) for name in names]  # of one type, the text has it
        else:
            models = self.arriving(constraint)
            fits = [any(not refusal(self.with_type(proto, constraint, name)) for proto in models) for name in names]
        told = [(NAMES.get(name, name), good) for name, good in zip(names, fits, strict=True)]
        taken, refused = (tuple(name for name, good in told if good is wanted) for wanted in (True, False))
        return taken, refused

    def takes_text(self, texts: Sequence[str], name: str) -> bool:
        """Whether a model in text form is taken with T of this element type."""
        typed = [text for text in texts if re.search(r"\bT[ \[]", text)]
        if not typed:
            return name == "float"
        try:
            return any(not refusal(parsed(text, name, self.opset)) for text in typed)
        except onnx.parser.ParseError:  # weights of a type that has no text form
            return False

    def with_type(self, proto: onnx.ModelProto, constraint: str, name: str) -> onnx.ModelProto:
        made = zip(node(proto, self.operator).output, self.schema.outputs, strict=False)
        outputs = {output for output, port in made if port.type_str == constraint}
        return retyped(proto, self.constrained(proto, constraint) | outputs, NUMBERS[name])

    def arriving(self, constraint: str) -> list[onnx.ModelProto]:
        """Models of recipes, with the inputs of a constraint computed at run time if there is one that may be."""
        protos = [self.at_run_time(proto, constraint) for text, proto in self.taken if not text]
        having = [p for p in protos if {port.name for port in p.graph.input} & self.constrained(p, constraint)]
        return having or protos

    def at_run_time(self, proto: onnx.ModelProto, constraint: str) -> onnx.ModelProto:
        """The model with all weights of a constraint as inputs, if it is taken so."""
        names = self.constrained(proto, constraint)
        weights = [tensor for tensor in proto.graph.initializer if tensor.name in names]
        other = with_inputs(proto, weights)
        return proto if weights and refusal(other) else other

    def constrained(self, proto: onnx.ModelProto, constraint: str) -> set[str]:
        """What stands at the inputs of a constraint."""
        last = len(self.schema.inputs) - 1
        given = enumerate(node(proto, self.operator).input)
        return {name for k, name in given if name and self.schema.inputs[min(k, last)].type_str == constraint}

    # Inputs

    def ports(self) -> Iterator[Port]:
        """The inputs that some model has."""
        named = {each.type_param_str for each in self.constraints}
        for place, port in enumerate(self.schema.inputs):
            only = element(port.type_str)
            kind = port.type_str if port.type_str in named else NAMES.get(only, only)
            having = [proto for _, proto in self.models if self.names(proto, place)]
            if having:
                yield Port(port.name, kind, self.use(having, place))

    def use(self, models: Sequence[onnx.ModelProto], place: int) -> Use:
        """Whether an input is taken at all, and if so, whether it may be computed at run time."""
        taken = [proto for proto in models if not refusal(proto)]
        if not taken:
            return "refused"
        return "arrives" if any(self.arrives(proto, place) for proto in taken) else "known"

    def names(self, proto: onnx.ModelProto, place: int) -> Sequence[str]:
        """What stands at an input; the last one may be repeated."""
        given = node(proto, self.operator).input
        variadic = place == len(self.schema.inputs) - 1
        return [name for name in given[place : None if variadic else place + 1] if name]

    def arrives(self, proto: onnx.ModelProto, place: int) -> bool:
        """Whether the input is one that is computed at run time, or may become one."""
        known: dict[str, TensorProto] = {tensor.name: tensor for tensor in proto.graph.initializer}
        weights = [known[name] for name in self.names(proto, place) if name in known]
        if any(not math.prod(tensor.dims) for tensor in weights):  # as if it were left out
            return False
        return not weights or not refusal(with_inputs(proto, weights))
