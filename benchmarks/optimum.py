"""Measure LogisticRegression on every set: its time to within 1e-3, 1e-5 and 1e-7 of the least cost, beside rivals.

The cost is the mean loss + alpha / 2 ||w||^2, and `gaps.py` describes how solvers are run. The optimum is checked too,
against scikit-learn's in float64 at a tolerance of 1e-10, if that takes minutes at most. The difference of coefficients
is the norm of their difference relative to their norm.

Exits with 1 if a reported gap is below the true one. It does so too if coefficients differ although scikit-learn
reached the optimum.

    python -m benchmarks optimum --data FOLDER
    python -m benchmarks optimum --data FOLDER --sets a9a covtype_20k --dtypes float32 --alphas 1e-4
    python -m benchmarks optimum --data FOLDER --sets a9a covtype_20k mnist_63k --one-import

FOLDER is that of `defaults`.
"""

from __future__ import annotations

import math
import statistics
import time
import warnings
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import defaults
import gaps
import numpy as np
import rivals
from options import Parser, replace_table, write_json
from sklearn import datasets
from sklearn.linear_model import LogisticRegression as Theirs
from sklearn.preprocessing import StandardScaler

import jitlogit

_SAME = 1e-4

Set = tuple[Any, np.ndarray]


_NEWTON = next(solver for solver in rivals.solvers() if solver.name == "scikit-learn newton-cholesky")


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
    """`gaps.objective` of a model and its labels."""
    return gaps.objective(X, np.searchsorted(model.classes_, y), alpha, model.coef_, model.intercept_)


def measure(X: Any, y: np.ndarray, alpha: float, rounds: int, others: list[rivals.Solver]) -> dict[str, Any]:
    """What `gaps.measure_set` found, and what became of coefficients and certificate."""
    wide, within_reach = X.astype(np.float64), not gaps.is_large(X, y)
    closest = gaps.optimum(wide, y, alpha, 1e-9 if within_reach else 1e-7)
    least, difference, off = objective(X, y, alpha, closest), math.nan, math.nan
    if within_reach:
        newton = not rivals.why_not(_NEWTON, X, y)
        truth = Theirs(
            C=1 / (alpha * len(y)), tol=1e-10, max_iter=5000, solver="newton-cholesky" if newton else "lbfgs"
        ).fit(wide, y)
        cost = objective(X, y, alpha, truth)
        least = min(least, cost)
        difference = float(_relative(closest.coef_, truth.coef_))
    bounds: dict[str, float] = {}

    def solve(X: Any, y: np.ndarray, alpha: float, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
        model = gaps.optimum(X, y, alpha, tolerance)
        bounds[gaps.limit(tolerance)] = model.optimality_gap_
        return model.coef_, model.intercept_

    found = gaps.measure_set(X, y, alpha, [gaps.OPTIMUM._replace(solve=solve), *others], rounds, known=least)
    ours = found["solvers"][0]
    if ours["note"]:
        raise AssertionError(ours["note"])
    if within_reach:
        off = cost - found["least"]
    return {
        **found,
        "difference": difference,
        "truth_is_off_by": off,
        "below": [point["limit"] for point in ours["points"] if bounds[point["limit"]] < point["gap"]],
        "bounds": bounds,
    }


def _relative(found: np.ndarray, expected: np.ndarray) -> Any:
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def line(name: str, found: dict[str, Any]) -> str:
    """Of a Markdown table."""
    ours, *others = found["solvers"]
    shown = []
    for gap in gaps.GAPS:
        seconds = gaps.seconds_to(ours, gap)
        best, rival = min((gaps.seconds_to(other, gap), other["name"]) for other in others)
        if math.isinf(best):
            shown.append(f"{seconds:.3g} / none")
        else:
            shown.append(f"{seconds:.3g} / {best:.3g} ({rival.removeprefix('scikit-learn ')}), {best / seconds:.1f}x")
    same = "not checked" if math.isnan(found["difference"]) else f"{found['difference']:.1e}"
    bound = "holds" if not found["below"] else f"below the truth at {', '.join(found['below'])}"
    return f"| {name} | {found['dtype']} | {found['alpha']:g} | " + " | ".join(shown) + f" | {same} | {bound} |"


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


QUICK = (
    '--sets "breast cancer" --rounds 1 --rivals "scikit-learn lbfgs" "scikit-learn newton-cholesky"',
    "--one-import --rounds 1",
)


def add_options(parser: Parser) -> None:
    parser.add_data()
    parser.add_sets(SETS)
    parser.add_dtypes(["float32", "float64"])
    parser.add_rounds(3)
    parser.add_json()
    parser.add_readme()
    parser.add_argument("--alphas", nargs="+", type=float, default=[1e-2, 1e-4, 1e-6], help="of the penalty")
    parser.add_argument("--rivals", nargs="+", metavar="NAME", help="names of solvers; all unless given")
    parser.add_argument("--one-import", action="store_true", help="both classes with their defaults, C=1 and float32")


def show_one_import(given: Namespace) -> None:
    lines = ["| set | class | seconds | cost | training accuracy |", "|---" * 5 + "|"]
    for name in given.sets or ["breast cancer"]:
        X, y = SETS[name](given.data or Path())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for of, (seconds, cost, accuracy) in one_import(X.astype("float32"), y, given.rounds).items():
                lines.append(f"| {name} | {of} | {seconds:.3g} | {cost:.6f} | {accuracy:.4f} |")
    print("\n".join(lines))
    replace_table(given.readme, "one import: made by benchmarks/optimum.py", "one import: end", "\n".join(lines))


def run(given: Namespace) -> int:
    if given.one_import:
        show_one_import(given)
        return 0
    generated = ["breast cancer", *(name for name in SETS if " x " in name)]
    others = [each for each in rivals.solvers() if given.rivals is None or each.name in given.rivals]
    all_found, wrong = [], False
    heads = [f"to {gap:g}: s / fastest other's s" for gap in gaps.GAPS]
    print("| set | dtype | alpha | " + " | ".join(heads) + " | coefficients differ by | bound |\n" + "|---" * 8 + "|")
    for name in given.sets or (SETS if given.data else generated):
        X, labels = SETS[name](given.data or Path())
        y = np.unique(labels, return_inverse=True)[1]
        for dtype in given.dtypes:
            for alpha in given.alphas:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    found = measure(X.astype(dtype), y, alpha, given.rounds, others)
                print(line(name, found), flush=True)
                all_found.append({"set": name, **found})
                wrong |= bool(found["below"]) or (found["difference"] > _SAME and found["truth_is_off_by"] < 1e-12)
    write_json(given.json, all_found)
    return int(wrong)
