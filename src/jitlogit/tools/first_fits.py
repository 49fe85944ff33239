"""Small first fits, which together use all kernels that users' first fits need.

A kernel is compiled for types of arrays, never for their sizes. So the data are small, and `threads.pretended` makes
the choice between one thread and several that large data would make.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..compiler.threads import pretended
from ..data.validation import bfloat16
from ..kernels.storage.plan import FOLD_ROWS, LEAST_SHARED_FEATURES, LEAST_TURNED_FEATURES
from ..textbook.binary import forward_pass, predict, train_logistic_regression
from ..textbook.equations import compute_cost, compute_gradients, sigmoid
from ..textbook.softmax import forward_softmax, train_softmax_regression
from ..training.packing import PAYING_EPOCHS, PIECE_BYTES, TURNING_EPOCHS

# Rows of dense X. The first has one batch; the second an exact Hessian; the third starts from a sample of its rows; the
# fourth has adam, and batches that threads share out. The other numbers are of features.
_SHAPES = (24, 3), (3000, 40), (13_000, 60), (2000, 300)
# Rows of sparse X. The last two are solved in the space of the rows, and by columns.
_SPARSE_SHAPES = (3000, 40), (13_000, 60), (400, 2000), (400, 600_000)
_VALUES_A_ROW = 30
# Rows of X for the functions, by several threads; features of narrow rows that may be packed, and of others.
_SHARED_ROWS, _SHARED_FEATURES = 9000, {"C": (8, 100), "F": (LEAST_TURNED_FEATURES, 100)}
# Features with which even a small batch has two chunks.
_LONG_ROW = 512


class Step(NamedTuple):
    name: str
    run: Callable[[], Any]


def of_functions(dtype: np.dtype[Any], order: str) -> Iterator[Step]:
    """Fits and predictions of two classes by one thread."""
    m = 2 * FOLD_ROWS + 1
    n = 2 if order == "C" else LEAST_TURNED_FEATURES
    yield from _fits(_rows(dtype, order, m, n))
    if order == "F":  # two features, and many, have kernels of their own
        two, wide = _rows(dtype, order, m, 2), _rows(dtype, order, m, LEAST_SHARED_FEATURES)
        yield _train(two, batch_size=2, shuffle=False)
        yield _train(wide, batch_size=FOLD_ROWS, shuffle=False)
        yield from (_by_threads(step, 0) for step in _fits_to_copies(dtype))


def of_functions_by_all_threads(dtype: np.dtype[Any], order: str) -> Iterator[Step]:
    """The same by several threads, on rows for which the functions have work for several; and several classes."""
    for n in _SHARED_FEATURES[order]:
        X = _rows(dtype, order, _SHARED_ROWS, n)
        yield from (_by_threads(step, math.inf) for step in _fits(X))
        for n_bytes in (0, math.inf):
            yield from (_by_threads(step, n_bytes) for step in _further_fits(X))
    if order == "F":
        yield from (_by_threads(step, math.inf) for step in _fits_to_copies(dtype))


def of_estimators(dtype: np.dtype[Any], order: str) -> Iterator[Step]:
    """Fits and predictions of the estimators on dense rows."""
    for shape in _SHAPES:
        yield from _estimators(_rows(dtype, order, *shape), f"{_name(dtype)}, {order} order")


def of_estimators_on_sparse_rows(dtype: np.dtype[Any]) -> Iterator[Step]:
    """The same on CSR."""
    from scipy.sparse import csr_array

    for m, n in _SPARSE_SHAPES:
        rng = np.random.default_rng(0)
        columns = np.sort(rng.integers(0, n - _VALUES_A_ROW, (m, _VALUES_A_ROW)), axis=1) + np.arange(_VALUES_A_ROW)
        values = rng.random(columns.size).astype(dtype)
        starts = np.arange(m + 1) * _VALUES_A_ROW
        X = csr_array((values, columns.ravel().astype(np.int32), starts.astype(np.int32)), shape=(m, n))
        yield from _estimators(X, f"{dtype}, sparse")


def _name(dtype: np.dtype[Any]) -> str:
    return "bfloat16" if dtype == bfloat16 else str(dtype)


def _rows(dtype: np.dtype[Any], order: str, m: int, n: int) -> Any:
    """Random X of the integers 0 to 3, which every dtype has."""
    values = np.random.default_rng(0).integers(0, 4, (m, n)).astype(np.float32)
    if dtype == bfloat16:
        return np.asarray((values.view(np.uint32) >> 16).astype(np.uint16), order=order).view(bfloat16)  # type: ignore[call-overload]
    return np.asarray(values, dtype, order=order)  # type: ignore[call-overload]


def _by_threads(step: Step, n_bytes: float) -> Step:
    """The step by one thread (0 bytes) or by several (infinitely many)."""

    def run() -> None:
        with pretended(n_bytes):
            step.run()

    return Step(f"{step.name}, {'several threads' if n_bytes else 'one thread'}", run)


def _labels(X: Any, n_classes: int) -> Any:
    return np.arange(X.shape[0]) % n_classes


def _about(X: Any) -> str:
    return f"{_name(X.dtype)}, {'C' if X.flags.c_contiguous else 'F'} order"


def _train(X: Any, **options: Any) -> Step:
    options = {"num_iterations": 1, **options}
    Y = _labels(X, 2)
    return Step(f"train_logistic_regression, {_about(X)}", lambda: train_logistic_regression(X, Y, 1e-3, **options))


def _fits(X: Any) -> Iterator[Step]:
    """Two classes: training with rows as they are and scaled, and what is computed with the result.

    One epoch takes rows in their own order; more copy F-ordered rows to C order, and the most pack narrow ones.
    """
    for scale in (None, 1.0):  # scaled features have an update kernel of their own
        for batch_size in (2, 32, FOLD_ROWS + 1, None):  # small, usual, large and full batches
            for n_epochs, shuffle in ((1, True), (1, False), (TURNING_EPOCHS, True), (PAYING_EPOCHS, False)):
                yield _train(X, num_iterations=n_epochs, batch_size=batch_size, shuffle=shuffle, scale=scale)
    Y, W = _labels(X, 2), np.zeros((X.shape[1], 1))
    yield Step(f"predict, {_about(X)}", lambda: predict(X, W, 0.0))
    yield Step(f"forward_pass, {_about(X)}", lambda: forward_pass(X, W, 0.0))

    def costs() -> None:
        A = forward_pass(X, W, 0.0)
        compute_gradients(X, Y, A)
        compute_cost(A, Y)
        sigmoid(A)

    yield Step(f"compute_gradients and compute_cost, {_about(X)}", costs)


def _fits_to_copies(dtype: np.dtype[Any]) -> Iterator[Step]:
    """Batches of several chunks, of F-ordered rows that are copied to C order although they aren't shuffled."""
    X = _rows(dtype, "F", 2 * FOLD_ROWS + 1, _LONG_ROW)
    options = {"num_iterations": TURNING_EPOCHS, "batch_size": PIECE_BYTES // dtype.itemsize, "shuffle": False}
    for scale in (None, 1.0):
        yield _train(X, scale=scale, **options)


def _further_fits(X: Any) -> Iterator[Step]:
    """Weights of samples, copies of F-ordered rows, and several classes."""
    weights, y = np.ones(X.shape[0]), _labels(X, 3)
    softmax = f"train_softmax_regression, {_about(X)}"
    for batch_size in (64, None):
        for shuffle in (True, False):
            for n_epochs in (1, TURNING_EPOCHS):
                options = {"num_iterations": n_epochs, "batch_size": batch_size, "shuffle": shuffle}
                yield _train(X, **options)
                for sample_weight in (None, weights):
                    given = {"sample_weight": sample_weight, **options}
                    if sample_weight is not None:
                        yield _train(X, **given)
                    yield Step(softmax, lambda given=given: train_softmax_regression(X, y, 1e-3, **given))  # type: ignore[misc]
    W, b = np.zeros((X.shape[1], 3)), np.zeros(3)
    yield Step(f"forward_softmax, {_about(X)}", lambda: forward_softmax(X, W, b))


def _estimators(X: Any, about: str) -> Iterator[Step]:
    """Each estimator with two classes and three, without weights and with them, by one thread and by several."""
    for n_classes in (2, 3):
        y = _labels(X, n_classes)
        for class_weight in (None, "balanced"):
            for n_bytes in (0, math.inf):
                given = f"{n_classes} classes{', weights' if class_weight else ''}, {about}"
                for step in _of_each_estimator(X, y, class_weight):
                    yield _by_threads(step._replace(name=f"{step.name}, {given}"), n_bytes)


def _of_each_estimator(X: Any, y: Any, class_weight: Any) -> Iterable[Step]:
    import jitlogit  # as users do: these names import scikit-learn

    of_all_rows: Any = jitlogit.LogisticRegression
    of_batches: Any = jitlogit.MiniBatchLogisticRegression
    weights = None if class_weight is None else np.ones(X.shape[0])
    few: dict[str, Any] = {"class_weight": class_weight, "max_iter": 2}

    def fit(model: Any) -> None:
        model.fit(X, y, sample_weight=weights)
        model.score(X, y)
        model.predict_proba(X)

    models: list[Any] = [
        # More iterations: a Hessian of a sample is taken late where the search goes well.
        of_all_rows(class_weight=class_weight, max_iter=15, tol=0.0),
        of_all_rows(l1_ratio=1.0, **few),
        of_all_rows(C=math.inf, **few),
        of_batches(**few),
        of_batches(batch_size=X.shape[0] // 2, **few),  # large enough to be shared out, still shuffled
        of_batches(early_stopping=True, standardize=False, **few),
    ]
    steps = [Step(type(model).__name__, lambda model=model: fit(model)) for model in models]  # type: ignore[misc]
    fresh = of_batches(class_weight=class_weight)
    return [*steps, Step("partial_fit", lambda: fresh.partial_fit(X, y, np.unique(y), weights))]
