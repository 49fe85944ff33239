"""Pictures of a comparison: costs, growth of the differences, and throughput under the bandwidth of memory."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ... import __version__
from ..display import page
from ..plots import plot_comparison, require_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .comparison import Comparison

_MARKERS = "osD^vP*X<>"
_LEAST_PART = 1e-6  # part of a bound as which equal weights are drawn, since a logarithmic axis has no zero


def plot_growth(comparison: Comparison, ax: Axes) -> None:
    """Plot the largest difference of the weights over epochs for each batch size, as a part of the last one's bound."""
    for row, marker in zip(comparison.rows, cycle(_MARKERS)):
        differences = [each.weights for each in row.differences]
        parts = np.maximum(_LEAST_PART, np.divide(differences, row.bounds.weights or 1.0))
        ax.plot([each.epochs for each in row.differences], parts, marker=marker, linestyle="--", label=row.batch_label)
    ax.axhline(1, color="black", label="bound")
    ax.set_xscale("log")
    ax.set_yscale("log")
    epochs = sorted({each.epochs for row in comparison.rows for each in row.differences})
    ax.set_xticks(epochs, [str(number) for number in epochs])
    ax.minorticks_off()
    ax.set_xlabel("epochs of the fit")
    ax.set_ylabel("largest |dW| / bound after the last epoch")
    ax.set_title("growth of the differences")
    _legend_below(ax, "batch size")


def plot_ladder(comparison: Comparison, ax: Axes) -> None:
    """Plot the rate at which X is read, over batch sizes: by NumPy, one thread, all, on a copy; and the machine's."""
    rows = comparison.rows
    size = rows[0].gigabytes_per_second * rows[0].fast_seconds
    everything = [row.unpacked_seconds or row.fast_seconds for row in rows]
    packed = [row.fast_seconds if row.unpacked_seconds else np.nan for row in rows]
    rungs: dict[str, list[float]] = {
        "NumPy": [row.reference_seconds for row in rows],
        "one thread": [row.one_thread_seconds for row in rows],
        f"{comparison.n_threads} threads": everything,
        "on a copy (packed)": packed,
    }
    places = np.arange(len(rows))
    for (name, seconds), marker in zip(rungs.items(), _MARKERS, strict=False):
        if np.isfinite(seconds).any():
            ax.plot(places, size / np.array(seconds), marker=marker, label=name)
    for rate, name, dashes in (
        (np.median([row.bandwidth for row in rows]), f"bandwidth, {comparison.n_threads} threads", "-"),
        (np.median([row.one_thread_bandwidth for row in rows]), "bandwidth, one thread", ":"),
    ):
        ax.axhline(rate, color="black", linestyle=dashes, label=name)
    ax.set_yscale("log")
    ax.set_xticks(places, [row.batch_label for row in rows])
    ax.set_xlabel("batch size")
    ax.set_ylabel("GB of X per second of an epoch")
    ax.set_title("throughput")
    _legend_below(ax, None)


def _legend_below(ax: Axes, title: str | None) -> None:
    """Lines fill the axes from the bound or the bandwidth down, so that a legend inside would cover some."""
    ax.legend(
        title=title, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2 if title is None else 4, fontsize="small"
    )


def figure_of(comparison: Comparison) -> Figure:
    """One figure with the three pictures side by side."""
    require_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 5), layout="constrained")
    cost, growth, ladder = figure.subplots(1, 3)
    _plot_cost(comparison, cost)
    plot_growth(comparison, growth)
    plot_ladder(comparison, ladder)
    figure.suptitle(comparison.title)
    return figure


def save_picture(comparison: Comparison, path: str | Path) -> None:
    """Write the three pictures to a file; needs no display."""
    figure_of(comparison).savefig(path, dpi=120)


def save_page(comparison: Comparison, path: str | Path) -> None:
    """Write one page of HTML with the tables and pictures, which needs no other file and no network."""
    require_matplotlib()
    about = comparison.to_dict()
    versions = {"jitlogit": __version__} | about["versions"]
    foot = ", ".join([str(date.today()), *(f"{name} {number}" for name, number in versions.items()), about["machine"]])
    pictures = [_svg(comparison, plot) for plot in (_plot_cost, plot_growth, plot_ladder)]
    Path(path).write_text(page("jitlogit compare", comparison.table(), pictures, foot), encoding="utf-8")


def _plot_cost(comparison: Comparison, ax: Axes) -> None:
    plot_comparison(comparison, ax)
    ax.set_title("cost")


def _svg(comparison: Comparison, plot: Callable[[Comparison, Axes], None]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 4), layout="constrained")
    plot(comparison, figure.subplots())
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    text = buffer.getvalue()
    return text[text.index("<svg") :]
