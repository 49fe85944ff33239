"""LogisticRegression on every set: time to within 1e-3, 1e-5 and 1e-7 of the least cost, beside scikit-learn's solvers
and scikit-learn-intelex; and whether it ends at the same optimum, with a gap that is never below the true one.

The cost is the mean loss + alpha / 2 ||w||^2; each solver is run at every tolerance, in turn, so that its best curve
counts. The optimum is scikit-learn's at a tolerance of 1e-10, of float64, where that can be had in minutes; its
relative difference is that of the coefficients' norms. Ends with 1 if a gap is wrong, or coefficients are though
scikit-learn did reach the optimum.

    python benchmarks/optimum.py --data FOLDER
    python benchmarks/optimum.py --data FOLDER --sets a9a covtype_20k --dtypes float32 --alphas 1e-4
    python benchmarks/optimum.py --data FOLDER --sets a9a covtype_20k mnist_63k --one-import

FOLDER is that of `defaults.py`.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import defaults
import gaps
import grid
import numpy as np
import rivals
from scipy import sparse
from sklearn import datasets
from sklearn.linear_model import LogisticRegression as Theirs
from sklearn.preprocessing import StandardScaler

import jitlogit

_TOLERANCES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
# A solver's tighter tolerances are left out after a run of so many seconds.
_PATIENCE = 10.0
_MOST_PARAMETERS = 1500  # of a Hessian that scikit-learn factorises
_SAME = 1e-4
_MOST_VALUES = 2e8  # of all classes, beyond which scikit-learn would take hours to a tolerance of 1e-10

Set = tuple[Any, np.ndarray]


def _generated(name: str) -> Callable[[Path], Set]:
    return lambda folder: gaps.make_set(*gaps.SETS[name], "float32")


def _real(name: str) -> Callable[[Path], Set]:
    def load(folder: Path) -> Set:
        data = defaults.SETS[name](folder)
        return data.X, np.asarray(data.y)

    return load


def _standardised(folder: Path) -> Set:
    X, y = _real("covtype_20k, 2 or not")(folder)
    return StandardScaler().fit_transform(X), y


SETS: dict[str, Callable[[Path], Set]] = {
    "breast cancer": lambda folder: datasets.load_breast_cancer(return_X_y=True),
    "1M x 28": _generated("1M x 28"),
    "200k x 100": _generated("200k x 100"),
    "50k x 784": _generated("50k x 784"),
    "covtype_20k": _real("covtype_20k, 2 or not"),
    "covtype_20k standardised": _standardised,
    "a9a": _real("a9a"),
    "mnist_63k": _real("mnist_63k"),
    "news20": _real("news20"),
}


def objective(X: Any, y: np.ndarray, alpha: float, model: Any) -> float:
    """In float64."""
    m, total = X.shape[0], 0.0
    for start in range(0, m, 50_000):
        part = slice(start, start + 50_000)
        total += defaults.mean_loss(model, X[part].astype(np.float64), y[part]) * len(y[part])
    return total / m + alpha / 2 * float(np.sum(model.coef_.astype(np.float64) ** 2))


def contestants(X: Any, n_classes: int) -> dict[str, Callable[..., Any]]:
    """Name to a model of C and tol."""
    ours = {"jitlogit": lambda C, tol: jitlogit.LogisticRegression(C=C, tol=tol, random_state=0, max_iter=5000)}
    solvers = ["lbfgs", "newton-cg"]
    rows = 1 if n_classes == 2 else n_classes
    if X.shape[1] * rows <= _MOST_PARAMETERS and not sparse.issparse(X):
        solvers.append("newton-cholesky")
    others: dict[str, Callable[..., Any]] = {
        f"scikit-learn {solver}": lambda C, tol, solver=solver: Theirs(C=C, tol=tol, solver=solver, max_iter=5000)
        for solver in solvers
    }
    if rivals.installed_version("scikit-learn-intelex") and not sparse.issparse(X):
        from sklearnex.linear_model import LogisticRegression as Intel

        others["scikit-learn-intelex"] = lambda C, tol: Intel(C=C, tol=tol, max_iter=5000)
    return ours | others


def measure(X: Any, y: np.ndarray, alpha: float, rounds: int) -> dict[str, Any]:
    """Seconds to each gap, and what became of the certificate."""
    C, wide = 1 / (alpha * X.shape[0]), X.astype(np.float64)
    n_classes = len(np.unique(y))
    makers = contestants(X, n_classes)
    within_reach = (1 if n_classes == 2 else n_classes) * (X.nnz if sparse.issparse(X) else X.size) <= _MOST_VALUES
    exact = makers.get("scikit-learn newton-cholesky", makers["scikit-learn lbfgs"])
    truth = exact(C, 1e-10).fit(wide, y) if within_reach else None
    points: dict[str, dict[float, list[float]]] = {name: {} for name in makers}
    costs: dict[tuple[str, float], float] = {}
    models: dict[float, Any] = {}
    makers["jitlogit"](C, 1e-2).fit(X, y)  # compiles
    for _ in range(rounds):
        for name, make in makers.items():
            for tol in _TOLERANCES:
                start = time.perf_counter()
                model = make(C, tol).fit(X, y)
                taken = time.perf_counter() - start
                points[name].setdefault(tol, []).append(taken)
                costs[name, tol] = objective(X, y, alpha, model)
                if name == "jitlogit":
                    models[tol] = model
                if taken > _PATIENCE:
                    break
    tol = 1e-9 if within_reach else 1e-7
    found = jitlogit.LogisticRegression(C=C, tol=tol, random_state=0, max_iter=20_000).fit(wide, y)
    least = min(objective(X, y, alpha, model) for model in (found, truth) if model is not None)
    least = min(least, *costs.values())
    true_gaps = {tol: costs["jitlogit", tol] - least for tol in models}
    return {
        "least": least,
        "seconds": {
            name: [
                min(
                    (statistics.median(taken) for tol, taken in of.items() if costs[name, tol] - least <= gap),
                    default=math.inf,
                )
                for gap in gaps.GAPS
            ]
            for name, of in points.items()
        },
        "difference": math.nan if truth is None else float(_relative(found.coef_, truth.coef_)),
        "truth_is_off_by": math.nan if truth is None else objective(X, y, alpha, truth) - least,
        "below": [tol for tol, model in models.items() if model.optimality_gap_ < true_gaps[tol]],
        "bounds": {tol: [true_gaps[tol], model.optimality_gap_] for tol, model in models.items()},
    }


def _relative(found: np.ndarray, expected: np.ndarray) -> Any:
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def line(name: str, dtype: str, alpha: float, found: dict[str, Any]) -> str:
    """Of a Markdown table."""
    ours = found["seconds"]["jitlogit"]
    shown = []
    for k, seconds in enumerate(ours):
        best, rival = min((times[k], other) for other, times in found["seconds"].items() if other != "jitlogit")
        if math.isinf(best):
            shown.append(f"{seconds:.3g} / none")
        else:
            shown.append(f"{seconds:.3g} / {best:.3g} ({rival.removeprefix('scikit-learn ')}), {best / seconds:.1f}x")
    same = f"{found['difference']:.1e}"
    bound = "holds" if not found["below"] else f"below the truth at tol {found['below']}"
    return f"| {name} | {dtype} | {alpha:g} | " + " | ".join(shown) + f" | {same} | {bound} |"


def one_import(X: Any, y: np.ndarray, rounds: int) -> dict[str, tuple[float, float, float]]:
    """Of scikit-learn's class and ours, both with their defaults: seconds, cost, and accuracy on the same rows."""
    found = {}
    alpha = 1 / X.shape[0]
    classes = {"scikit-learn": Theirs, "jitlogit": jitlogit.LogisticRegression}
    jitlogit.LogisticRegression().fit(X, y)  # compiles
    taken: dict[str, list[float]] = {name: [] for name in classes}
    for _ in range(rounds):
        for name, of in classes.items():
            start = time.perf_counter()
            model = of().fit(X, y)
            taken[name].append(time.perf_counter() - start)
            found[name] = statistics.median(taken[name]), objective(X, y, alpha, model), float(model.score(X, y))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of real sets")
    parser.add_argument("--sets", nargs="+", default=None, choices=SETS)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    parser.add_argument("--alphas", nargs="+", type=float, default=[1e-2, 1e-4, 1e-6])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="where to write all that was measured")
    parser.add_argument("--one-import", action="store_true", help="both classes with their defaults, C=1 and float32")
    parser.add_argument("--readme", type=Path, help="file whose table of `--one-import` is replaced")
    options = parser.parse_args()
    if options.one_import:
        lines = ["| set | class | seconds | cost | training accuracy |", "|---" * 5 + "|"]
        for name in options.sets or ["breast cancer"]:
            X, y = SETS[name](options.data or Path())
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for of, (seconds, cost, accuracy) in one_import(X.astype("float32"), y, options.rounds).items():
                    lines.append(f"| {name} | {of} | {seconds:.3g} | {cost:.6f} | {accuracy:.4f} |")
        print("\n".join(lines))
        if options.readme:
            grid.replace(
                options.readme, "one import: made by benchmarks/optimum.py", "one import: end", "\n".join(lines)
            )
        return 0
    generated = ["breast cancer", *(name for name in SETS if " x " in name)]
    all_found, wrong = [], False
    heads = [f"to {gap:g}: s / fastest other's s" for gap in gaps.GAPS]
    print("| set | dtype | alpha | " + " | ".join(heads) + " | coefficients differ by | bound |\n" + "|---" * 8 + "|")
    for name in options.sets or (SETS if options.data else generated):
        X, y = SETS[name](options.data or Path())
        for dtype in options.dtypes:
            for alpha in options.alphas:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    found = measure(X.astype(dtype), y, alpha, options.rounds)
                print(line(name, dtype, alpha, found), flush=True)
                all_found.append({"set": name, "dtype": dtype, "alpha": alpha, **found})
                wrong |= bool(found["below"]) or (found["difference"] > _SAME and found["truth_is_off_by"] < 1e-12)
    if options.json:
        options.json.write_text(json.dumps(all_found, indent=1) + "\n")
    return int(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
