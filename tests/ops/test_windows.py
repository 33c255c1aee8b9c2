"""Window arithmetic against counting, exhaustively for small sizes, and its error messages."""

from __future__ import annotations

from itertools import product

import pytest

from cnncc.errors import ShapeError
from cnncc.windows import WindowAxis, per_axis, resolve

from .oracles import padding_of, positions

EXPLICIT = [((low, high),) for low, high in product(range(5), repeat=2)]


def check_axis(axis: WindowAxis, padding):
    """Every property of `axis` against walking over the padded elements."""
    assert (axis.low, axis.high) == padding_of(padding, 0, axis.size, axis.kernel, axis.stride, axis.dilation)
    extent = 1 + (axis.kernel - 1) * axis.dilation
    starts = positions(axis.low + axis.size + axis.high, extent, axis.stride)
    spans = [(start - axis.low, start - axis.low + extent) for start in starts]
    assert axis.extent == extent
    assert axis.out == len(starts)
    assert [axis.start(position) for position in range(axis.out)] == [first for first, _ in spans]
    inside = [o for o, (first, end) in enumerate(spans) if first >= 0 and end <= axis.size]
    assert list(range(*axis.interior)) == inside
    assert axis.reach == (max(0, -spans[0][0]), max(0, spans[-1][1] - axis.size))


@pytest.mark.parametrize("size", range(1, 8))
@pytest.mark.parametrize("kernel", range(1, 5))
def test_every_small_window(size, kernel):
    for stride, dilation in product(range(1, 4), repeat=2):
        for padding in ("valid", "same", "full", *range(4), *EXPLICIT):
            low, high = padding_of(padding, 0, size, kernel, stride, dilation)
            if low + size + high < 1 + (kernel - 1) * dilation:
                with pytest.raises(ShapeError, match="does not fit into"):
                    resolve([size], [kernel], [stride], [dilation], padding)
                continue
            (axis,) = resolve([size], [kernel], [stride], [dilation], padding)
            assert (axis.size, axis.kernel, axis.stride, axis.dilation) == (size, kernel, stride, dilation)
            check_axis(axis, padding)


@pytest.mark.parametrize("size", range(1, 8))
@pytest.mark.parametrize("kernel", range(1, 5))
def test_the_three_modes_have_the_textbook_sizes(size, kernel):
    (same,) = resolve([size], [kernel], [1], [1], "same")
    (full,) = resolve([size], [kernel], [1], [1], "full")
    assert same.out == size
    assert full.out == size + kernel - 1
    if size >= kernel:
        (valid,) = resolve([size], [kernel], [1], [1], "valid")
        assert valid.out == size - kernel + 1


def test_axes_are_independent():
    rows, columns = resolve((7, 5), (3, 2), (2, 1), (1, 3), ((1, 0), 2))
    assert rows == WindowAxis(7, 3, 2, 1, 1, 0)
    assert columns == WindowAxis(5, 2, 1, 3, 2, 2)


def test_an_odd_element_of_same_padding_goes_to_the_high_side():
    (axis,) = resolve([6], [4], [1], [1], "same")
    assert (axis.low, axis.high) == (1, 2)


@pytest.mark.parametrize(
    ("padding", "message"),
    [
        ("SAME", "padding 'SAME' is unknown: expected 'valid', 'same', 'full' or numbers"),
        ((1,), "padding (1,) has 1 entries, expected 2 (one for each axis)"),
        ((1, -1), "padding entry -1 is neither a number of at least 0 nor a (low, high) pair"),
        (((1, 2, 3), 1), "padding entry (1, 2, 3) is neither a number of at least 0 nor a (low, high) pair"),
        (((1, "2"), 1), "padding entry (1, '2') is neither a number of at least 0 nor a (low, high) pair"),
        (1.5, "padding 1.5 is neither 'valid', 'same', 'full' nor numbers"),
        ((1.5, 1), "padding entry 1.5 is neither a number of at least 0 nor a (low, high) pair"),
        ((True, 1), "padding entry True is neither a number of at least 0 nor a (low, high) pair"),
        (0, "a window of 5 elements does not fit into 4 + 0 + 0 (axis 0 of the window)"),
    ],
)
def test_padding_that_makes_no_sense(padding, message):
    with pytest.raises(ShapeError) as caught:
        resolve((4, 9), (3, 3), (1, 1), (2, 1), padding)
    assert str(caught.value) == message


def test_per_axis():
    assert per_axis(2, 3, "stride") == (2, 2, 2)
    assert per_axis((1, 2), 2, "stride") == (1, 2)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "stride (0, 0): each entry must be a whole number of at least 1"),
        ((1, 1.5), "stride (1, 1.5): each entry must be a whole number of at least 1"),
        ((1, True), "stride (1, True): each entry must be a whole number of at least 1"),
        ((1, 2, 3), "stride (1, 2, 3) has 3 entries, expected 2 (one for each axis)"),
        (1.5, "stride 1.5 is neither a whole number nor one for each axis"),
        ("ab", "stride ('a', 'b'): each entry must be a whole number of at least 1"),
    ],
)
def test_per_axis_refuses(value, message):
    with pytest.raises(ShapeError) as caught:
        per_axis(value, 2, "stride")
    assert str(caught.value) == message
