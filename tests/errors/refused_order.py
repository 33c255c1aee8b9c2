"""What the ops refuse that compare the elements of an axis, add them up, or choose by their places."""

# mypy: disable-error-code="arg-type"
# Attributes of wrong types are what is refused.

from __future__ import annotations

from cnncc.ops import ArgMax, ArgMin, CumProd, CumSum, Hardmax, MaxPoolIndices, OneHot, TopK, Trilu

IMAGE = (1, 4, 8, 8)

BY_AXIS = (ArgMax, ArgMin, CumProd, CumSum, Hardmax)
REFUSED = [
    *((op(4), (IMAGE,), "axis 4 does not exist in a tensor of 4 axes") for op in BY_AXIS),
    *((op(1.0), (IMAGE,), "axis 1.0 is not a whole number") for op in BY_AXIS),
    *((op(1), (IMAGE, IMAGE), f"{op.__name__} takes 1 inputs, got 2") for op in BY_AXIS),
    (ArgMax(), ((),), "axis 0 does not exist in a tensor of 0 axes"),
    (ArgMin(1, 1), (IMAGE,), "keepdims=1 must be True or False"),
    (ArgMax(1, select_last_index=0), (IMAGE,), "select_last_index=0 must be True or False"),
    (CumSum(1, exclusive=1), (IMAGE,), "exclusive=1 must be True or False"),
    (CumSum(1, reverse=None), (IMAGE,), "reverse=None must be True or False"),
    (CumProd(1, exclusive=1), (IMAGE,), "exclusive=1 must be True or False"),
    (MaxPoolIndices((2,)), (IMAGE,), "a 1-D pooling takes (N, C, 1 spatial axes), got float32[1, 4, 8, 8] of 4 axes"),
    (
        MaxPoolIndices((17, 16)),
        ((1, 1, 20, 20),),
        "a window of 272 elements: places are found in windows of 256 at most",
    ),
    (TopK(9), (IMAGE,), "k=9 must be a whole number from 1 to the 8 elements of axis -1"),
    (TopK(5, 1), (IMAGE,), "k=5 must be a whole number from 1 to the 4 elements of axis 1"),
    (TopK(0), (IMAGE,), "k=0 must be a whole number from 1 to the 8 elements of axis -1"),
    (TopK(2.0), (IMAGE,), "k=2.0 must be a whole number from 1 to the 8 elements of axis -1"),
    (TopK(1, -5), (IMAGE,), "axis -5 does not exist in a tensor of 4 axes"),
    (TopK(1, 1, "yes"), (IMAGE,), "largest='yes' must be True or False"),
    (Trilu(), ((4,),), "Trilu takes matrices, got float32[4]"),
    (Trilu(True, 1.5), (IMAGE,), "k=1.5 is not a whole number"),
    (Trilu(1), (IMAGE,), "upper=1 must be True or False"),
    (OneHot(3), (IMAGE,), "OneHot takes 2 inputs, got 1"),
    (OneHot(0), (IMAGE, (2,)), "depth=0 must be a whole number from 1 on"),
    (OneHot(True), (IMAGE, (2,)), "depth=True must be a whole number from 1 on"),
    (OneHot(3, 5), (IMAGE, (2,)), "axis 5 does not exist in a tensor of 5 axes"),
    (
        OneHot(3),
        (IMAGE, (3,)),
        "OneHot takes two values, one for all other places and one for the index, got float32[3]",
    ),
]
