"""Labels of the samples, and sample weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...compiler.jit import by_type, helper
from ...compiler.types import class_of, fields, holds
from ..simd import lanes
from ..simd.arrays import PADDING
from .row_order import is_own, row_at

# Rows that `bincount` takes at a time, since it copies its arguments to int64 and float64.
_BLOCK = 1 << 18


class Weighted(NamedTuple):
    """Labels with sample weights of mean 1. Kernels take it in place of an array of labels."""

    labels: NDArray[Any]  # (m,) of uint8
    sample_weight: NDArray[Any]  # (m,) in the precision that kernels compute in


def empty_places(size: int, dtype: Any) -> NDArray[Any]:
    """Zeros (size,) for labels, with memory behind them for whole lanes."""
    return np.zeros(size + PADDING, dtype)[:size]


def with_padding(labels: NDArray[Any]) -> NDArray[Any]:
    """A copy of the labels with memory behind it for whole lanes."""
    copy = empty_places(labels.size, labels.dtype)
    copy[:] = labels
    return copy


def class_weights(labels: NDArray[Any], sample_weight: NDArray[Any] | None, n_classes: int) -> NDArray[Any]:
    """Sums (n_classes,) of the sample weights of each class; None stands for weights of 1."""
    if sample_weight is None and n_classes == 2:
        ones = np.count_nonzero(labels)
        return np.array([labels.size - ones, ones], np.float64)
    sums = np.zeros(n_classes)
    for start in range(0, labels.size, _BLOCK):
        rows = slice(start, start + _BLOCK)
        sums += np.bincount(labels[rows], None if sample_weight is None else sample_weight[rows], n_classes)
    return sums


def is_weighted(labels):
    """Whether the Numba type of labels is that of `Weighted`."""
    return class_of(labels) is Weighted


def is_binary(labels):
    """Whether the Numba type of labels is that of labels 0 and 1."""
    return holds(fields(labels)[0] if is_weighted(labels) else labels, "uint8")


@by_type
def count_of(labels):
    """Number of labels."""
    return _count_of_weighted if is_weighted(labels) else _count


def _count(labels):
    return labels.size


def _count_of_weighted(labels):
    return labels.labels.size


@by_type
def label_of(labels, i):
    return _label_of_weighted if is_weighted(labels) else _label


def _label(labels, i):
    return np.int64(labels[i])


def _label_of_weighted(labels, i):
    return np.int64(labels.labels[i])


@by_type
def signs(labels, order, first, count, out_sign):
    """Signs for `link.residuals`: +1 for y = 0, -1 for y = 1. Lanes beyond `count` may hold any number."""
    if is_weighted(labels):
        return _signs_of_weighted
    return _own_signs if is_own(order) else _ordered_signs


def _own_signs(labels, order, first, count, out_sign):
    for t in range(0, count, lanes.width(out_sign)):
        lanes.store(out_sign, t, lanes.load_as(out_sign, labels, first + t) * -2.0 + 1.0)


def _ordered_signs(labels, order, first, count, out_sign):
    one = out_sign.dtype.type(1)
    for t in range(count):
        out_sign[t] = -one if labels[row_at(order, first + t)] else one


def _signs_of_weighted(labels, order, first, count, out_sign):
    signs(labels.labels, order, first, count, out_sign)


@by_type
def weigh(labels, order, first, count, total, out_value):
    """Multiply `count` values of rows at positions from `first` on by the sample weights; return their new sum.

    `total` is the sum before.
    """
    return _weigh if is_weighted(labels) else _weigh_equally


def _weigh_equally(labels, order, first, count, total, out_value):
    return total


def _weigh(labels, order, first, count, total, out_value):
    for t in range(count):
        out_value[t] *= labels.sample_weight[row_at(order, first + t)]
    return sum_of(out_value, count, total - total)


@helper
def sum_of(value, count, zero):
    """Sum of the first `count` values; `zero` has the type of the sum.

    A loop that also writes to another array may not contain a sum. LLVM tests at run time whether the arrays overlap,
    and sums in another order if they do. The bits would depend on addresses.
    """
    total = zero
    for t in range(count):
        total += value[t]
    return total
