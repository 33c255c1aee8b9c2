"""Einsum with its fixed equation: diagonals, sums, and one batched matrix product after another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ... import ops
from ...errors import ModelError, ShapeError
from ...ir import Value
from ..counts import equal
from . import linear
from .call import NodeContext, Result

Labels = tuple[str, ...]
"""One label for each axis; those of an ellipsis are numbers, counted from the last axis."""


@dataclass(frozen=True)
class Term:
    """A value whose axes are labelled, none of them twice; one that `arrives` may have images along its first axis."""

    value: Value
    labels: Labels
    arrives: bool

    @property
    def first(self) -> list[str]:
        """The label that may be that of the images."""
        return [*self.labels[:1]] if self.arrives else []


def einsum(call: NodeContext) -> Result:
    """The operands are joined from left to right. A label is summed as soon as nothing behind reads it."""
    inputs, output = equation(call)
    shapes = [call.shape(index) for index in range(call.count)]
    sizes = common_sizes(inputs, shapes)
    terms = [
        without_repeats(call, index, labels, [sizes[label] for label in labels]) for index, labels in enumerate(inputs)
    ]
    left = terms[0]
    for number, right in enumerate(terms[1:], start=2):
        later = {label for term in terms[number:] for label in term.labels} | {*output}
        left = joined(call, left, right, later, sizes)
    return call.add(ops.Identity(), arranged(call, summed(call, left, {*output}), output).value)


def equation(call: NodeContext) -> tuple[list[Labels], Labels]:
    """The labels of every operand and those of the result. Raises ModelError for an equation that says neither."""
    text = "".join(call.required("equation", str).split())
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != call.count:
        raise ModelError(f"equation '{text}' has {len(terms)} terms for {call.count} inputs")
    inputs = [labels_of(text, term, len(call.shape(index))) for index, term in enumerate(terms)]
    every = [label for labels in inputs for label in labels]
    ranks = sorted({label for label in every if label.isdigit()}, key=int, reverse=True)
    once = sorted(label for label in {*every} if every.count(label) == 1 and not label.isdigit())
    output = labels_of(text, right, len(right.replace("...", "")) + len(ranks)) if arrow else (*ranks, *once)
    if len({*output}) < len(output) or not {*output} <= {*every}:
        raise ModelError(f"equation '{text}': each label of the result must be in some term, and stand there once")
    return inputs, output


def labels_of(text: str, term: str, rank: int) -> Labels:
    before, dots, after = term.partition("...")
    missing = rank - len(before) - len(after)
    if not all(map(str.isalpha, before + after)) or missing < 0 or (missing and not dots):
        raise ModelError(f"equation '{text}': '{term}' does not label {rank} axes")
    return (*before, *map(str, reversed(range(missing))), *after)


def common_sizes(inputs: Sequence[Labels], shapes: Sequence[tuple[int, ...]]) -> dict[str, int]:
    """The size of each label: axes of size 1 broadcast to others. Raises ShapeError if others differ."""
    sizes: dict[str, int] = {}
    for labels, shape in zip(inputs, shapes, strict=True):
        for label, size in zip(labels, shape, strict=True):
            known = sizes.setdefault(label, size)
            if equal(known, 1):
                sizes[label] = size
            elif not equal(size, 1) and not equal(size, known):
                raise ShapeError(f"label '{label}' stands for axes of {known} and of {size} elements")
    return sizes


def without_repeats(call: NodeContext, index: int, labels: Labels, sizes: Sequence[int]) -> Term:
    """An input without axes that broadcast, and with the diagonal in place of two axes of one label."""
    value, own = call.value(index), call.shape(index)
    gone = [axis for axis, size in enumerate(own) if not equal(size, sizes[axis])]
    if gone:
        value = call.add(ops.Squeeze(tuple(gone)), value, role="squeezed")
    labels = tuple(label for axis, label in enumerate(labels) if axis not in gone)
    while repeated := [label for axis, label in enumerate(labels) if label in labels[:axis]]:
        first, second = [axis for axis, label in enumerate(labels) if label == repeated[0]][:2]
        value = diagonal(call, value, first, second)
        labels = (*labels[:second], *labels[second + 1 :])
    return Term(value, labels, call.known(index) is None)


def diagonal(call: NodeContext, value: Value, first: int, second: int) -> Value:
    """The elements at equal places of two axes, along the first of them."""
    shape = call.type(value).shape
    order = [axis for axis in range(len(shape)) if axis != second]
    order.insert(first + 1, second)
    n = shape[first]
    square = permuted(call, value, order)
    rest = [shape[axis] for axis in order if axis not in (first, second)]
    flat = call.add(ops.Reshape(kept_first((*rest[:first], n * n, *rest[first:]), first > 0)), square, role="square")
    return call.add(ops.Slice((0,), (n * n,), (first,), (n + 1,)), flat, role="diagonal")


def joined(call: NodeContext, left: Term, right: Term, later: set[str], sizes: dict[str, int]) -> Term:
    """The product of two terms, summed over the labels that neither the result nor later terms read."""
    left, right = summed(call, left, later | {*right.labels}), summed(call, right, later | {*left.labels})
    both = [label for label in left.labels if label in right.labels]
    batch, inner = [label for label in both if label in later], [label for label in both if label not in later]
    rows = [label for label in left.labels if label not in both]
    columns = [label for label in right.labels if label not in both]
    if not inner:
        return outer_product(call, left, right, [*batch, *rows, *columns])
    # If only one operand has the axis of the images, it stays an axis for itself.
    lead = rows[:1] if rows[:1] == left.first else []
    tail = columns[:1] if columns[:1] == right.first and not lead else []
    rows, columns = rows[len(lead) :], columns[len(tail) :]
    a = matrices(call, arranged(call, left, (*lead, *batch, *rows, *inner)), len(lead + batch), len(rows))
    b = matrices(call, arranged(call, right, (*tail, *batch, *inner, *columns)), len(tail + batch), len(inner))
    product = linear.matrix_product(call, a, b, "product")
    labels = (*lead, *tail, *batch, *rows, *columns)
    shape = kept_first([sizes[label] for label in labels], bool(lead or tail or batch))
    return Term(call.add(ops.Reshape(shape), product, role="joined"), labels, left.arrives or right.arrives)


def outer_product(call: NodeContext, left: Term, right: Term, labels: Sequence[str]) -> Term:
    """Products of elements, in the order of the labels that begins with that of the images."""
    labels = tuple(dict.fromkeys((*left.first, *right.first, *labels)))
    parts = []
    for term in (left, right):
        value = arranged(call, term, tuple(label for label in labels if label in term.labels)).value
        missing = tuple(axis for axis, label in enumerate(labels) if label not in term.labels)
        parts.append(call.add(ops.Unsqueeze(missing), value, role="beside") if missing else value)
    return Term(call.add(ops.Mul(), *parts, role="product"), labels, left.arrives or right.arrives)


def matrices(call: NodeContext, term: Term, batch: int, rows: int) -> Value:
    """The axes behind `batch` as two: so many become rows, the others columns."""
    shape = call.type(term.value).shape
    row, column = (math.prod(part) for part in (shape[batch : batch + rows], shape[batch + rows :]))
    return call.add(ops.Reshape(kept_first((*shape[:batch], row, column), batch > 0)), term.value, role="matrices")


def kept_first(shape: Sequence[int], keeps: bool) -> tuple[int, ...]:
    """`shape`, with 0 in place of a first size that the operand has, too."""
    return (0, *shape[1:]) if keeps else tuple(shape)


def summed(call: NodeContext, term: Term, read: set[str]) -> Term:
    """Without the labels that nothing reads."""
    gone = tuple(axis for axis, label in enumerate(term.labels) if label not in read)
    if not gone:
        return term
    labels = tuple(label for label in term.labels if label in read)
    return Term(call.add(ops.ReduceSum(gone, False), term.value, role="sum"), labels, term.arrives)


def arranged(call: NodeContext, term: Term, labels: Labels) -> Term:
    return replace(term, value=permuted(call, term.value, list(map(term.labels.index, labels))), labels=labels)


def permuted(call: NodeContext, value: Value, order: Sequence[int]) -> Value:
    """The axes in another order, if it is one."""
    return value if list(order) == sorted(order) else call.add(ops.Transpose(tuple(order)), value, role="turned")
