"""Logistic regression of other libraries, written as their users would write it, behind one interface.

Each library has a file, whose `RIVALS` may hold several of two kinds:

- `EpochRival`: one pass of mini-batch gradient descent, for throughput;
- `Solver`: the minimum of  mean loss + alpha / 2 ||w||^2  over weights and an intercept that isn't penalised, for the
  time to a given loss.

Libraries that aren't installed are listed too, see `version`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

import jitlogit

Pass = Callable[[], np.ndarray]
# Learning rate, small enough for single rows of 2000 features. Above 8 / n, rounding errors grow with each update.
RATE = 0.0005
#: Tolerances on the mean loss's gradient for solvers of many cheap steps, so close that each few steps show.
FINE = (1e-1, 5e-2, 2e-2, 1e-2, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4, 5e-5, 2e-5, 1e-5)


class EpochRival(NamedTuple):
    """Mini-batch gradient descent from zero, rate `RATE`, on the mean loss of each batch, rows in order."""

    name: str
    distribution: str
    #: Makes a pass from X, y (m,) of 0 and 1, and a batch size; may compile. The pass returns the weights (n,).
    make: Callable[[np.ndarray, np.ndarray, int], Pass]
    #: Approximate number of updates in a tenth of a second.
    updates: int
    #: Whether its batches have one row.
    single: bool = False


class Solver(NamedTuple):
    """A way to the minimum."""

    name: str
    distribution: str
    #: Description of its parameters for alpha and the unpenalised intercept.
    mapping: str
    #: Tolerances of its runs, from loose to tight.
    tolerances: tuple[float, ...]
    #: Takes X, y (m,) of 0 ... K - 1, alpha and a tolerance. Returns weights (K, n) and intercepts (K,), with K = 1 for
    #: two classes.
    solve: Callable[..., tuple[np.ndarray, np.ndarray]]
    #: Most stored values of X, times K. With more, it takes minutes, so it isn't run.
    most: float = float("inf")
    #: Most weights with which it is run.
    most_weights: float = float("inf")
    #: Whether it takes more than two classes, by softmax; and whether it takes SciPy's CSR.
    several: bool = False
    sparse: bool = False
    #: Whether `solve` takes `max_iter`. Large sets are solved with several of them, at the tightest tolerance.
    capped: bool = False


def installed_version(distribution: str) -> str | None:
    """Version of a distribution, None where it isn't installed."""
    if distribution == "jitlogit":
        return jitlogit.__version__  # its source may be on the path, without being installed
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def version(rival: EpochRival | Solver) -> str | None:
    """Version of a rival's distribution, None where it isn't installed."""
    return installed_version(rival.distribution)


def n_scores(y: np.ndarray) -> int:
    """K for labels 0 ... K - 1, 1 for two classes."""
    classes = int(y.max()) + 1
    return 1 if classes == 2 else classes


def values(X: Any, y: np.ndarray) -> int:
    """Stored values of X, times K: what a read of X costs."""
    return int(X.nnz if sparse.issparse(X) else X.size) * n_scores(y)


def why_not(solver: Solver, X: Any, y: np.ndarray) -> str:
    """Why a solver can't be run on data, empty where it can."""
    if version(solver) is None:
        return "not installed"
    if sparse.issparse(X) and not solver.sparse:
        return "dense rows only"
    if n_scores(y) > 1 and not solver.several:
        return "two classes only"
    too_large = values(X, y) > solver.most or n_scores(y) * X.shape[1] > solver.most_weights
    return "takes minutes" if too_large else ""


def _rivals() -> list[Any]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [rival for name in names for rival in importlib.import_module(f"{__name__}.{name}").RIVALS]


def epoch_rivals(batch_size: int) -> list[EpochRival]:
    """Rivals for a batch size, installed or not."""
    return [rival for rival in _rivals() if isinstance(rival, EpochRival) and rival.single == (batch_size == 1)]


def solvers() -> list[Solver]:
    """All solvers, installed or not."""
    return [rival for rival in _rivals() if isinstance(rival, Solver)]


def make(rival: EpochRival, X: np.ndarray, y: np.ndarray, batch_size: int) -> tuple[Pass, int]:
    """Return a pass and how many rows it visits: all, or as many first ones as don't take long."""
    rows = max(batch_size, min(X.shape[0], rival.updates * batch_size) // batch_size * batch_size)
    part = X[:rows] if X.flags.c_contiguous else np.asfortranarray(X[:rows])
    return rival.make(part, y[:rows], batch_size), rows
