"""The lectures' worked examples of convolution and pooling, with the numbers written out.

Where a printed number is wrong, the test holds the corrected one and names the erratum. A figure that was
lost is replaced by the customary kernel of that example, and the test says so.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from cnncc.ir import Builder
from cnncc.ops import (
    AveragePool,
    BatchNormalization,
    BatchStandardization,
    Conv,
    ConvTranspose,
    Dense,
    Flatten,
    GroupNormalization,
    InstanceNormalization,
    MaxPool,
    Relu,
    Softmax,
)
from cnncc.types import TensorType


def rows(text):
    """'1 2/3 4' as a matrix."""
    return np.array([[float(n) for n in row.split()] for row in text.split("/")], np.float32)


def image(matrix):
    return np.asarray(matrix, np.float32)[None, None]


def convolve(a, k, **options):
    """One image, one channel, one filter."""
    a, k = np.asarray(a, np.float32), np.asarray(k, np.float32)
    return Conv(k.shape, **options).reference(a[None, None], k[None, None])[0][0, 0]


def pool(op, a):
    return op.reference(image(a))[0][0, 0]


def equal(actual, text):
    np.testing.assert_array_equal(actual, rows(text))


VERTICAL = rows("1 0 -1/1 0 -1/1 0 -1")
HORIZONTAL = VERTICAL.T


class TestEdges:
    """Examples 2.1 to 2.4."""

    A = rows("3 0 1 2 7 4/1 5 8 9 3 1/2 7 2 5 1 3/0 1 3 1 7 8/4 2 1 6 2 8/2 4 5 2 3 9")
    RESULT = "-5 -4 0 8/-10 -2 2 3/0 -2 -4 -7/-3 -2 -3 -16"

    def test_vertical_edges(self):
        equal(convolve(self.A, VERTICAL), self.RESULT)

    def test_flip_changes_every_sign_of_an_antisymmetric_kernel(self):
        np.testing.assert_array_equal(convolve(self.A, VERTICAL, flip=True), -rows(self.RESULT))

    def test_light_to_dark(self):
        equal(convolve(rows("/".join(["10 10 10 0 0 0"] * 6)), VERTICAL), "/".join(["0 30 30 0"] * 4))

    def test_dark_to_light(self):
        equal(convolve(rows("/".join(["0 0 0 10 10 10"] * 6)), VERTICAL), "/".join(["0 -30 -30 0"] * 4))

    def test_checker(self):
        checker = rows("/".join(["10 10 10 0 0 0"] * 3 + ["0 0 0 10 10 10"] * 3))
        equal(convolve(checker, HORIZONTAL), "0 0 0 0/30 10 -10 -30/30 10 -10 -30/0 0 0 0")
        equal(convolve(checker, VERTICAL), "0 30 30 0/0 10 10 0/0 -10 -10 0/0 -30 -30 0")


class TestStride:
    """Example 2.5. Erratum: the printed result has 83 at (0, 2) and 127 at (1, 2); no integer kernel gives
    that. With the customary kernel (lost in print) the other seven cells agree and these are 88 and 117."""

    A = rows("2 3 7 4 6 2 9/6 6 9 8 7 4 3/3 4 8 3 8 9 7/7 8 3 6 6 3 4/4 2 1 8 3 4 6/3 2 4 1 9 8 3/0 1 3 9 2 1 4")
    K = rows("3 4 4/1 0 2/-1 0 3")

    def test_stride_2(self):
        equal(convolve(self.A, self.K, stride=2), "91 100 88/69 91 117/44 72 74")

    def test_stride_1_holds_it_in_every_second_cell(self):
        whole = convolve(self.A, self.K)
        equal(whole, "91 80 100 84 88/99 106 126 92 77/69 98 91 93 117/80 79 87 93 61/44 72 72 63 74")
        np.testing.assert_array_equal(whole[::2, ::2], convolve(self.A, self.K, stride=2))


def test_x_pattern():
    """Example 2.6; kernel and result are lost in print, this is the customary kernel."""
    a = rows("1 1 1 0 0/0 1 1 1 0/0 0 1 1 1/0 0 1 1 0/0 1 1 0 0")
    equal(convolve(a, rows("1 0 1/0 1 0/1 0 1")), "4 3 4/2 4 3/2 3 4")


class TestModes:
    """Example 2.7. Erratum: the table prints the filter as `0 1 2` three times; only the subscripts on the
    image (0 1 2/2 2 0/0 1 2) give the printed result."""

    A = rows("3 3 2 1 0/0 0 1 3 1/3 1 2 2 3/2 0 0 2 2/2 0 0 0 1")
    K = rows("0 1 2/2 2 0/0 1 2")

    def test_valid(self):
        equal(convolve(self.A, self.K), "12 12 17/10 17 19/9 6 14")

    def test_valid_with_the_filter_of_the_table(self):
        equal(convolve(self.A, rows("0 1 2/0 1 2/0 1 2")), "14 17 14/7 17 19/5 10 16")

    def test_same(self):
        expected = "6 14 17 11 3/14 12 12 17 11/8 10 17 19 13/11 9 6 14 12/6 4 4 6 4"
        equal(convolve(self.A, self.K, padding="same"), expected)
        equal(convolve(self.A, self.K, padding=1), expected)

    def test_full(self):
        equal(
            convolve(self.A, self.K, padding="full"),
            "6 9 7 4 1 0 0/0 6 14 17 11 3 0/12 14 12 12 17 11 2/4 8 10 17 19 13 6/10 11 9 6 14 12 4/4 6 4 4 6 4 2/"
            "4 2 0 0 2 1 0",
        )

    def test_flip(self):
        equal(convolve(self.A, self.K, flip=True), "18 20 19/10 9 17/11 8 14")
        np.testing.assert_array_equal(convolve(self.A, self.K, flip=True), convolve(self.A, self.K[::-1, ::-1]))


class TestLetters:
    """Examples 2.8 and 2.9, with distinct primes for the letters."""

    W, X, Y, Z = 2, 3, 5, 7

    def test_twelve_letters(self):
        w, x, y, z = self.W, self.X, self.Y, self.Z
        a, b, c, d, e, f, g, h, i, j, k, l = letters = (11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53)  # noqa: E741
        expected = [
            [a * w + b * x + e * y + f * z, b * w + c * x + f * y + g * z, c * w + d * x + g * y + h * z],
            [e * w + f * x + i * y + j * z, f * w + g * x + j * y + k * z, g * w + h * x + k * y + l * z],
        ]
        np.testing.assert_array_equal(convolve(np.reshape(letters, (3, 4)), [[w, x], [y, z]]), expected)

    def test_nine_letters(self):
        """Erratum: all four printed lines are wrong (…+hz, …+iz, …+fy+…, …+gy+…)."""
        w, x, y, z = self.W, self.X, self.Y, self.Z
        b, c, d, e, f, g, h, i, j = letters = (11, 13, 17, 19, 23, 29, 31, 37, 41)
        expected = [
            [b * w + c * x + e * y + f * z, c * w + d * x + f * y + g * z],
            [e * w + f * x + h * y + i * z, f * w + g * x + i * y + j * z],
        ]
        np.testing.assert_array_equal(convolve(np.reshape(letters, (3, 3)), [[w, x], [y, z]]), expected)


def line(x, w, **options):
    """A 1-D convolution of one channel."""
    x, w = np.asarray(x, np.float32), np.asarray(w, np.float32)
    return Conv((len(w),), **options).reference(x[None, None], w[None, None])[0][0, 0]


def test_toeplitz():
    """Example 2.10: the convolution is a matrix that repeats its weights."""
    a, (w1, w2) = np.array([2, 3, 5, 7]), (11, 13)
    matrix = np.array([[w1, w2, 0, 0], [0, w1, w2, 0], [0, 0, w1, w2]])
    np.testing.assert_array_equal(line(a, (w1, w2)), matrix @ a)


def test_weighted_average():
    """Example 2.11. Erratum: of the printed 1.80 1.96 2.11 2.16 2.28 the first is off by 0.01 and the last
    two belong to another x. Written oldest weight first, the average is a plain cross-correlation."""
    w = [0.01, 0.01, 0.02, 0.02, 0.04, 0.4, 0.5]
    x = [1.00, 1.10, 1.20, 1.40, 1.70, 1.80, 1.90, 2.10, 2.20, 2.40, 2.50, 2.70]
    expected = [1.811, 1.967, 2.112, 2.269, 2.413, 2.569]
    # Nine roundings of data to float32 at most, each relative: 2^-24 for x, for w and for the result.
    np.testing.assert_allclose(line(x, w), expected, rtol=3 * 2.0**-24 + 1e-12)


def test_full_true_convolution_in_one_dimension():
    """Example 4.1: a transposed convolution of stride 1 is the full true convolution."""
    np.testing.assert_array_equal(line([2, 3, 0, -1], [1, 2, -1], padding="full", flip=True), [2, 7, 4, -4, -2, 1])


def test_translation_moves_the_result(rng):
    """Remark 1.12, for stride 1 and no padding."""
    x = rng.integers(-9, 9, (12, 12))
    k = rng.integers(-3, 4, (3, 3))
    moved = np.roll(x, (2, 3), (0, 1))
    np.testing.assert_array_equal(convolve(moved, k)[2:, 3:], convolve(x, k)[:-2, :-3])


def out(op, *shapes):
    return op.infer(*map(TensorType, shapes))[0].shape


def test_sizes():
    """Examples 2.12. Where the answer was lost or left as homework, it follows from the size formulas."""
    assert out(Conv((3, 3)), (1, 1, 28, 28), (1, 1, 3, 3)) == (1, 1, 26, 26)
    assert out(Conv((3, 3), padding=1), (1, 1, 28, 28), (1, 1, 3, 3)) == (1, 1, 28, 28)
    assert out(Conv((5, 5)), (1, 1, 7, 7), (1, 1, 5, 5)) == (1, 1, 3, 3)
    assert out(Conv((3, 3), padding=1), (1, 1, 7, 7), (1, 1, 3, 3)) == (1, 1, 7, 7)
    assert out(Conv((3, 3), 2, padding=1), (1, 1, 7, 7), (1, 1, 3, 3)) == (1, 1, 4, 4)
    assert out(Conv((11, 11), 4), (1, 3, 227, 227), (96, 3, 11, 11)) == (1, 96, 55, 55)
    assert out(Conv((5, 5)), (1, 3, 32, 32), (6, 3, 5, 5)) == (1, 6, 28, 28)
    assert out(Conv((5, 5)), (1, 3, 28, 28), (10, 3, 5, 5)) == (1, 10, 24, 24)
    assert out(Conv((2, 2)), (1, 1, 5, 5), (1, 1, 2, 2)) == (1, 1, 4, 4)
    assert out(Conv((2, 2)), (1, 1, 3, 3), (1, 1, 2, 2)) == (1, 1, 2, 2)
    assert out(Conv((3, 3), dilation=2), (1, 1, 5, 5), (1, 1, 3, 3)) == (1, 1, 1, 1)
    assert out(MaxPool((2, 2)), (1, 3, 4, 4)) == (1, 3, 2, 2)
    assert out(MaxPool((2, 2)), (1, 1, 100, 100)) == (1, 1, 50, 50)


class TestPooling:
    """Examples 3.1 and 3.2."""

    A = rows("1 4 2 1/5 8 3 4/7 6 4 5/1 3 1 2")
    B = rows("1 3 2 2 5/5 6 7 8 1/3 2 1 0 7/1 2 3 4 9/1 1 2 9 4")

    def test_maximum(self):
        equal(pool(MaxPool((2, 2)), self.A), "8 4/7 5")
        equal(pool(MaxPool((2, 2), 1), self.A), "8 8 4/8 8 5/7 6 5")

    def test_average(self):
        equal(pool(AveragePool((2, 2)), self.A), "4.5 2.5/4.25 3")
        equal(pool(AveragePool((2, 2), 1), self.A), "4.5 4.25 2.5/6.5 5.25 4/4.25 3.5 3")

    @pytest.mark.parametrize("last", [4, 1])
    def test_both_readings_of_the_lost_figure(self, last):
        """Erratum: the result is lost but for 8 and 9, which fit two readings; the last cell is 4 or 1."""
        b = self.B.copy()
        b[4, 4] = last
        equal(pool(MaxPool((3, 3), 2), b), "7 8/3 9")
        equal(pool(MaxPool((2, 2), 3), b), "6 8/2 9")
        equal(pool(MaxPool((2, 2)), b), "6 8/3 4")
        equal(pool(MaxPool((3, 3), 1), b), "7 8 8/7 8 9/3 9 9")


def scatter(a, k, **options):
    """One image, one channel, one filter, transposed."""
    a, k = np.asarray(a, np.float32), np.asarray(k, np.float32)
    return ConvTranspose(k.shape, **options).reference(a[None, None], k[None, None])[0][0, 0]


class TestTransposed:
    """Section 4."""

    A = rows("0 1/2 3")

    def test_one_dimension_is_the_full_textbook_convolution(self):
        """Example 4.1."""
        x, w = np.array([2, 3, 0, -1]), np.array([1, 2, -1])
        found = scatter(x, w)
        equal(found[None], "2 7 4 -4 -2 1")
        np.testing.assert_array_equal(found, convolve(x, w, padding="full", flip=True))

    def test_stride_one(self):
        """Example 4.2. Erratum: the figure is lost; these numbers follow from the input and the same kernel."""
        equal(scatter(self.A, self.A), "0 0 1/0 4 6/4 12 9")

    def test_padding_takes_away_from_the_output(self):
        equal(scatter(self.A, self.A, padding=1), "4")

    def test_stride_two(self):
        """Example 4.3."""
        equal(scatter(self.A, self.A, stride=2), "0 0 0 1/0 0 2 3/0 2 0 3/4 6 6 9")

    def test_sizes(self):
        """Example 4.4."""
        kernel = np.ones((3, 3))
        assert scatter(self.A, kernel).shape == (4, 4)
        assert scatter(self.A, kernel, stride=2).shape == (5, 5)

    def test_same_where_the_lectures_leave_it_open(self):
        """n·stride elements: the low side loses ⌊(k − s) / 2⌋, a kernel below the stride is filled up behind."""
        x = np.array([1, 2])
        equal(scatter(x, [1, 10, 100], stride=2, padding="same")[None], "1 10 102 20")
        equal(scatter(x, [1, 10, 100, 1000], stride=2, padding="same")[None], "10 102 1020 200")
        equal(scatter(x, [1, 10], stride=3, padding="same")[None], "1 10 0 2 20 0")


def chain(shape, layers):
    """A graph of `layers` (op, shapes of its weights) one after the other; sizes and parameter counts."""
    builder = Builder()
    value = builder.input("x", TensorType(shape))
    sizes, parameters = [], []
    for op, weights in layers:
        constants = [builder.constant(np.zeros(shape)) for shape in weights]
        (value,) = builder.add(op, (value, *constants))
        graph = builder.graph({"y": value})
        sizes.append(graph.type(value).shape[1:])
        parameters.append(sum(graph.type(constant).size for constant in constants))
    return sizes, parameters


class TestParameterCounts:
    """Section 6: count what the graph holds."""

    def test_ten_filters(self):
        assert chain((1, 3, 28, 28), [(Conv((5, 5)), [(10, 3, 5, 5), (10,)])])[1] == [760]

    def test_sixty_four_filters_without_bias(self):
        sizes, parameters = chain((1, 3, 32, 32), [(Conv((5, 5)), [(64, 3, 5, 5)])])
        assert sizes == [(64, 28, 28)]
        assert parameters == [4800]
        assert math.prod((3, 32, 32)) * math.prod(sizes[0]) == 154_140_672

    def test_lenet(self):
        """Errata: the convolutions are printed without bias (150, 2400) and the dense layers with it; the
        second pooling is printed with 6 channels, it has 16."""
        sizes, parameters = chain(
            (1, 1, 32, 32),
            [
                (Conv((5, 5)), [(6, 1, 5, 5), (6,)]),
                (MaxPool((2, 2)), []),
                (Conv((5, 5)), [(16, 6, 5, 5), (16,)]),
                (MaxPool((2, 2)), []),
                (Flatten(), []),
                (Dense(), [(120, 400), (120,)]),
                (Dense(), [(84, 120), (84,)]),
                (Dense(), [(10, 84), (10,)]),
            ],
        )
        assert sizes == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (400,), (120,), (84,), (10,)]
        assert parameters == [150 + 6, 0, 2400 + 16, 0, 0, 48120, 10164, 850]

    def test_table(self):
        """Errata: 208 and 416 count one channel of each filter (608 and 3216 in all); 48001, 10081 and 841
        count one bias for a whole layer."""
        sizes, parameters = chain(
            (1, 3, 32, 32),
            [
                (Conv((5, 5)), [(8, 3, 5, 5), (8,)]),
                (MaxPool((2, 2)), []),
                (Conv((5, 5)), [(16, 8, 5, 5), (16,)]),
                (MaxPool((2, 2)), []),
                (Flatten(), []),
                (Dense(), [(120, 400), (120,)]),
                (Relu(), []),
                (Dense(), [(84, 120), (84,)]),
                (Dense(), [(10, 84), (10,)]),
                (Softmax(), []),
            ],
        )
        assert [math.prod(size) for size in sizes] == [6272, 1568, 1600, 400, 400, 120, 120, 84, 10, 10]
        assert [count for count in parameters if count] == [608, 3216, 48120, 10164, 850]


def test_softmax_sums_to_one(rng):
    """Definition 1.14."""
    (y,) = Softmax().reference(rng.standard_normal((4, 10)).astype(np.float32))
    np.testing.assert_allclose(y.sum(axis=1, dtype=np.float64), 1, rtol=10 * 2.0**-24)


class TestBatchNormalization:
    """Definition 1.15 and the golden values that go with the fifth document's backward pass (computed, not printed).

    Errata: its slides divide by 2, its example's m, where the text has m; the transcript calls gamma a variance, but
    it is a scale. Only the statistics of a mini-batch appear (with 1/m: biased), no running averages: the form with
    given mean and variance must give the same where it is given these.
    """

    X, Y = [1, 2, 4, 9], [-1.44665603, -0.79777069, 0.5, 3.74442672]
    MEAN, VARIANCE = 4.0, 9.5

    def test_by_the_statistics_of_the_batch(self):
        x, gamma, beta = (np.array(v, np.float32).reshape(-1, 1) for v in (self.X, [2], [0.5]))
        (y,) = BatchStandardization(1e-5).reference(x, gamma[0], beta[0])
        np.testing.assert_allclose(y.ravel(), self.Y, atol=5e-9 + 2.0**-23)

    def test_by_given_statistics(self):
        vectors = (np.array([v], np.float32) for v in (2, 0.5, self.MEAN, self.VARIANCE))
        (y,) = BatchNormalization(1e-5).reference(np.array(self.X, np.float32).reshape(-1, 1), *vectors)
        np.testing.assert_allclose(y.ravel(), self.Y, atol=5e-9 + 2.0**-23)

    def test_one_image_over_its_positions_is_the_same_as_a_batch_of_numbers(self):
        x = np.array(self.X, np.float32).reshape(1, 1, 4)
        vectors = np.array([2], np.float32), np.array([0.5], np.float32)
        for op in (BatchStandardization(), InstanceNormalization(), GroupNormalization(1)):
            np.testing.assert_allclose(op.reference(x, *vectors)[0].ravel(), self.Y, atol=5e-9 + 2.0**-23)
