"""The vector functions: their stated bounds over all magnitudes, their special values, and that they need no libm."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.polynomial import Chebyshev, Polynomial

from cnncc import functions as vocabulary
from cnncc import native
from cnncc.codegen import arcs, functions, hyperbolic
from cnncc.codegen.expression import CODE
from cnncc.codegen.llvm.emitter import LlvmEmitter
from cnncc.codegen.registers import INT32, POINTER, register_type
from cnncc.elements import COMPUTED
from cnncc.machine.routines import allowed
from cnncc.machine.target import TARGETS
from cnncc.objects import format_of
from cnncc.ops import Sign
from cnncc.types import Array
from tests.graphs import Net, compilation, runnable_targets
from tests.graphs import native as run_native

from .kernels import run_expression
from .rational import best_quotient

F32 = np.float32
TINY = F32(2.0**-149)
HALF_PI = F32(math.pi / 2)
WIDTHS = [(target, lanes) for target in runnable_targets() for lanes in (1, 4, 16)]
EXACT = ("absolute", "negate", "floor", "ceil", "rint", "sign")
BOUNDS = {
    "expm1": vocabulary.EXPM1_ULPS,
    "log": vocabulary.LOG_ULPS,
    "softplus": vocabulary.SOFTPLUS_ULPS,
    "tanh": vocabulary.TANH_ULPS,
    "sigmoid": vocabulary.SIGMOID_ULPS,
    "erf": vocabulary.ERF_ULPS,
    "sin": vocabulary.SIN_ULPS,
    "cos": vocabulary.COS_ULPS,
    "tan": vocabulary.TAN_ULPS,
    "asin": vocabulary.ASIN_ULPS,
    "acos": vocabulary.ACOS_ULPS,
    "atan": vocabulary.ATAN_ULPS,
    "sinh": vocabulary.SINH_ULPS,
    "cosh": vocabulary.COSH_ULPS,
    "asinh": vocabulary.ASINH_ULPS,
    "acosh": vocabulary.ACOSH_ULPS,
    "atanh": vocabulary.ATANH_ULPS,
}
TWO = (
    *("add", "subtract", "multiply", "divide", "maximum", "minimum", "power", "remainder", "modulo"),
    *("equal", "less", "less_equal", "and", "or", "xor", "select"),  # select's condition comes first, and beside these
    *("shift_left", "shift_right"),
)
ARITY = {
    **dict.fromkeys(TWO, 2),
    "multiply_add": 3,
    "where_less": 4,
}
each_width = pytest.mark.parametrize(("target", "lanes"), WIDTHS)


def patterns(step: int = 32_749) -> Array:
    """Floats of every exponent and both signs (subnormal, infinite and NaN ones too), with steps of mantissas."""
    return np.arange(0, 1 << 32, step, dtype=np.uint64).astype(np.uint32).view(F32)


def around(*centres: float, width: int = 200) -> Array:
    """The floats next to some numbers, one by one, of both signs."""
    bits = [F32(abs(centre)).view(np.int32) + np.arange(-width, width + 1, dtype=np.int32) for centre in centres]
    near = np.concatenate([b[b >= 0] for b in bits]).view(F32)
    return np.concatenate([near, -near])


def arguments() -> Array:
    """All magnitudes, more where the functions bend, and where their branches meet."""
    rng = np.random.default_rng(5)
    middle = [rng.uniform(-size, size, 50_000).astype(F32) for size in (0.5, 2, 10, 105)]
    branches = around(0, 0.5, math.sqrt(0.5), 1, math.sqrt(2), math.log(2) / 2, 4, 9, 20, 88.72283, 103.9721)
    quarters = (rng.integers(1, 1 << 22, 50_000) * (math.pi / 2)).astype(F32)
    # Next to eighths of a turn, and the floats that come nearest to a quarter turn of all.
    turns = around(*(math.pi / 4 * np.arange(1, 9)), 16367173 * 2.0**72, 10741887 * 2.0**11, 16573937 * 2.0**-16)
    ends = around(2.0**-126, 2.0**23, 2.0**22, 3.4e38, 2, 8192, 89.4159)
    middle += [rng.uniform(1, 3, 50_000).astype(F32), np.exp(rng.uniform(0, 12, 50_000)).astype(F32)]
    return np.concatenate([patterns(), *middle, branches, quarters, turns, ends])


def exact(name: str, *x: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(vocabulary.FUNCTIONS[name].meaning(*(a.astype(np.float64) for a in x)))


def ulps(found: Array, wanted: Array) -> Array:
    """Error in units of the last place of the result; infinite where NaN or an infinity is missed."""
    with np.errstate(all="ignore"):
        exponents = np.floor(np.log2(np.maximum(np.abs(wanted), 1e-300)))
        error = np.abs(found.astype(np.float64) - wanted) / np.exp2(np.maximum(exponents, -126) - 23)
        rounded = wanted.astype(F32)
    same = (found == rounded) | (np.isnan(found) & np.isnan(rounded))
    return np.where(same, np.where(np.isfinite(error), error, 0), np.where(np.isnan(error), np.inf, error))


def assert_within(name: str, bound: float, target: str, lanes: int, *x: Array) -> None:
    found, wanted = run_expression(name, *x, target=target, lanes=lanes), exact(name, *x)
    error = ulps(found, wanted)
    worst = int(error.argmax())
    at = ", ".join(repr(a[worst]) for a in x)
    assert error[worst] <= bound, f"{name}({at}) = {found[worst]!r}, not {wanted[worst]!r}: {error[worst]:.2f} ulp"


@each_width
@pytest.mark.parametrize("name", BOUNDS)
def test_as_exact_as_stated(name: str, target: str, lanes: int) -> None:
    assert_within(name, BOUNDS[name], target, lanes, arguments())


@pytest.mark.parametrize("name", BOUNDS)
def test_the_bounds_are_not_generous(name: str) -> None:
    x = arguments()
    assert ulps(run_expression(name, x), exact(name, x)).max() > BOUNDS[name] / 2


@each_width
@pytest.mark.parametrize("name", EXACT)
def test_exact_functions(name: str, target: str, lanes: int) -> None:
    assert_within(name, 0, target, lanes, arguments())


@each_width
@pytest.mark.parametrize("name", ["floor", "ceil", "rint"])
def test_rounding_to_whole_numbers(name: str, target: str, lanes: int) -> None:
    """Halves above all, also where they end; the sign of 0 is NumPy's."""
    halves = np.arange(-40, 41, dtype=F32) / 4
    ends = np.array([2.0**22 + 0.5, 2.0**22 + 1.5, 2.0**23 - 0.5, 2.0**23 + 1, 2.0**24 + 2, 0.49999997, TINY], F32)
    x = np.concatenate([halves, ends, -ends, F32([0.0, -0.0])])
    found, wanted = run_expression(name, x, target=target, lanes=lanes), getattr(np, name)(x)
    np.testing.assert_array_equal(found.view(np.uint32), wanted.view(np.uint32))


ENDS: dict[str, tuple[list[float], list[float]]] = {
    "expm1": (
        [0.0, -0.0, -math.inf, math.inf, 89, -200, TINY, -TINY],
        [0, -0.0, -1, math.inf, math.inf, -1, TINY, -TINY],
    ),
    "log": (
        [1, 0, -0.0, -1, math.inf, -math.inf, math.nan],
        [0, -math.inf, -math.inf, *[math.nan], math.inf, math.nan, math.nan],
    ),
    "softplus": ([math.inf, -math.inf, -104, 100, math.nan, -103.2], [math.inf, 0, 0, 100, math.nan, TINY]),
    "tanh": ([0, -0.0, math.inf, -math.inf, 10, -10, TINY, -TINY], [0, -0.0, 1, -1, 1, -1, TINY, -TINY]),
    "sigmoid": ([0, math.inf, -math.inf, -200, 200, -103.9], [0.5, 1, 0, 0, 1, TINY]),
    "sin": ([0, -0.0, math.inf, -math.inf, math.nan, TINY, -TINY], [0, -0.0, *[math.nan] * 3, TINY, -TINY]),
    "cos": ([0, -0.0, math.inf, -math.inf, math.nan, TINY], [1, 1, *[math.nan] * 3, 1]),
    "tan": ([0, -0.0, math.inf, -math.inf, math.nan, TINY, -TINY], [0, -0.0, *[math.nan] * 3, TINY, -TINY]),
    "asin": ([0, -0.0, 1, -1, 1.5, -math.inf, TINY], [0, -0.0, HALF_PI, -HALF_PI, *[math.nan] * 2, TINY]),
    "acos": ([1, -1, 0, -0.0, 1.5, math.inf, math.nan], [0, 2 * HALF_PI, HALF_PI, HALF_PI, *[math.nan] * 3]),
    "atan": (
        [0, -0.0, math.inf, -math.inf, 3e38, math.nan, -TINY],
        [0, -0.0, HALF_PI, -HALF_PI, HALF_PI, math.nan, -TINY],
    ),
    "sinh": (
        [0, -0.0, math.inf, -math.inf, 90, -90, -TINY],
        [0, -0.0, math.inf, -math.inf, math.inf, -math.inf, -TINY],
    ),
    "cosh": ([0, -0.0, math.inf, -math.inf, 90, math.nan], [1, 1, math.inf, math.inf, math.inf, math.nan]),
    "asinh": ([0, -0.0, math.inf, -math.inf, -TINY, math.nan], [0, -0.0, math.inf, -math.inf, -TINY, math.nan]),
    "acosh": ([1, math.inf, 0.5, -1, -math.inf, math.nan], [0, math.inf, *[math.nan] * 4]),
    "atanh": ([0, -0.0, 1, -1, 1.5, -math.inf, TINY], [0, -0.0, math.inf, -math.inf, *[math.nan] * 2, TINY]),
    "erf": ([0, -0.0, math.inf, -math.inf, 5, -5], [0, -0.0, 1, -1, 1, -1]),
}


@each_width
@pytest.mark.parametrize("name", ENDS)
def test_ends(name: str, target: str, lanes: int) -> None:
    x, wanted = (np.array(values, F32) for values in ENDS[name])
    found = run_expression(name, x, target=target, lanes=lanes)
    np.testing.assert_array_equal(found, wanted)
    known = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(found[known]), np.signbit(wanted[known]))


@each_width
def test_where_less_takes_the_other_side_of_nan(target: str, lanes: int) -> None:
    x = np.array([1, 0, -0.0, -1, TINY, -TINY, math.inf, -math.inf, math.nan, 2, math.inf], F32)
    y = np.array([2, -0.0, 0.0, -2, 0, 0, -math.inf, math.inf, 5, math.nan, math.inf], F32)
    found = run_expression("where_less", x, y, np.full(11, 7, F32), x, target=target, lanes=lanes)
    np.testing.assert_array_equal(found, np.array([7, 0, 0, -1, TINY, 7, math.inf, 7, math.nan, 2, math.inf], F32))


# Rests of divisions


@each_width
@pytest.mark.parametrize("name", ["remainder", "modulo"])
def test_rests_of_divisions_are_exact(name: str, target: str, lanes: int) -> None:
    """Any bits, numbers of like size, and special values: also the sign of a rest of 0."""
    rng = np.random.default_rng(7)
    any_bits = [rng.integers(0, 1 << 32, 20_000, dtype=np.uint64).astype(np.uint32).view(F32) for _ in range(2)]
    alike = [np.round(rng.uniform(-size, size, 20_000), 1).astype(F32) for size in (20, 3)]
    special = F32(
        [0, -0.0, math.inf, -math.inf, math.nan, 1, -1, TINY, -TINY, 3e38, -3e38, 2.0**-126, 5.5, -2.5, 1e-40]
    )
    pairs = [any_bits, alike, [special.repeat(special.size), np.tile(special, special.size)]]
    for x, y in pairs:
        found = run_expression(name, x, y, target=target, lanes=lanes)
        wanted = exact(name, x, y).astype(F32)
        assert ((found.view(np.uint32) == wanted.view(np.uint32)) | (np.isnan(found) & np.isnan(wanted))).all()


# Powers


def bases_and_exponents() -> list[tuple[Array, Array]]:
    """Any bits; whole exponents; exponents that keep the result finite; bases next to 1."""
    rng = np.random.default_rng(6)
    count = 100_000
    any_bits = [rng.integers(0, 1 << 32, count, dtype=np.uint64).astype(np.uint32).view(F32) for _ in range(2)]
    whole = rng.integers(-20, 21, count).astype(F32)
    wide = np.exp(rng.uniform(-100, 88, count)).astype(F32)
    near = (1 + rng.choice([-1, 1], count) * np.exp(rng.uniform(-16, -1, count))).astype(F32)
    pairs = [(any_bits[0], any_bits[1]), (any_bits[0], whole), (-wide, whole)]
    for base in (wide, near):
        logarithm = np.log(base.astype(np.float64))
        wanted = rng.uniform(-104, 89, count)
        pairs.append((base, np.divide(wanted, logarithm, where=logarithm != 0, out=wanted).astype(F32)))
    return pairs


@each_width
def test_power_is_as_exact_as_stated(target: str, lanes: int) -> None:
    for base, exponent in bases_and_exponents():
        assert_within("power", vocabulary.POWER_ULPS, target, lanes, base, exponent)


def test_the_bound_of_power_is_not_generous() -> None:
    worst = max(ulps(run_expression("power", x, y), exact("power", x, y)).max() for x, y in bases_and_exponents())
    assert worst > vocabulary.POWER_ULPS / 2


@each_width
def test_special_powers(target: str, lanes: int) -> None:
    """All pairs of numbers that IEEE 754 mentions, and of those where wholeness and oddness end."""
    sizes = [0, 1, 0.5, 2, 3, 2.5, math.inf, TINY, 3e38, 0.99999994, 1.0000001, 2.0**23 - 0.5]
    sizes += [2.0**23 - 1, 2.0**23 + 1, 2.0**24 - 1, 2.0**24, 2.0**24 + 2, 1e-20]
    values = np.array([*sizes, *(-size for size in sizes), math.nan], F32)
    base, exponent = (np.array(column, F32) for column in zip(*itertools.product(values, values), strict=True))
    assert_within("power", vocabulary.POWER_ULPS, target, lanes, base, exponent)
    found, wanted = run_expression("power", base, exponent, target=target, lanes=lanes), exact("power", base, exponent)
    known = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(found[known]), np.signbit(wanted[known]))


# Coefficients and code


def chebyshev(function: Callable[[float], float], degree: int, low: float, high: float) -> tuple[float, ...]:
    """Interpolation in Chebyshev's points, as powers with the highest first, rounded to float32."""
    fit = Chebyshev.interpolate(np.vectorize(function), degree, [low, high])
    return tuple(fit.convert(kind=Polynomial).coef[::-1].astype(F32).tolist())


def exp_tail(r: float) -> float:
    """(exp(r) − 1 − r) / r²."""
    return math.fsum(r**k / math.factorial(k + 2) for k in range(12))


@pytest.mark.parametrize(
    ("coefficients", "function", "low", "high"),
    [
        (functions.LOG_TAIL, lambda f: (math.log1p(f) - f + f * f / 2) / f**3, math.sqrt(0.5) - 1, math.sqrt(2) - 1),
        (functions.EXP_TAIL, exp_tail, -math.log(2) / 2, math.log(2) / 2),
        (functions.EXP_TAIL_OF_SIXTEENTHS, exp_tail, -math.log(2) / 32, math.log(2) / 32),
    ],
    ids=["log", "exp", "exp of sixteenths"],
)
def test_coefficients_are_the_fits_that_they_claim_to_be(
    coefficients: tuple[float, ...], function: Callable[[float], float], low: float, high: float
) -> None:
    again = chebyshev(function, len(coefficients) - 1, low, high)
    np.testing.assert_allclose(np.array(coefficients, F32), again, rtol=1e-4, atol=1e-9)


def slope(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """function(√z) / √z."""
    return lambda z: function(np.sqrt(z)) / np.sqrt(z)


@pytest.mark.parametrize(
    ("quotient", "degrees", "function", "at_zero"),
    [
        (functions.TANH, (4, 4), slope(np.tanh), 1),
        (functions.ERF, (5, 5), slope(np.vectorize(math.erf)), 2 / math.sqrt(math.pi)),
        (functions.LOG1P, (2, 3), lambda z: np.log1p(z) / z, 1),
        (arcs.ATAN, (3, 3), slope(np.arctan), 1),
        (arcs.ASIN, (2, 2), slope(np.arcsin), 1),
        (hyperbolic.SINH, (2, 2), slope(np.sinh), 1),
        (hyperbolic.ASINH, (3, 3), slope(np.arcsinh), 1),
        (hyperbolic.ATANH, (2, 2), slope(np.arctanh), 1),
        (hyperbolic.ACOSH, (2, 3), lambda z: np.log1p(z + np.sqrt(z * (2 + z))) / np.sqrt(2 * z), 1),
    ],
    ids=["tanh", "erf", "softplus", "atan", "asin", "sinh", "asinh", "atanh", "acosh"],
)
def test_quotients_are_the_best_that_they_claim_to_be(
    quotient: functions.Quotient, degrees: tuple[int, int], function: Callable[[Array], Array], at_zero: float
) -> None:
    """With a relative error below 2^-25, rounded below 2^-24; the middle is subtracted from the best quotient."""

    def whole(z: Array) -> Array:
        return np.where(z < 1e-15, at_zero, function(np.maximum(z, 1e-15)))

    numerator, denominator = (np.array(part[::-1]) for part in (quotient.numerator, quotient.denominator))
    top, bottom, error = best_quotient(whole, degrees, quotient.end)
    assert error < 2.0**-25
    np.testing.assert_allclose(denominator, bottom.coef, rtol=1e-4)
    np.testing.assert_allclose(numerator, (top - quotient.middle * bottom).coef, rtol=1e-4)
    z = np.linspace(1e-6, quotient.end, 100_001)
    rounded = quotient.middle + np.polyval(quotient.numerator, z) / np.polyval(quotient.denominator, z)
    assert abs(rounded / function(z) - 1).max() < 2.0**-24


@pytest.mark.parametrize("target", TARGETS)
def test_no_function_needs_libm(target: str) -> None:
    """One object with every function of the vocabulary, a vector of the target wide: only routines for floats."""
    machine = TARGETS[target]
    e = LlvmEmitter(machine)
    for element, (name, function) in itertools.product(COMPUTED, vocabulary.FUNCTIONS.items()):
        if element not in function.takes:
            continue
        types = [INT32] * function.condition + [register_type(element)] * ARITY.get(name, 1)
        with e.function(f"{name}_{element}", [(POINTER, f"p{k}") for k in range(len(types) + 1)]) as pointers:
            values = [e.load(type.wide(machine.lanes), at) for type, at in zip(types, pointers, strict=False)]
            e.store(CODE[element.kind][name](e, *values), pointers[-1])
            e.ret()
    assert set(format_of(machine).undefined_symbols(native.emit_object(e.module(), machine))) <= allowed(machine)


def test_every_function_has_a_meaning_and_an_emission() -> None:
    for element in COMPUTED:
        taken = {name for name, function in vocabulary.FUNCTIONS.items() if element in function.takes}
        assert set(CODE[element.kind]) == taken


def test_the_sign_of_both_zeros_is_the_positive_zero() -> None:
    """A division by it tells the difference (seed 600984)."""
    net = Net()
    x = net.input(1, 4)
    graph = net.graph(net.apply(Sign(), x))
    (found,) = run_native(compilation(graph), {"x": np.array([[-0.0, 0.0, -2, 3]], np.float32)}).values()
    assert not np.signbit(found[0, :2]).any() and found[0, 2:].tolist() == [-1, 1]
