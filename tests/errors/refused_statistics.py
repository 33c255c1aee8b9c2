"""What the normalisations, the reductions and the softmaxes refuse, and what they say."""

# mypy: disable-error-code="arg-type"
# Attributes of wrong types are what is refused.

from __future__ import annotations

from cnncc.ops import (
    LRN,
    BatchNormalization,
    BatchStandardization,
    GroupNormalization,
    InstanceNormalization,
    LayerNormalization,
    LogSoftmax,
    ReduceL1,
    ReduceL2,
    ReduceLogSum,
    ReduceLogSumExp,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceProd,
    ReduceSum,
    ReduceSumSquare,
    Softmax,
)

IMAGE = (1, 4, 8, 8)
FOUR = (4,)

REDUCTIONS = (
    *(ReduceSum, ReduceMean, ReduceMax, ReduceMin, ReduceProd),
    *(ReduceL1, ReduceL2, ReduceSumSquare, ReduceLogSum, ReduceLogSumExp),
)

REFUSED = [
    *((op(), (IMAGE, IMAGE), f"{op.__name__} takes 1 inputs, got 2") for op in REDUCTIONS),
    *((op((4,)), (IMAGE,), "axis 4 does not exist in a tensor of 4 axes") for op in REDUCTIONS),
    *((op((1, -3)), (IMAGE,), "axes (1, -3) name an axis twice") for op in REDUCTIONS),
    (ReduceSum((-1,)), ((),), "axis -1 does not exist in a tensor of 0 axes"),
    (ReduceSum(1), (IMAGE,), "axes=1 must be a tuple or None"),
    (ReduceSum((1.0,)), (IMAGE,), "axes=(1.0,) must be a tuple of whole numbers or None"),
    (ReduceSum("hw"), (IMAGE,), "axes='hw' must be a tuple or None"),
    (LogSoftmax(), (IMAGE, IMAGE), "LogSoftmax takes 1 inputs, got 2"),
    (LogSoftmax(), ((3,),), "axis 1 does not exist in a tensor of 1 axes"),
    (LogSoftmax("c"), (IMAGE,), "axis 'c' is not a whole number"),
    (Softmax(None), (IMAGE,), "axis None is not a whole number"),
    (Softmax(True), (IMAGE,), "axis True is not a whole number"),
    (Softmax(1.0), (IMAGE,), "axis 1.0 is not a whole number"),
    (LRN(5), (IMAGE, IMAGE), "LRN takes 1 inputs, got 2"),
    (LRN(5), ((4,),), "local response normalisation takes (N, C, …), got float32[4]"),
    (LRN(0), (IMAGE,), "size=0 must be a whole number from 1 on"),
    (LRN(2.5), (IMAGE,), "size=2.5 must be a whole number from 1 on"),
    (LRN(5, alpha="x"), (IMAGE,), "alpha='x' must be a number"),
    (LRN(5, beta=None), (IMAGE,), "beta=None must be a number"),
    (LRN(5, bias=()), (IMAGE,), "bias=() must be a number"),
    (BatchNormalization("1e-5"), (IMAGE, *(FOUR,) * 4), "epsilon='1e-5' must be a number"),
    (BatchStandardization(), (IMAGE, FOUR), "BatchStandardization takes 3 inputs, got 2"),
    (BatchStandardization(), (FOUR, FOUR, FOUR), "batch normalisation takes (N, C, …), got float32[4]"),
    (BatchStandardization(), (IMAGE, (5,), FOUR), "scale of shape (5,), expected (4,)"),
    (BatchStandardization(), (IMAGE, FOUR, (1, 4)), "bias of shape (1, 4), expected (4,)"),
    (BatchStandardization(None), (IMAGE, FOUR, FOUR), "epsilon=None must be a number"),
    (InstanceNormalization(), (IMAGE,), "InstanceNormalization takes 3 inputs, got 1"),
    (InstanceNormalization(), ((1, 4), FOUR, FOUR), "instance normalisation takes (N, C, spatial…), got float32[1, 4]"),
    (InstanceNormalization(), (IMAGE, (), FOUR), "scale of shape (), expected (4,)"),
    (InstanceNormalization(), (IMAGE, FOUR, (8,)), "bias of shape (8,), expected (4,)"),
    (GroupNormalization(2), (IMAGE, FOUR), "GroupNormalization takes 3 inputs, got 2"),
    (GroupNormalization(2), (FOUR, FOUR, FOUR), "group normalisation takes (N, C, …), got float32[4]"),
    (GroupNormalization(2), (IMAGE, (2,), FOUR), "scale of shape (2,), expected (4,)"),
    (GroupNormalization(3), (IMAGE, FOUR, FOUR), "groups=3 does not divide the 4 channels"),
    (GroupNormalization(0), (IMAGE, FOUR, FOUR), "groups=0 does not divide the 4 channels"),
    (GroupNormalization("2"), (IMAGE, FOUR, FOUR), "groups='2' does not divide the 4 channels"),
    (LayerNormalization(), (IMAGE,), "LayerNormalization takes 2 to 3 inputs, got 1"),
    (LayerNormalization(4), (IMAGE, (8,)), "axis 4 does not exist in a tensor of 4 axes"),
    (LayerNormalization("x"), (IMAGE, (8,)), "axis 'x' is not a whole number"),
    (LayerNormalization(), (IMAGE, (4,)), "scale of shape (4,) does not broadcast to (8,)"),
    (LayerNormalization(), (IMAGE, (1, 8)), "scale of shape (1, 8) does not broadcast to (8,)"),
    (LayerNormalization(1), (IMAGE, (8, 8), (4, 8)), "bias of shape (4, 8) does not broadcast to (4, 8, 8)"),
]
