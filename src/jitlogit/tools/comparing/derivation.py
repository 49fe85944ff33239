"""The derivation step by step: each quantity of one batch, from the kernels and from NumPy, with a verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...data.tables import columns_told
from ...data.validation import Array, is_bfloat16
from ...kernels.storage.plan import FOLD_ROWS
from ...reference.descent import features, mean_gradient, scores
from ..display import Table, Tables, shown_as_table
from .quantities import LEARNING_RATE, Batch, by_kernels, by_numpy, checked, losses, of_unit_scores

__all__ = ["StepComparison", "StepLine", "compare_steps"]

_BINARY = {
    "z": "z = X W + b",
    "A": "A = 1 / (1 + e^-z)",
    "L": "L = -[y log A + (1-y) log(1-A)]",
    "J": "J = (1/m) sum L",
    "dZ": "dZ = A - Y",
    "dW": "dW = (1/m) X^T dZ^T",
    "db": "db = (1/m) sum dZ",
    "W": "W := W - alpha dW",
    "b": "b := b - alpha db",
}
_LEGEND = (
    "Diff: kernel beside NumPy. Err: each beside NumPy in a wider precision; the kernel's must keep what is allowed. "
    "Slope err: beside finite differences of J."
)
_SOFTMAX = _BINARY | {"A": "A_k = e^z_k / sum_l e^z_l", "L": "L = -log A_y"}
# Step of the finite differences: the cube root of float64's spacing, where their two errors are about equal.
_FLOAT64_EPS = float(np.finfo(np.float64).eps)
_STEP = _FLOAT64_EPS ** (1 / 3)


@dataclass(frozen=True)
class StepLine:
    """One quantity; differences and errors are the largest of its elements, `allowed` is what the kernel's may be.

    `slope_error` is the difference between a gradient's product with a direction and the slope of J that way, by finite
    differences. It is None for quantities that aren't gradients. `source` names the module and the function behind the
    kernel's value.
    """

    quantity: str
    formula: str
    shape: tuple[int, ...]
    exact: bool
    difference: float
    relative_difference: float
    numpy_error: float
    kernel_error: float
    allowed: float
    slope_error: float | None
    slope_allowed: float | None
    source: str

    @property
    def ok(self) -> bool:
        """Whether errors are within what is allowed; NaN isn't."""
        if (
            self.slope_error is not None
            and self.slope_allowed is not None
            and not self.slope_error <= self.slope_allowed
        ):
            return False
        return self.kernel_error <= self.allowed


@shown_as_table
@dataclass(frozen=True, repr=False)
class StepComparison:
    """Result of `compare_steps`: a line for each quantity. It prints as a table, in notebooks too."""

    n_samples: int
    n_features: int
    n_classes: int
    dtype: str
    learning_rate: float
    lines: list[StepLine]

    @property
    def ok(self) -> bool:
        """Whether all lines are OK."""
        return all(line.ok for line in self.lines)

    @property
    def title(self) -> str:
        wrong = [line.quantity for line in self.lines if not line.ok]
        verdict = f"NOT OK: {', '.join(wrong)}" if wrong else "all OK"
        return (
            f"one batch of {self.n_samples:,} x {self.n_features:,} {self.dtype}, {self.n_classes} classes, "
            f"alpha {self.learning_rate:g}: {verdict}"
        )

    def table(self) -> Tables:
        """Formula, shape, differences, errors and verdict of each quantity, in the order of the derivation."""
        lines = self.lines
        columns = {
            "formula": [line.formula for line in lines],
            "shape": [str(line.shape) for line in lines],
            "exact": ["yes" if line.exact else "no" for line in lines],
            "max diff": [f"{line.difference:.1e}" for line in lines],
            "rel diff": [f"{line.relative_difference:.1e}" for line in lines],
            "numpy err": [f"{line.numpy_error:.1e}" for line in lines],
            "kernel err": [f"{line.kernel_error:.1e}" for line in lines],
            "allowed": [f"{line.allowed:.1e}" for line in lines],
            "slope err": [_text(line.slope_error) for line in lines],
            "allowed slope err": [_text(line.slope_allowed) for line in lines],
            "verdict": ["OK" if line.ok else "NOT OK" for line in lines],
            "kernel code": [line.source for line in lines],
        }
        table = Table(_LEGEND, columns, words=["formula", "shape", "exact", "verdict", "kernel code"])
        return Tables(self.title, [table], "help(jitlogit.compare_steps) says how large an error is allowed, and why.")


def _text(error: float | None) -> str:
    return "" if error is None else f"{error:.1e}"


def compare_steps(X: Any, y: Any, W: Any = None, b: Any = None) -> StepComparison:
    """Compare each quantity of one batch, kernels beside NumPy, in the order of the derivation: z, A, L, J, dZ, dW, ...

    All rows of `X` are the batch, in order. Pass X[:32] for what a batch of 32 goes through: the code behind J, W and b
    depends on the batch's size. It is that of a fit of one epoch without a shuffle. The last column names module and
    function behind each quantity of the kernels. All begin with X, y, W and b, but L and dZ, which begin with z.

    A line is OK if the kernel's error is at most twice that of NumPy in the same precision, plus one rounding. The
    criterion is that of FlashAttention's tests (Dao-AILab/flash-attention, hopper/test_flash_attn.py). An error is the
    largest absolute difference to NumPy in float64; for float64 `X`, to NumPy with X in long double. One rounding is
    the precision's spacing at 1, 1.2e-7 for float32 and 2.2e-16 for float64, times the quantity's scale. The scale adds
    what a step rounds itself to the roundings of the steps before, as the derivation carries them on:

    - z: t times the largest sum_j |x_j W_j| + |b| of a sample;
    - A: 1, plus the scale of z times the most that A changes with a score, 1/4, for softmax 1/2;
    - L: the largest L, plus the scale of z times the most that L changes with a score, 1, for softmax 2;
    - dZ: the largest |dZ|, plus the scale of A;
    - J: s J, plus the mean over samples of what is the scale of L for a sample;
    - dW: s times the largest mean of |x_j dZ|, plus the largest mean of |x_j| times the scale of dZ;
    - db: s times the largest mean of |dZ|, plus the scale of dZ;
    - W, b: the largest value before, plus alpha times the largest |dW| or |db| and the scale of dW or db.

    Roundings of a sum grow as the square root of the numbers that are added in turn (Higham and Mary, "A new approach
    to probabilistic rounding error analysis", 2019). Kernels add up to 256 rows in X's precision: s is the square root
    of n_samples or of 256. In F order they add column after column: t is the square root of n_features, in C order 1.

    dW and db must fit the slope of J too. Central finite differences of J, in float64, give it in a random direction.
    The slope's error may be what the line allows, summed over the direction, plus the error of the finite differences.
    That is their change with a step twice as large, plus float64's spacing times the scale of J over the step, 6e-6.

    Parameters
    ----------
    X : array_like (n_samples, n_features)
        Used as in `train_logistic_regression`. Its copies take about four times the memory of a float copy.
    y : array_like (n_samples,), (1, n_samples) or (n_samples, 1)
        Labels 0 and 1, or 0 ... K - 1 for softmax of K > 2 classes.
    W : array_like (n_features, 1) or (n_features,), for softmax (n_features, K), optional
        Weights before the update. None: random ones, the same in each call, that give scores of about 1.
    b : float, for softmax array_like (K,), optional
        Bias before the update. None: random, the same in each call.

    Returns
    -------
    StepComparison
        With `lines`, and `ok` for all of them. It prints as a table, and as HTML in a notebook. "exact" says whether
        kernel and reference have the same bits, as far as numbers go. A relative difference is the largest difference
        between the two, divided by the reference's largest value. The learning rate alpha is 0.3.

    Raises
    ------
    ValueError, TypeError
        If an argument has the wrong shape, type or value, or isn't finite, or if scores overflow.

    Examples
    --------
    >>> import numpy as np
    >>> import jitlogit
    >>> X = np.random.default_rng(0).standard_normal((100, 5))
    >>> steps = jitlogit.compare_steps(X, X[:, 0] > 0)
    >>> steps.ok
    True
    >>> [line.quantity for line in steps.lines]
    ['z', 'A', 'L', 'J', 'dZ', 'dW', 'db', 'W', 'b']
    >>> steps.lines[5].formula, steps.lines[5].shape
    ('dW = (1/m) X^T dZ^T', (5, 1))
    """
    rng = np.random.default_rng(0)
    with columns_told(X):
        batch = checked(X, y, W, b, rng)
        of_kernels = by_kernels(batch)
    own = features(batch.X, None, None)
    wide = own.astype(np.longdouble if own.dtype == np.float64 else np.float64)
    with np.errstate(all="ignore"):  # a line that isn't finite is NOT OK
        of_numpy, right = by_numpy(own, batch), by_numpy(wide, batch)
        scales = _scales(own, batch, right)
        slopes = _slopes(wide, batch, rng, _FLOAT64_EPS * scales["J"])
        rounding = float(np.finfo(own.dtype).eps)
        lines = []
        for name, formula in (_SOFTMAX if batch.n_classes else _BINARY).items():
            value, source = of_kernels[name]
            three = value, of_numpy[name], right[name]
            lines.append(_line(name, formula, three, rounding * scales[name], slopes.get(name), source))
    m, n = batch.X.shape
    dtype = "bfloat16" if is_bfloat16(batch.X) else str(batch.X.dtype)
    return StepComparison(m, n, batch.n_classes or 2, dtype, LEARNING_RATE, lines)


def _line(
    name: str,
    formula: str,
    three: tuple[Any, Any, Any],
    rounding: float,
    slope: tuple[Array, float, float] | None,
    source: str,
) -> StepLine:
    """Judge a quantity by the kernel's value, by NumPy's in the same precision, and by NumPy's in a wider one."""
    value, usual, right = three
    difference, numpy_error = _largest(value, usual), _largest(usual, right)
    allowed = 2 * numpy_error + rounding
    slope_error = slope_allowed = None
    if slope is not None:
        direction, along, uncertain = slope
        slope_error = abs(_along(value, direction) - along)
        slope_allowed = allowed * float(np.abs(direction).sum()) + uncertain
    return StepLine(
        quantity=name,
        formula=formula,
        shape=np.shape(value),
        exact=np.array_equal(value, usual),
        difference=difference,
        relative_difference=difference / (float(np.max(np.abs(usual))) or 1.0),
        numpy_error=numpy_error,
        kernel_error=_largest(value, right),
        allowed=allowed,
        slope_error=slope_error,
        slope_allowed=slope_allowed,
        source=source,
    )


def _largest(values: Any, others: Any) -> float:
    """The largest absolute difference; NaN for other shapes."""
    if np.shape(values) != np.shape(others):
        return float("nan")
    return float(np.max(np.abs(np.subtract(values, others))))


def _along(values: Any, direction: Array) -> float:
    """The sum of the products with a direction; NaN for another shape."""
    if np.size(values) != direction.size:
        return float("nan")
    return float(np.vdot(np.asarray(values, np.float64), direction))


def _scales(X: Array, batch: Batch, right: dict[str, Any]) -> dict[str, float]:
    """Scales of the quantities, see `compare_steps`."""
    sizes = np.abs(X)
    in_turn = 1 if X.flags.c_contiguous else X.shape[1]
    terms = math.sqrt(in_turn) * (sizes @ np.abs(batch.W) + np.abs(batch.b))  # (m, K)
    of_A, of_L = (1 / 2, 2) if batch.n_classes else (1 / 4, 1)
    largest = {name: float(np.max(np.abs(values))) for name, values in right.items()}
    residuals = np.abs(right["dZ"]).astype(X.dtype)
    own = math.sqrt(min(X.shape[0], FOLD_ROWS))
    z = float(terms.max())
    A = 1 + of_A * z
    L = largest["L"] + of_L * z
    J = (own + 1) * largest["J"] + of_L * float(terms.max(axis=1).mean())
    dZ = largest["dZ"] + A
    dW, db = (float(values.max()) * own for values in mean_gradient(sizes, residuals))
    dW += float(sizes.mean(axis=0, dtype=np.float64).max()) * dZ
    db += dZ
    W = float(np.abs(batch.W).max()) + LEARNING_RATE * (largest["dW"] + dW)
    b = float(np.abs(batch.b).max()) + LEARNING_RATE * (largest["db"] + db)
    return {"z": z, "A": A, "L": L, "J": J, "dZ": dZ, "dW": dW, "db": db, "W": W, "b": b}


def _slopes(X: Array, batch: Batch, rng: np.random.Generator, rounding: float) -> dict[str, tuple[Array, float, float]]:
    """For dW and db: a random direction, the slope of J that way, and how far finite differences may be off.

    `rounding` is the error of a cost. The second step tells of the difference to a slope: its error is four times as
    large.
    """
    none = np.zeros_like(batch.W, np.float64), np.zeros_like(batch.b)
    along_W = of_unit_scores(batch.X, batch.W.shape, rng)
    along_b = rng.standard_normal(batch.b.shape)

    def slope(step: float, of_W: Array, of_b: Array) -> float:
        above, below = (_cost(X, batch, batch.W + h * of_W, batch.b + h * of_b) for h in (step, -step))
        return (above - below) / (2 * step)

    slopes = {}
    for name, direction, both in (("dW", along_W, (along_W, none[1])), ("db", along_b, (none[0], along_b))):
        along = slope(_STEP, *both)
        slopes[name] = direction, along, abs(slope(2 * _STEP, *both) - along) + rounding / _STEP
    return slopes


def _cost(X: Array, batch: Batch, W: Array, b: Array) -> float:
    """J for other parameters, in the precision of X."""
    return float(np.mean(losses(scores(X, W, b), batch)))
