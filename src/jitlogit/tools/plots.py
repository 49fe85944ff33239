"""Plots of costs, histories, range tests, searches and coefficients.

Matplotlib (the extra ``plot``) is imported on use. Curves differ by more than their colour, for prints in grey.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.parameters import check_count
from .coefficients import coefficients_of, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .comparing.comparison import Comparison

__all__ = ["plot_coefficients", "plot_comparison", "plot_costs", "plot_history", "plot_path", "plot_range_test"]

_DASHES = ("-", "--", "-.", ":")
_MARKERS = "osD^vP*X<>"
_TITLE_WIDTH = 60  # characters of a title that fit above a figure of matplotlib's usual width
_HEADROOM = 0.15  # part of an axis that a legend in one row takes


def plot_costs(
    costs: Sequence[float] | Sequence[Sequence[float]] | Mapping[str, Sequence[float]],
    *,
    record_every: int = 100,
    ax: Axes | None = None,
) -> Axes:
    """Plot the cost over iterations, which shows whether training converged.

    A cost is the mean loss over a pass, each loss before its own update. In batch gradient descent that is J of the
    parameters before the pass. With mini-batches it is a running mean: the first batches of a pass meet worse
    parameters than the last ones. So, as long as the cost falls, the curve lies above J after the pass.

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

    Examples
    --------
    >>> import jitlogit
    >>> ax = jitlogit.plots.plot_costs({"rate 0.1": [0.69, 0.52, 0.44], "rate 1": [0.69, 0.35, 0.3]}, record_every=10)
    >>> [line.get_label() for line in ax.lines]
    ['rate 0.1', 'rate 1']
    >>> ax.lines[0].get_xdata()  # iterations
    array([ 0, 10, 20])

    ``ax.figure.savefig("costs.png")`` writes the picture.
    """
    require_matplotlib()
    from matplotlib.ticker import MaxNLocator

    curves = _curves(costs)
    if record_every < 1:
        raise ValueError(f"record_every must be at least 1; got {record_every!r}")
    ax = _axes(ax)
    for (label, curve), dashes in zip(curves, cycle(_DASHES)):
        marker = "o" if len(curve) == 1 else None
        ax.plot(np.arange(len(curve)) * record_every, curve, label=label, marker=marker, linestyle=dashes)
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    ax.set_xlabel("iteration (passes over the training set)")
    ax.set_ylabel("cost J (mean loss over the pass, nats)")
    if any(label for label, _ in curves):
        _legend_beside(ax)
    return ax


def plot_history(history: Mapping[str, Sequence[float]], ax: Axes | None = None) -> Axes:
    """Plot the losses of an estimator's `history_` over epochs, and its learning rate on a second axis.

    The training loss is a running mean over the epoch, each loss before its own update; the validation loss is that of
    the parameters at the end. So the first often lies above the second, most of all in the first epoch.

    Parameters
    ----------
    history : mapping from names to sequences of float
        `history_` of a `MiniBatchLogisticRegression`: "loss" in nats, "learning_rate", and "val_loss" if there is one.
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
        If the history is empty.

    Examples
    --------
    >>> import jitlogit
    >>> history = {"loss": [0.6, 0.4], "val_loss": [0.5, 0.45], "learning_rate": [0.1, 0.05]}
    >>> ax = jitlogit.plots.plot_history(history)  # that of a fitted model is `model.history_`
    >>> [line.get_label() for line in ax.lines]
    ['training, mean over the epoch', 'validation, at its end']
    """
    names = {"loss": "training, mean over the epoch", "val_loss": "validation, at its end"}
    ax = plot_costs({label: history[name] for name, label in names.items() if name in history}, record_every=1, ax=ax)
    ax.set_xlabel("epoch")
    ax.set_ylabel("mean loss (nats)")
    right = ax.twinx()
    marker = "." if len(history["learning_rate"]) == 1 else None
    right.plot(history["learning_rate"], color="gray", linestyle=":", marker=marker, label="learning rate")
    right.set_ylabel("learning rate (dotted)")
    right.set_ylim(0, max(history["learning_rate"]))
    for side in (ax, right):
        bottom, top = side.get_ylim()
        side.set_ylim(bottom, top + _HEADROOM * (top - bottom))
    ax.legend(loc="upper center", ncols=2)
    return ax


def plot_range_test(rates: Any, losses: Any, suggested: float, ax: Axes | None = None) -> Axes:
    """Plot the losses of a `RangeTest` over its learning rates, and a line at the suggested rate.

    Parameters
    ----------
    rates : array_like (n_rates,)
        Learning rates, ascending.
    losses : array_like (n_rates,)
        Mean losses in nats, smoothed.
    suggested : float
        The learning rate to mark.
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
        If rates and losses aren't of the same length.

    Examples
    --------
    >>> import jitlogit
    >>> ax = jitlogit.plots.plot_range_test([0.01, 0.1, 1.0], [0.69, 0.5, 0.8], suggested=0.01)
    >>> ax.get_xscale()
    'log'

    ``jitlogit.learning_rate_finder(X, y).plot()`` does the same for its result.
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

    Parameters
    ----------
    model : LogisticRegressionCV
        Fitted. Scores are drawn as losses in nats where `scoring` is None.
    ax : matplotlib Axes, optional
        None for a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        If matplotlib isn't installed; names the extra to install.

    Examples
    --------
    >>> import jitlogit
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]] * 4, [0, 0, 1, 1] * 4
    >>> ax = jitlogit.plots.plot_path(jitlogit.LogisticRegressionCV(Cs=[0.1, 1.0], cv=2).fit(X, y))
    >>> ax.get_ylabel()
    'validation loss (nats)'
    """
    ax = _axes(ax)
    losses = model.scoring is None
    scores = -model.scores_ if losses else model.scores_
    for number, fold in enumerate(scores):
        ax.semilogx(model.Cs_, fold, color="gray", alpha=0.4, linewidth=1, label="_" if number else "a fold")
    ax.semilogx(model.Cs_, scores.mean(axis=0), linewidth=2, marker="o", label="mean of the folds")
    ax.axvline(model.C_, linestyle="--", color="gray", label=f"best: {model.C_:.2g}")
    ax.set_xlabel("C (inverse strength of the penalty)")
    ax.set_ylabel("validation loss (nats)" if losses else _score_name(model.scoring))
    ax.legend()
    return ax


def _score_name(scoring: Any) -> str:
    return f"validation score ({scoring})" if isinstance(scoring, str) else "validation score"


def plot_coefficients(model: Any, top: int = 20, class_label: Any = None, ax: Axes | None = None) -> Axes:
    """Plot the coefficients of a fitted linear classifier that are largest in size, the largest on top.

    Sizes can be compared where features have the same spread: scale them before the fit, as in the pipeline
    ``make_pipeline(StandardScaler(), model)``. Coefficients belong to X as `fit` got it, also where an estimator of
    jitlogit standardises inside.

    Parameters
    ----------
    model : estimator
        With `coef_` (1, n_features) or (n_classes, n_features), dense or sparse, and `classes_`: those of jitlogit,
        scikit-learn's linear ones, or a pipeline that ends with one. Names are those that `fit` saw, or that the
        pipeline's steps make; else x0, x1 and so on.
    top : int
        The most features to show.
    class_label : a label of `classes_`, optional
        The class whose score the coefficients are part of. None for the second one of two. Of three to ten classes,
        None shows each as a marker; features are then ranked by the class in which they are largest.
    ax : matplotlib Axes, optional
        None for a new figure, as high as the features need.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        If matplotlib isn't installed; names the extra to install.
    ValueError
        If `model` has no coefficients, because it isn't fitted or isn't linear; if there is no such class, or
        `class_label` is None with more than ten; if `top` isn't 1 or more.

    Examples
    --------
    >>> import numpy as np
    >>> import jitlogit
    >>> X = np.random.default_rng(0).standard_normal((30, 3))
    >>> model = jitlogit.LogisticRegression().fit(X, X[:, 0] - X[:, 2] / 2 > 0)
    >>> ax = jitlogit.plots.plot_coefficients(model, top=2)
    >>> [label.get_text() for label in ax.get_yticklabels()]  # names of the features, where X is a data frame
    ['x0', 'x2']
    """
    top = check_count(top, "top")
    names, coef, labels = coefficients_of(model, class_label, len(_MARKERS))
    largest = np.argsort(-np.abs(coef).max(axis=0), kind="stable")[:top]
    ax = _axes(ax, least_height=0.22 * largest.size + 1)
    places = np.arange(largest.size)
    if len(coef) == 1:
        ax.barh(places, coef[0, largest])
        what = f"coefficient for {labels[0]}"
    else:
        for row, label, marker in zip(coef, labels, _MARKERS, strict=False):
            ax.plot(row[largest], places, marker, label=label, alpha=0.8)
        ax.grid(axis="y", alpha=0.4)
        for text in _legend_beside(ax, "class").get_texts():
            text.set_parse_math(False)
        what = "coefficient"
    ax.axvline(0, color="black", linewidth=0.8, zorder=1)
    ax.set_yticks(places, [shortened(names[j]) for j in largest], parse_math=False)
    ax.set_ylim(largest.size - 0.4, -0.6)
    ax.set_xlabel(f"{what}\n(change of the score per unit of the feature)", parse_math=False)
    if largest.size < coef.shape[1]:
        ax.set_title(f"the {largest.size} of {coef.shape[1]:,} features with the largest coefficients")
    return ax


def plot_comparison(comparison: Comparison, ax: Axes | None = None) -> Axes:
    """Plot two cost curves for each batch size: the reference wide and pale, the kernels' with markers on top of it.

    Parameters
    ----------
    comparison : Comparison
        Result of `jitlogit.compare`.
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
        If a fit recorded no cost, because it diverged at once.

    Examples
    --------
    >>> import jitlogit
    >>> X, Y = [[0.0], [1.0], [2.0], [3.0]] * 5, [0, 0, 1, 1] * 5
    >>> comparison = jitlogit.compare(X, Y, batch_sizes=[8, None], epochs=2)
    >>> ax = jitlogit.plots.plot_comparison(comparison)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['8', 'full', 'reference']
    """
    wide: dict[str, Any] = {"linewidth": 7, "alpha": 0.3}
    curves = {row.batch_label: row.fast_costs for row in comparison.rows}
    ax = plot_costs(curves, record_every=1, ax=ax)
    for line, row, marker in zip(ax.lines[:], comparison.rows, cycle(_MARKERS)):
        line.set(marker=marker, linestyle="--", markevery=max(1, len(row.fast_costs) // 10))
        ax.plot(row.reference_costs, color=line.get_color(), zorder=1, **wide)
    ax.plot([], color="gray", label="reference", **wide)
    _legend_beside(ax, "batch size")
    if any(row.batch_size is not None for row in comparison.rows):
        ax.set_ylabel("cost J (nats),\nof mini-batches the running mean over the pass")
    ax.set_title(textwrap.fill(comparison.title, _TITLE_WIDTH), fontsize="medium")
    return ax


def check_picture(path: str | Path) -> None:
    """Raise ImportError if matplotlib isn't installed, ValueError if it can't write files with this ending."""
    require_matplotlib()
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    if Path(path).suffix[1:].lower() not in known:
        raise ValueError(f"{path} is not the name of a picture: expected one that ends in .{', .'.join(sorted(known))}")


def _axes(ax: Axes | None, least_height: float = 0.0) -> Axes:
    """The axes, or new ones of matplotlib's usual size, but of at least this height in inches."""
    require_matplotlib()
    if ax is None:
        import matplotlib.pyplot as plt

        figure, ax = plt.subplots(layout="constrained")  # so that nothing is cut off
        figure.set_figheight(max(figure.get_figheight(), least_height))
    return ax


def _legend_beside(ax: Axes, title: str | None = None) -> Any:
    """Add a legend beside the axes, if the figure's layout makes room there, else where it covers least."""
    layout = ax.figure.get_layout_engine()
    place = {} if layout is None else {"loc": "upper left", "bbox_to_anchor": (1, 1)}
    return ax.legend(title=title, **place)


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
