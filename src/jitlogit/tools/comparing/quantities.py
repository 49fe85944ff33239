"""The quantities of the derivation for one batch: z, A, L, J, dZ, dW, db, W and b, from kernels and from NumPy."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...compiler.jit import kernel
from ...data import validation as check
from ...data.prediction import scores_of
from ...data.validation import Array
from ...kernels.passes.softmax_tile import softmax_residuals
from ...kernels.passes.tile import tile_residuals
from ...kernels.simd.arrays import PADDING
from ...optimum.passes import make_passes
from ...reference import sigmoid, softmax
from ...reference.descent import mean_gradient, scores
from ...textbook.binary import forward_pass
from ...textbook.softmax import forward_softmax
from ...training.dense import DenseFit
from ...training.order import Order
from ...training.problem import Problem

__all__ = ["LEARNING_RATE", "Batch", "by_kernels", "by_numpy", "checked", "losses", "of_unit_scores"]

#: alpha of the update, so large that the update isn't lost in the rounding of W where scores are about 1.
LEARNING_RATE = 0.3


class Batch(NamedTuple):
    """A batch that has been checked, and the parameters to begin with."""

    X: Array  # (m, n), from `check_X`
    labels: Array  # (m,) as kernels take them
    n_classes: int | None  # K for softmax; None for labels 0 and 1 and one score
    W: Array  # (n, K), in the precision of computation; K is 1 for one score
    b: Array  # (K,) of float64, rounded to that precision

    def one_hot(self, dtype: Any) -> Array:
        """Y: (1, m) of 0 and 1, or (K, m)."""
        if self.n_classes is None:
            return np.asarray(self.labels[None], dtype)
        return np.asarray(np.arange(self.n_classes)[:, None] == self.labels, dtype)

    def biases(self, values: Array) -> Any:
        """(K,) numbers, such as biases, as the text has them: a single number for one score."""
        return values if self.n_classes else values.reshape(())


def checked(X: Any, y: Any, W: Any, b: Any, rng: np.random.Generator) -> Batch:
    """Check the arguments of `compare_steps`, and draw parameters for None."""
    rows = check.check_X(X)
    (m, n), dtype = rows.shape, check.computed_dtype(rows)
    check.raise_if_not_finite(rows)
    values = np.asarray(y)
    if values.dtype.kind in "iuf" and np.unique(values).size > 2:
        labels, n_classes = check.check_class_labels(y, m, None, "y")
    else:
        labels, n_classes = check.check_labels(y, m, "y"), None
    shape = n, n_classes or 1
    if W is None:
        weights = of_unit_scores(rows, shape, rng)
    elif n_classes is None:
        weights = check.check_weights(W, n, dtype).reshape(shape)
    else:
        weights = np.asarray(W, np.float64)
    bias = rng.standard_normal(shape[1]) if b is None else check.check_row(b, "b")
    if weights.shape != shape or bias.shape != shape[1:]:
        raise ValueError(
            f"W must hold weights of shape {shape}, for each feature and score, and b biases of shape {shape[1:]}; got "
            f"{weights.shape} and {bias.shape}"
        )
    if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
        raise ValueError("W and b must be finite; got NaN or inf")
    return Batch(rows, labels, n_classes, weights.astype(dtype), bias.astype(dtype).astype(np.float64))


def of_unit_scores(X: Array, shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Random weights (n, K) of float64 that give scores X W with a mean square of 1, if any isn't zero."""
    W = rng.standard_normal(shape)
    some = check.widened(X[:: max(1, X.shape[0] // 1000)]).astype(np.float64)
    size = float(np.sqrt(np.mean((some @ W) ** 2)))
    return W / size if size > 0 else W


def by_numpy(X: Array, batch: Batch) -> dict[str, Any]:
    """The quantities by the reference's formulas, in the precision of X (m, n).

    Losses are computed from scores, as the reference's training does: a loss of a rounded probability would be wrong.
    """
    Z = scores(X, batch.W, batch.b)
    A = softmax(Z) if batch.n_classes else sigmoid(Z)
    L = losses(Z, batch)
    dZ = A - batch.one_hot(A.dtype)
    dW, db = mean_gradient(X, dZ)
    return {
        "z": Z,
        "A": A,
        "L": L,
        "J": np.mean(L, dtype=np.result_type(L, np.float64)),
        "dZ": dZ,
        "dW": dW,
        "db": batch.biases(db),
        "W": batch.W.astype(X.dtype) - X.dtype.type(LEARNING_RATE) * dW,
        "b": batch.biases(batch.b - LEARNING_RATE * db),
    }


def losses(Z: Array, batch: Batch) -> Array:
    """Losses (1, m) of scores (K, m): log(1 + e^q), q of the wrong class; for softmax log sum_k e^z_k - z_y."""
    if batch.n_classes is None:
        return np.asarray(np.logaddexp(0, np.where(batch.labels == 1, -Z, Z)))
    Z = Z - Z.max(axis=0)
    own = np.take_along_axis(Z, batch.labels[None].astype(np.intp), axis=0)
    return np.asarray(np.log(np.exp(Z).sum(axis=0)) - own)


# Kernels call these functions for each tile of rows, Python can't: an entry point for each. Compiled entry points are
# kept on disk under their names. So new code here needs a new name.


@kernel
def score_to_residual_and_loss(labels: Any, count: int, tile: Any) -> None:
    """Turn the scores tile[0] into residuals, and write losses to tile[2]."""
    tile_residuals(labels, None, 0, count, True, tile, tile[0], tile.dtype.type(0))  # type: ignore[no-untyped-call]


@kernel
def class_scores_to_residuals_and_losses(labels: Any, count: int, tile: Any) -> None:
    """Turn the scores tile[:K] into residuals, and write losses to tile[K + 1]."""
    softmax_residuals(labels, None, 0, count, True, tile)  # type: ignore[no-untyped-call]


def by_kernels(batch: Batch) -> dict[str, tuple[Any, str]]:
    """The quantities, each with the module and the function that it came from."""
    X, labels, n_classes, W, b = batch
    m, n = X.shape
    Z = np.ascontiguousarray(scores_of(X, W.T, b).reshape(m, -1).T)
    dZ, L = _residuals_and_losses(Z, labels, n_classes)
    sums = make_passes(X, labels, n_classes, None, np.zeros(n), None).losses(W.T.astype(np.float64), b)
    fit, J = _after_an_update(batch)
    weights, bias = fit.result()
    if n_classes:
        A, of_A, of_rows = forward_softmax(X, W, b), "softmax.forward_softmax", "softmax_tile.softmax_residuals"
    else:
        A, of_A, of_rows = forward_pass(X, W, b[0]), "binary.forward_pass", "tile.tile_residuals"
    return {
        "z": (Z, "prediction.scores_of"),
        "A": (A, of_A),
        "L": (L, of_rows),
        "J": (J, f"epoch, {fit.walk}"),
        "dZ": (dZ, of_rows),
        "dW": (sums[:, :n].T / m, "whole.losses"),
        "db": (batch.biases(sums[:, n] / m), "whole.losses"),
        "W": (weights.T, f"epoch, {fit.walk}"),
        "b": (batch.biases(bias), f"epoch, {fit.walk}"),
    }


def _residuals_and_losses(Z: Array, labels: Array, n_classes: int | None) -> tuple[Array, Array]:
    """dZ (K, m) and L (1, m) of scores (K, m), by what kernels call for each tile of rows."""
    n_scores, m = Z.shape
    tile = np.zeros((n_scores + 2, m + PADDING), Z.dtype)
    tile[:n_scores, :m] = Z
    if n_classes is None:
        score_to_residual_and_loss(labels, m, tile)
        return tile[:1, :m], tile[2:, :m]
    class_scores_to_residuals_and_losses(labels, m, tile)
    return tile[:n_scores, :m], tile[n_scores + 1 :, :m]


def _after_an_update(batch: Batch) -> tuple[DenseFit, float]:
    """A fit after its only update, and the cost before it: what `train_logistic_regression` runs for one batch."""
    m = batch.X.shape[0]
    initial = np.column_stack([batch.W.T, batch.b]) if batch.n_classes else None
    problem = Problem(batch.X, batch.labels, m, False, initial=initial, n_classes=batch.n_classes)
    fit = DenseFit(problem, Order(m, m, False, np.random.default_rng(0)), 1, None, watched=False)
    if initial is None:
        fit.begin_at(batch.W[:, 0], float(batch.b[0]))
    fit.start_epoch((LEARNING_RATE, 0.0), True, False)
    return fit, fit.run() / m
