"""Models of one operator: those that the recipes of `single` make, and others in ONNX's own text form."""

from __future__ import annotations

import re
from collections.abc import Iterator

import onnx
from onnx import defs, parser

from cnncc.frontends.onnx.read import NEWEST

from ..single.table import RECIPES, made

SEEDS = 6

SPELLED = """
Affine                 (T[2,3] x) => (T y) { y = Affine <alpha = 2.0, beta = 1.0> (x) }
Attention              (T[1,2,3,4] x, T[1,2,5,4] p) => (T y) { y = Attention (x, x, x, , p, p) }
Attention-24           (T[1,2,3,4] x) => (T y) <int64[1] n = {2}> { y = Attention (x, x, x, , , , n) }
BatchNormalization     (T[2,3,4] x, T[3] v) => (T y)
                       { y, a, b, c, d = BatchNormalization <is_test = 0> (x, v, v, v, v) }
BatchNormalization-14  (T[2,3,4] x, T[3] v) => (T y, T m, T w)
                       { y, m, w = BatchNormalization <training_mode = 1> (x, v, v, v, v) }
Cast                   (T[2,3] x) => (float y) { y = Cast <to = 1> (x) }
Compress               (T[2,3] x) => (T y) <bool[2] c = {1, 0}> { y = Compress <axis = 0> (x, c) }
ConcatFromSequence     (T[2,3] x, T[2,3] z) => (T y)
                       { s = SequenceConstruct (x, z) y = ConcatFromSequence <axis = 0, new_axis = 1> (s) }
Constant-12            (float[1] x) => (float y) { c = Constant <value_floats = [1.0, 2.0]> () y = Add (x, c) }
Constant-12            (float[1] x) => (float y) { c = Constant <value_float = 1.0> () y = Add (x, c) }
Constant-12            (int64[1] x) => (int64 y) { c = Constant <value_ints = [1, 2]> () y = Add (x, c) }
Constant-12            (int64[1] x) => (int64 y) { c = Constant <value_int = 1> () y = Add (x, c) }
Constant-12            (float[1] x) => (float y) { c = Constant <value_string = "text"> () y = Identity (x) }
Constant-12            (float[1] x) => (float y) { c = Constant <value_strings = ["text"]> () y = Identity (x) }
ConvTranspose          (T[1,2,4,4] x, T[2,3,3,3] w) => (T y)
                       { y = ConvTranspose <strides = [2, 2], output_shape = [8, 8]> (x, w) }
Crop                   (T[1,2,8,8] x) => (T y) { y = Crop <border = [1, 1, 1, 1], scale = [3, 4]> (x) }
DequantizeLinear-21    (uint8[2,4] x) => (float y) <float[2,2] s = {0.1, 0.2, 0.3, 0.4}>
                       { y = DequantizeLinear <block_size = 2> (x, s) }
Dropout-12             (T[2,3] x) => (T y) <float r = {0.5}, bool t = {0}> { y = Dropout <seed = 1> (x, r, t) }
GRU                    (T[2,1,1] x) => (T y, T h)
                       <T[1,3,1] w = {1, 0, 1}, T[1,6] b = {0, 0, 0, 0, 0, 1}, int32[1] l = {2}, T[1,1,1] i = {1}>
                       { y, h = GRU <hidden_size = 1, direction = "forward", activations = ["Sigmoid", "Relu"]>
                         (x, w, w, b, l, i) }
GRU-3                  (T[2,1,1] x) => (T y) <T[1,3,1] w = {1, 0, 1}>
                       { y = GRU <hidden_size = 1, linear_before_reset = 1> (x, w, w) }
GRU-14                 (T[1,2,1] x) => (T y) <T[1,3,1] w = {1, 0, 1}>
                       { y = GRU <hidden_size = 1, layout = 1> (x, w, w) }
If                     (T[2,3] x) => (T y) <bool c = {1}> { y = If <
                         then_branch = a () => (T r) { r = Identity (x) },
                         else_branch = b () => (T s) { s = Identity (x) }> (c) }
ImageScaler            (T[1,2,8,8] x) => (T y) { y = ImageScaler <scale = 2.0, bias = [1.0, 2.0]> (x) }
Loop                   (T[2,3] x) => (T y) <int64 n = {2}, bool c = {1}> { y = Loop <
                         body = b (int64 i, bool k, T[2,3] a) => (bool m, T r)
                         { m = Identity (k) r = Identity (a) }> (n, c, x) }
LSTM                   (T[2,1,1] x) => (T y, T h, T c)
                       <T[1,4,1] w = {1, 0, 1, 1}, T[1,8] b = {0, 0, 0, 0, 0, 0, 0, 1}, int32[1] l = {2},
                        T[1,1,1] i = {1}, T[1,3] p = {1, 1, 1}>
                       { y, h, c = LSTM <hidden_size = 1, direction = "reverse",
                         activations = ["HardSigmoid", "Tanh", "Tanh"],
                         activation_alpha = [0.2], activation_beta = [0.5]>
                         (x, w, w, b, l, i, i, p) }
LSTM-14                (T[1,2,1] x) => (T y) <T[1,4,1] w = {1, 0, 1, 1}>
                       { y = LSTM <hidden_size = 1, layout = 1> (x, w, w) }
NonZero                (int64[1] x) => (int64 y) <T[3] v = {1, 0, 1}> { p = NonZero (v) y = Add (x, p) }
Optional               (T[2,3] x) => (T y) { o = Optional (x) y = OptionalGetElement (o) }
OptionalGetElement     (T[2,3] x) => (T y) { o = Optional (x) y = OptionalGetElement (o) }
OptionalHasElement     (T[2,3] x) => (bool y) { o = Optional (x) y = OptionalHasElement (o) }
Pad-18                 (T[2,3] x) => (T y) <int64[2] p = {1, 1}, T v = {1}, int64[1] a = {1}>
                       { y = Pad (x, p, v, a) }
ParametricSoftplus     (T[2,3] x) => (T y) { y = ParametricSoftplus <alpha = 2.0, beta = 3.0> (x) }
QuantizeLinear-21      (T[2,4] x) => (uint8 y) <float[2,2] s = {0.1, 0.2, 0.3, 0.4}>
                       { y = QuantizeLinear <block_size = 2> (x, s) }
QuantizeLinear-21      (T[2,4] x) => (int8 y) <float s = {0.5}> { y = QuantizeLinear <output_dtype = 3> (x, s) }
Resize-11              (T[1,2,4,4] x) => (T y)
                       <float[8] r = {0, 0, 0.1, 0.1, 1, 1, 0.9, 0.9}, float[0] e = {}, int64[4] n = {1, 2, 6, 6}>
                       { y = Resize <coordinate_transformation_mode = "tf_crop_and_resize", mode = "linear",
                         extrapolation_value = 1.0> (x, r, e, n) }
RNN                    (T[2,1,1] x) => (T y, T h)
                       <T[1,1,1] w = {1}, T[1,2] b = {0, 1}, int32[1] l = {2}, T[1,1,1] i = {1}>
                       { y, h = RNN <hidden_size = 1, direction = "forward", activations = ["Relu"]>
                         (x, w, w, b, l, i) }
RNN-14                 (T[1,2,1] x) => (T y) <T[1,1,1] w = {1}> { y = RNN <hidden_size = 1, layout = 1> (x, w, w) }
Scale                  (T[2,3] x) => (T y) { y = Scale <scale = 2.0> (x) }
ScaledTanh             (T[2,3] x) => (T y) { y = ScaledTanh <alpha = 2.0, beta = 3.0> (x) }
Scan                   (T[1,3] x, T[1,2,3] z) => (T y, T v) { y, v = Scan <num_scan_inputs = 1,
                         body = b (T[3] a, T[3] p) => (T r, T q) { r = Identity (p) q = Identity (a) }> (, x, z) }
Scan-9                 (T[3] x, T[2,3] z) => (T y, T v) { y, v = Scan <num_scan_inputs = 1,
                         body = b (T[3] a, T[3] p) => (T r, T q) { r = Identity (p) q = Identity (a) }> (x, z) }
SequenceAt             (T[2,3] x, T[2,3] z) => (T y) <int64 k = {1}>
                       { s = SequenceConstruct (x, z) y = SequenceAt (s, k) }
SequenceConstruct      (T[2,3] x, T[2,3] z) => (T y) <int64 k = {1}>
                       { s = SequenceConstruct (x, z) y = SequenceAt (s, k) }
SequenceEmpty          (float[2,3] x) => (float y) <int64 k = {0}>
                       { e = SequenceEmpty <dtype = 1> () s = SequenceInsert (e, x) y = SequenceAt (s, k) }
SequenceErase          (T[2,3] x, T[2,3] z) => (T y) <int64 k = {0}>
                       { s = SequenceConstruct (x, z) e = SequenceErase (s, k) y = SequenceAt (e, k) }
SequenceInsert         (T[2,3] x, T[2,3] z) => (T y) <int64 k = {0}>
                       { s = SequenceConstruct (x) e = SequenceInsert (s, z, k) y = SequenceAt (e, k) }
SequenceLength         (T[2,3] x, T[2,3] z) => (int64 y) { s = SequenceConstruct (x, z) y = SequenceLength (s) }
Split                  (T[2,3] x) => (T y, T z) <int64[2] s = {1, 2}> { y, z = Split <axis = 1> (x, s) }
SplitToSequence        (T[2,3] x) => (T y) <int64 n = {1}, int64 k = {0}>
                       { s = SplitToSequence <axis = 0> (x, n) y = SequenceAt (s, k) }
SplitToSequence        (T[2,3] x) => (T y) <int64 k = {0}>
                       { s = SplitToSequence <keepdims = 0> (x) y = SequenceAt (s, k) }
"""
"""An operator, perhaps with the first version that the text is right for, and a graph around it.

`T` stands for the element type that is tried; lines that begin with a space go on.
"""

EXPERIMENTAL = ("Affine", "Crop", "ImageScaler", "ParametricSoftplus", "Scale", "ScaledTanh")
"""Operators of opset 1 that are in no version of the standard any more, and have no schemas."""


def texts() -> Iterator[tuple[str, int, str]]:
    """Operators, first versions and graphs."""
    for entry in re.split(r"\n(?=\w)", SPELLED)[1:]:
        name, graph = entry.split(maxsplit=1)
        operator, _, first = name.partition("-")
        yield operator, int(first or 1), graph


def versions(operator: str) -> list[int]:
    """Since-versions that the installed package knows, the one that drops the operator included."""
    if operator in EXPERIMENTAL:
        return [1]
    every = [schema for schema in defs.get_all_schemas_with_history() if schema.name == operator and not schema.domain]
    return sorted(schema.since_version for schema in every if schema.since_version <= NEWEST)


def samples(operator: str, version: int, opset: int) -> Iterator[tuple[str, onnx.ModelProto]]:
    """Models of `opset`: a text and the model of it in which T is float, or '' and a model of a recipe."""
    for name, first, text in texts():
        if name == operator and version >= first:
            yield text, parsed(text, "float", opset)
    for seed in range(SEEDS) if operator in RECIPES else ():
        proto = made(operator, version, seed).model
        proto.opset_import[0].version = opset
        yield "", closed(proto)


def closed(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model for two images."""
    for port in proto.graph.input:
        for size in port.type.tensor_type.shape.dim:
            if size.dim_param:
                size.dim_value = 2
    return proto


def parsed(text: str, element: str, opset: int) -> onnx.ModelProto:
    """The model of a text with `element`, ONNX's name of a type, for T."""
    filled = re.sub(r"\bT(?=[ \[])", element, text)
    return parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]> g {filled}')
