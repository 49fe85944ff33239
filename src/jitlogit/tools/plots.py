"""Plots of costs, histories, range tests and searches; matplotlib (the extra ``plot``) is imported on use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .compare import Comparison

__all__ = ["plot_comparison", "plot_costs", "plot_history", "plot_path", "plot_range_test"]


def plot_costs(
    costs: Sequence[float] | Sequence[Sequence[float]] | Mapping[str, Sequence[float]],
    *,
    record_every: int = 100,
    ax: Axes | None = None,
) -> Axes:
    """Plot the cost over iterations, which shows whether training converged.

    Parameters
    ----------
    costs : sequence of float, a sequence of sequences, or a mapping from labels to sequences
        Costs from `train_logistic_regression`, in nats.
    record_every : int
        Iterations between two recorded costs, as in training.
    ax : matplotlib Axes, optional
        None for a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        If matplotlib isn't installed; names the extra to install.
    ValueError
        If a curve is empty, or `record_every` is less than 1.
    """
    require_matplotlib()
    curves = _curves(costs)
    if record_every < 1:
        raise ValueError(f"record_every must be at least 1; got {record_every!r}")
    ax = _axes(ax)
    for label, curve in curves:
        marker = "o" if len(curve) == 1 else None
        ax.plot(np.arange(len(curve)) * record_every, curve, label=label, marker=marker)
    ax.set_xlabel("iteration (passes over the training set)")
    ax.set_ylabel("cost J (mean loss, nats)")
    if any(label for label, _ in curves):
        ax.legend()
    return ax


def plot_history(history: Mapping[str, Sequence[float]], ax: Axes | None = None) -> Axes:
    """Plot the losses of an estimator's `history_` over epochs, and its learning rate on a second axis.

    Raises ImportError if matplotlib isn't installed, ValueError if the history is empty.
    """
    names = {"loss": "training", "val_loss": "validation"}
    ax = plot_costs({label: history[name] for name, label in names.items() if name in history}, record_every=1, ax=ax)
    ax.set_xlabel("epoch")
    ax.set_ylabel("mean loss (nats)")
    right = ax.twinx()
    right.plot(history["learning_rate"], color="gray", linestyle=":", label="learning rate")
    right.set_ylabel("learning rate (dotted)")
    return ax


def plot_range_test(rates: Any, losses: Any, suggested: float, ax: Axes | None = None) -> Axes:
    """Plot the losses of a `RangeTest` over its learning rates, and a line at the suggested rate.

    Raises ImportError if matplotlib isn't installed.
    """
    ax = _axes(ax)
    ax.semilogx(rates, losses)
    ax.axvline(suggested, linestyle="--", color="gray", label=f"suggested: {suggested:.2g}")
    ax.set_xlabel("learning rate")
    ax.set_ylabel("mean loss (nats), smoothed")
    ax.legend()
    return ax


def plot_path(model: Any, ax: Axes | None = None) -> Axes:
    """Plot the held-out scores of a fitted `LogisticRegressionCV` over C: each fold's, their mean, and the best C.

    Raises ImportError if matplotlib isn't installed.
    """
    ax = _axes(ax)
    losses = model.scoring is None
    scores = -model.scores_ if losses else model.scores_
    ax.semilogx(model.Cs_, scores.T, color="gray", alpha=0.4)
    ax.semilogx(model.Cs_, scores.mean(axis=0), label="mean of the folds")
    ax.axvline(model.C_, linestyle="--", color="gray", label=f"best: {model.C_:.2g}")
    ax.set_xlabel("C")
    ax.set_ylabel("validation loss (nats)" if losses else "validation score")
    ax.legend()
    return ax


def plot_comparison(comparison: Comparison, ax: Axes | None = None) -> Axes:
    """Plot two cost curves for each batch size: the reference wide and pale, the kernels' dashed on top of it."""
    curves = {}
    for row in comparison.rows:
        curves[f"{row.batch_label}, reference"] = row.reference_costs
        curves[f"{row.batch_label}, numba"] = row.fast_costs
    ax = plot_costs(curves, record_every=1, ax=ax)
    for reference, fast in zip(ax.lines[0::2], ax.lines[1::2], strict=True):
        reference.set(linewidth=5, alpha=0.3)
        fast.set(linestyle="--", color=reference.get_color())
    ax.legend(title="batch size")
    ax.set_title(comparison.title)
    return ax


def save_comparison(comparison: Comparison, path: str | Path) -> None:
    """Write `plot_comparison` to a file; needs no display."""
    require_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    plot_comparison(comparison, figure.subplots())
    figure.savefig(path, dpi=120)


def check_picture(path: str | Path) -> None:
    """Raise ImportError if matplotlib isn't installed, ValueError if it can't write files with this ending."""
    require_matplotlib()
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    if Path(path).suffix[1:].lower() not in known:
        raise ValueError(f"{path} is not the name of a picture: expected one that ends in .{', .'.join(sorted(known))}")


def _axes(ax: Axes | None) -> Axes:
    require_matplotlib()
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots()[1]
    return ax


def require_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'jitlogit[plot]'") from error


def _curves(costs: Any) -> list[tuple[str | None, Sequence[float]]]:
    if isinstance(costs, Mapping):
        curves = list(costs.items())
    elif len(costs) and np.ndim(costs[0]) == 0:
        curves = [(None, costs)]
    else:
        curves = [(f"run {i + 1}", curve) for i, curve in enumerate(costs)]
    if not curves or not all(len(curve) for _, curve in curves):
        raise ValueError("costs must hold at least one recorded cost for each curve; got an empty one")
    return curves
