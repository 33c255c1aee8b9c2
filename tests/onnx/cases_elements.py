"""Cases of rows on whole numbers and truth values; see `cases` for floats."""

from __future__ import annotations

import numpy as np

from cnncc.elements import BOOL, COMPUTED, INT32, INT64, INTEGERS, Element
from cnncc.types import TensorType

from .cases import CASES, case, ints, number
from .cases_indexed import INDEXED
from .support import number as number_of


def of(element: Element, *shape: int) -> TensorType:
    """What arrives with other elements than floats."""
    return TensorType(shape, element)


COMPARISONS = "Equal Greater GreaterOrEqual Less LessOrEqual".split()
BITS = "BitwiseAnd BitwiseOr BitwiseXor".split()
FLAGS = of(BOOL, 2, 3, 4)
NONZERO = ints(3, -1, 7, -100)

ELEMENTS = [
    *(case(name, (2, 3, 4), (3, 1)) for name in COMPARISONS),
    *(case(name, of(kind, 2, 3, 4), of(kind, 3, 1)) for name in COMPARISONS for kind in INTEGERS),
    *(case(name, of(kind, 2, 3, 4), of(kind, 3, 1)) for name in BITS for kind in INTEGERS),
    *(case(name, FLAGS, of(BOOL, 3, 1)) for name in ("And", "Or", "Xor", "Equal")),
    *(case("BitwiseNot", of(kind, 2, 3)) for kind in INTEGERS),
    *(
        case(name, of(kind, 2, 3, 4), of(kind, 3, 1))
        for name in ("Add", "Sub", "Mul", "Max", "Min")
        for kind in INTEGERS
    ),
    *(case(name, of(kind, 2, 4), NONZERO.astype(kind.numpy)) for name in ("Div", "Mod") for kind in INTEGERS),
    *(case("Mod", of(kind, 2, 4), NONZERO.astype(kind.numpy), fmod=1) for kind in INTEGERS),
    *(case(name, of(kind, 2, 3)) for name in ("Abs", "Neg", "Sign") for kind in INTEGERS),
    *(case(f"Reduce{name}", of(kind, 2, 3, 4), ints(1)) for name in ("Sum", "Max", "Min", "Prod") for kind in INTEGERS),
    *(case("Clip", of(kind, 2, 9), np.array(-20, kind.numpy), np.array(30, kind.numpy)) for kind in INTEGERS),
    case("Not", FLAGS),
    case("Where", FLAGS, (2, 3, 4), number(-np.inf)),
    case("Where", of(BOOL, 3, 1), of(INT64, 2, 3, 4), ints(7)),
    case("Clip", (2, 5), (), (1,)),
    case("Clip", of(INT32, 2, 5), of(INT32), None),
    *(case("Cast", of(source, 2, 3), to=number_of(target)) for source in COMPUTED for target in COMPUTED),
    *(case("CastLike", of(source, 2, 3), of(target, 1)) for source in COMPUTED for target in COMPUTED),
    case("CastLike", (2, 3), ints(1)),
]

EVERY = [*CASES, *ELEMENTS, *INDEXED]
"""With those on floats."""
