"""Plots of costs, histories, range tests, searches and coefficients.

Matplotlib (the extra ``plot``) is imported on use. Curves differ by more than their colour, for prints in grey.
"""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.parameters import check_count
from ..data.validation import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .comparing.comparison import Comparison

__all__ = ["plot_coefficients", "plot_comparison", "plot_costs", "plot_history", "plot_path", "plot_range_test"]

_DASHES = ("-", "--", "-.", ":")
_MARKERS = "osD^vP*X<>"
_TITLE_WIDTH = 60  # characters of a title that fit above a figure of matplotlib's usual width
_HEADROOM = 0.15  # part of an axis that a legend in one row takes
_NAME_WIDTH = 40  # characters of a feature's name that leave room for bars


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

    Raises ImportError if matplotlib isn't installed, ValueError if the history is empty.
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
    """
    top = check_count(top, "top")
    names, coef, labels = _coefficients(model, class_label)
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
    ax.set_yticks(places, [_shortened(names[j]) for j in largest], parse_math=False)
    ax.set_ylim(largest.size - 0.4, -0.6)
    ax.set_xlabel(f"{what}\n(change of the score per unit of the feature)", parse_math=False)
    if largest.size < coef.shape[1]:
        ax.set_title(f"the {largest.size} of {coef.shape[1]:,} features with the largest coefficients")
    return ax


def _coefficients(model: Any, class_label: Any) -> tuple[list[str], Array, list[str]]:
    """Return names of the features (n,), coefficients (1 or K, n) in float64, and a label for each row of them."""
    names = None
    if hasattr(model, "steps"):
        if len(model.steps) > 1:
            with contextlib.suppress(AttributeError):  # of a step that can't name what it makes, or isn't fitted
                names = model[:-1].get_feature_names_out()
        model = model.steps[-1][1]
    missing = [name for name in ("coef_", "classes_") if not hasattr(model, name)]
    if missing:
        raise ValueError(
            f"model must be a fitted linear classifier; got a {type(model).__name__} without {' and '.join(missing)}: "
            "call fit(X, y) first; of a search, pass best_estimator_"
        )
    coef = model.coef_.toarray() if hasattr(model.coef_, "toarray") else model.coef_
    coef, classes = np.atleast_2d(np.asarray(coef, np.float64)), np.asarray(model.classes_).tolist()
    if len(coef) != (1 if len(classes) == 2 else len(classes)):
        raise ValueError(
            f"model must have a row of coef_ for each class, or one for two classes; got {coef.shape} for "
            f"{len(classes)} classes"
        )
    if class_label is not None and class_label not in classes:
        raise ValueError(f"class_label must be one of {_some(classes)}; got {class_label!r}")
    if class_label is None and len(classes) > len(_MARKERS):
        raise ValueError(f"model has {len(classes)} classes: choose one by class_label, of {_some(classes)}")
    if names is None:
        names = getattr(model, "feature_names_in_", [f"x{j}" for j in range(coef.shape[1])])
    names = [str(name) for name in names]
    if len(classes) == 2:
        chosen = 1 if class_label is None else classes.index(class_label)
        return names, coef if chosen else -coef, [f"class {classes[chosen]}"]
    if class_label is None:
        return names, coef, [str(label) for label in classes]
    return names, coef[[classes.index(class_label)]], [f"class {class_label}"]


def _shortened(name: str) -> str:
    """The name, without its middle if it is long: names often differ at their ends."""
    half = _NAME_WIDTH // 2
    return name if len(name) <= _NAME_WIDTH else f"{name[: half - 1]}…{name[-half:]}"


def _some(classes: list[Any]) -> str:
    return ", ".join(map(repr, classes[:6])) + (", ..." if len(classes) > 6 else "")


def plot_comparison(comparison: Comparison, ax: Axes | None = None) -> Axes:
    """Plot two cost curves for each batch size: the reference wide and pale, the kernels' with markers on top of it."""
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
