"""Survey: does each fit that ends as nonsense say so, and no sound fit? Random problems, at rates from tiny to absurd.

Each problem is fitted at 1e-4 to 1e4 times its safe rate, the half of the least rate at which batch gradient descent
can diverge. Problems have two classes or more, dense or sparse rows, any optimizer, schedule, penalty and batch size;
some have weights. Calls go through the public functions, and what they say is what a user sees. The true loss, of all
rows and without the penalty, then tells whether that was right:

- Silent nonsense: no word, though the loss is above its beginning by more than the documented tolerance and noise.
- False alarm: a word at a sound rate, one of at most a tenth of the safe rate, though the loss isn't above.

Noise is what the rows can't tell that the rule looks at: some of more than 1,000, those of ten calls of a stream. What
it hides has a column of its own. Two kinds remain there far above the beginning. One or two rows of thousands may hold
most of the loss (seed 157): some rows may miss them. Ten calls of a row or two differ by more than their mean (88).
Exits with 1 if there is more of either fault than is allowed, see `ALLOWED`.

    python -m benchmarks divergence
    python -m benchmarks divergence --size 0.03   # 12 problems
    python -m benchmarks divergence --seed 3      # each fit of one problem
"""

from __future__ import annotations

import time
import warnings
from argparse import Namespace
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from options import Parser
from scipy import sparse

import jitlogit

FACTORS = 10.0 ** np.arange(-4, 5)
SOUND = 0.1
SILENT, FALSE, HIDDEN = "silent nonsense", "false alarm", "within noise"
# What is allowed of either fault, as a part of the fits. Two standard errors of some rows miss a case now and then.
ALLOWED = {SILENT: 1 / 1000, FALSE: 1 / 1000}
# The documented tolerances: multiples of the first loss with one update an epoch, and with several.
_WORSE, _WORSE_OF_BATCHES = 1.01, 1.05
# The most rows that the rule looks at, and how many standard errors of a loss are noise: two that the rule allows, and
# two by which these rows may differ from all.
_ROWS_LOOKED_AT, _ERRORS = 1000, 4.0
_THREADS = {"n_threads": 1}  # more would compute the same, with kernels of their own
_MOST_UPDATES, _MOST_REFERENCE_UPDATES = 10_000, 1000
_PROBLEMS = 400
_CALLS = 20  # of `partial_fit`
_SALT = 85  # of all problems; of the salts tried, the first dozen then needs few kernels


class Task(NamedTuple):
    """A random problem."""

    X: Any  # (m, n), an array or CSR
    y: np.ndarray
    n_classes: int
    weights: np.ndarray | None
    epochs: int
    options: dict[str, Any]


class Outcome(NamedTuple):
    """What came of a fit, and what it said."""

    seed: int
    trainer: str
    factor: float  # rate / safe rate
    start: float  # log K, the loss of guessing
    loss: float  # NaN after an error
    noise: float  # of the loss as the rule sees it
    one_batch: bool
    words: str  # of the first warning or error; "" for none

    @property
    def limit(self) -> float:
        """The documented bound of a loss that goes without a word."""
        return (_WORSE if self.one_batch else _WORSE_OF_BATCHES) * self.start


def is_sound(outcome: Outcome) -> bool:
    return outcome.factor <= SOUND


def verdict(outcome: Outcome) -> str:
    """The name of a fault, or of what noise hides, or "". NaN is nonsense, but no reason for words at a sound rate."""
    if outcome.words:
        return FALSE if is_sound(outcome) and not outcome.loss > outcome.limit else ""
    if not outcome.loss <= outcome.limit + outcome.noise:
        return SILENT
    return HIDDEN if outcome.loss > outcome.limit else ""


def make_task(seed: int) -> Task:
    rng = np.random.default_rng((_SALT, seed))
    m, n = (int(np.exp(rng.uniform(np.log(low), np.log(high)))) for low, high in ((20, 5000), (1, 51)))
    n_classes = int(rng.choice([2, 2, 2, 3, 4, 5]))
    X = rng.standard_normal((m, n)) + rng.uniform(-3, 3, n) * rng.integers(0, 2)
    scores = (X - X.mean(axis=0)) @ rng.standard_normal((n, n_classes)) * 2 / np.sqrt(n)
    noise = rng.choice([0, 0.3, 1, 3, 1e3])  # 0 is separable; with 1e3, no feature tells anything
    y = (scores + noise * rng.gumbel(size=scores.shape) + rng.uniform(-1, 1, n_classes)).argmax(axis=1)
    y[:n_classes] = np.arange(n_classes)  # no class is missing; mostly these labels are wrong, as some of real data are
    X = X * 10 ** rng.uniform(-3, 3, n if rng.random() < 0.5 else 1)
    if rng.random() < 0.4:
        X = (X - X.mean(axis=0)) / X.std(axis=0)
    X = X.astype(rng.choice(["float32", "float64"]))
    if rng.random() < 0.2:
        X = sparse.csr_array(X * (rng.random(X.shape) < 0.3))
    batch_size = None if rng.random() < 0.35 else int(np.exp(rng.uniform(0, np.log(m))))
    options = {
        "batch_size": batch_size,
        "optimizer": str(rng.choice(["sgd", "sgd", "sgd", "momentum", "nesterov", "adagrad", "adam"])),
        "schedule": str(rng.choice(["constant", "constant", "cosine", "invscaling", "step", "adaptive"])),
        "alpha": float(rng.choice([0, 0, 0, 1e-4, 1e-2, 1, 1e3, 1e5])),
        "l1_ratio": float(rng.choice([0, 0, 0.5])),
        "average": bool(rng.random() < 0.15),
        "random_state": seed,
    }
    epochs = int(rng.choice([1, 2, 3, 5, 10, 30, 100]))
    most = max(1, _MOST_UPDATES * (batch_size or m) // m)
    weights = 5 * rng.random(m) if rng.random() < 0.15 else None
    return Task(X, y, n_classes, weights, min(epochs, most), options)


def safe_rate(task: Task) -> float:
    """1 / curvature of the mean loss, which is at most  mean(|x|^2 + 1) / 4  (Bohning, 1992), and of the penalty."""
    mean_square = np.average((task.X.astype(float) ** 2).sum(axis=1), weights=task.weights)
    return float(1 / (0.25 * (1 + mean_square) + task.options["alpha"] * (1 - task.options["l1_ratio"])))


def loss_and_noise(task: Task, W: np.ndarray, b: Any, looked_at: int) -> tuple[float, float]:
    """Mean loss of W (n, 1) or (n, K) over all rows, and the noise of one from so many rows."""
    with np.errstate(all="ignore"):
        scores = task.X.astype(float) @ W.astype(float) + b
        if scores.shape[1] == 1:
            scores = np.hstack([np.zeros_like(scores), scores])
        losses = np.logaddexp.reduce(scores, axis=1) - scores[np.arange(task.y.size), task.y]
        if task.weights is not None:
            losses = losses * task.weights / task.weights.mean()
        noise = _ERRORS * np.std(losses) / np.sqrt(looked_at) if looked_at < task.y.size else 0.0
        return float(np.mean(losses)), float(noise)


def trainers(seed: int, task: Task) -> list[str]:
    """The function, or `fit` for sparse rows; for some problems also a stream, or the reference if it's fast enough."""
    is_sparse = sparse.issparse(task.X)
    updates = task.epochs * -(-task.y.size // (task.options["batch_size"] or task.y.size))
    names = ["fit" if is_sparse else "function"]
    names += ["partial_fit"] if seed % 4 == 0 else []
    return names + (["reference"] if not is_sparse and seed % 4 == 1 and updates <= _MOST_REFERENCE_UPDATES else [])


def trained(trainer: str, task: Task, rate: float) -> tuple[np.ndarray, Any]:
    """Weights (n, 1) or (n, K) and bias."""
    if trainer in ("function", "reference"):
        home = jitlogit if trainer == "function" else jitlogit.reference
        options = task.options | {"sample_weight": task.weights} | (_THREADS if trainer == "function" else {})
        if task.n_classes == 2:
            return home.train_logistic_regression(task.X, task.y, rate, task.epochs, **options)[:2]
        return home.train_softmax_regression(task.X, task.y, rate, task.epochs, n_classes=task.n_classes, **options)[:2]
    model = jitlogit.MiniBatchLogisticRegression(
        learning_rate=rate, standardize=False, tol=None, max_iter=task.epochs, **task.options, **_THREADS
    )
    if trainer == "fit":
        model.fit(task.X, task.y, task.weights)
    else:
        for rows in np.array_split(np.arange(task.y.size), _CALLS):
            weights = None if task.weights is None else task.weights[rows]
            model.partial_fit(task.X[rows], task.y[rows], np.arange(task.n_classes), weights)
    return model.coef_.T, model.intercept_


def outcomes(seed: int) -> Iterable[Outcome]:
    task = make_task(seed)
    safe, m = safe_rate(task), task.y.size
    for trainer in trainers(seed, task):
        rows_of_call, calls = (m // _CALLS, 10) if trainer == "partial_fit" else (m, 1)
        looked_at = min(_ROWS_LOOKED_AT, calls * rows_of_call)
        for factor in FACTORS:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                try:
                    parameters = trained(trainer, task, factor * safe)
                except ValueError as error:
                    words, loss, noise = str(error), np.nan, 0.0
                else:
                    words = str(caught[0].message) if caught else ""
                    loss, noise = loss_and_noise(task, *parameters, looked_at)
            if words and not words.startswith(("training diverged", "training ended")):
                raise RuntimeError(f"seed {seed}, {trainer}, {factor:g} times the safe rate: unexpected words: {words}")
            one_batch = (task.options["batch_size"] or m) >= rows_of_call
            yield Outcome(seed, trainer, factor, float(np.log(task.n_classes)), loss, noise, one_batch, words)


def line(one: Outcome) -> str:
    return (
        f"seed {one.seed:4d}  {one.trainer:11s}  rate / safe {one.factor:6g}  loss / start {one.loss / one.start:8.3g}"
        f"  noise / start {one.noise / one.start:8.3g}  {verdict(one) or 'fine':15s}  {one.words[:55]}"
    )


def report(found: list[Outcome]) -> bool:
    """Print the table and the cases to look at; return whether there is more of a fault than is allowed."""
    names = "fits", "with words", "at sound rates", SILENT, FALSE, f"silent nonsense {HIDDEN}"
    print("| trainer | " + " | ".join(names) + " |\n" + "|---" * (1 + len(names)) + "|")
    for trainer in ("function", "fit", "partial_fit", "reference", "all"):
        some = [one for one in found if trainer in (one.trainer, "all")]
        told = [one for one in some if one.words]
        faults = [[verdict(one) for one in some].count(name) for name in (SILENT, FALSE, HIDDEN)]
        print("|", " | ".join(map(str, [trainer, len(some), len(told), sum(map(is_sound, told)), *faults])), "|")
    print("\nLosses above the documented bound without words, the worst first, and words at sound rates:")
    doubtful = [one for one in found if verdict(one) or (one.words and is_sound(one))]
    for one in sorted(doubtful, key=lambda one: (bool(one.words), -one.loss / (one.limit + one.noise))):
        print(line(one))
    return any(sum(verdict(one) == fault for one in found) > part * len(found) for fault, part in ALLOWED.items())


QUICK = ("--size 0.03",)


def add_options(parser: Parser) -> None:
    parser.add_size(f"{_PROBLEMS} problems")
    parser.add_argument("--seed", type=int, help="show each fit of this problem")


def run(given: Namespace) -> int:
    if given.seed is not None:
        task = make_task(given.seed)
        print(f"X {task.X.shape} {task.X.dtype}, {task.n_classes} classes, {task.epochs} epochs, {task.options}")
        print(*map(line, outcomes(given.seed)), sep="\n")
        return 0
    start = time.perf_counter()
    n_problems = max(1, round(_PROBLEMS * given.size))
    found = [one for seed in range(n_problems) for one in outcomes(seed)]
    failed = report(found)
    print(f"{n_problems} problems, {len(found)} fits, {time.perf_counter() - start:.0f} s")
    return int(failed)
