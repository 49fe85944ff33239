"""Plots of coefficients, and what all plots share: nothing is cut off, and curves can be told apart in grey."""

from __future__ import annotations

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from conftest import comparison_row, make_classes, make_data
from matplotlib.figure import Figure
from scipy import sparse
from sklearn.linear_model import LogisticRegression as Theirs
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from jitlogit import LogisticRegression, MiniBatchLogisticRegression, plots
from jitlogit.tools.comparing.comparison import Comparison
from jitlogit.tools.comparing.comparison_plots import plot_growth, plot_ladder

mpl.use("agg")


class Given:
    """A fitted classifier of which nothing but coefficients and classes is known."""

    def __init__(self, coef, classes):
        self.coef_, self.classes_ = coef, np.asarray(classes)


def axes():
    return Figure().subplots()


def names_of(ax):
    return [text.get_text() for text in ax.get_yticklabels()]


def widths_of(ax):
    return [bar.get_width() for bar in ax.patches]


def test_the_largest_coefficients_come_first():
    ax = plots.plot_coefficients(Given([[0.5, -3.0, 0.0, 2.0]], ["no", "yes"]), top=3, ax=axes())
    assert names_of(ax) == ["x1", "x3", "x0"]
    assert widths_of(ax) == [-3.0, 2.0, 0.5]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # so that the first is on top
    assert "class yes" in ax.get_xlabel()
    assert ax.get_title() == "the 3 of 4 features with the largest coefficients"
    ax = plots.plot_coefficients(Given([[0.5, -3.0]], ["no", "yes"]), class_label="no", ax=axes())
    assert widths_of(ax) == [3.0, -0.5]  # the score of the other class is the negative
    assert "class no" in ax.get_xlabel()
    assert ax.get_title() == ""


def test_several_classes_are_markers_or_one_of_them_bars():
    model = Given([[1.0, 0.0], [0.5, -3.0], [-2.0, 0.1]], [10, 20, 30])
    ax = plots.plot_coefficients(model, ax=axes())
    assert names_of(ax) == ["x1", "x0"]
    shown = {line.get_label(): line.get_xdata().tolist() for line in ax.lines[:3]}
    assert shown == {"10": [0.0, 1.0], "20": [-3.0, 0.5], "30": [0.1, -2.0]}
    assert len({line.get_marker() for line in ax.lines[:3]}) == 3
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["10", "20", "30"]
    ax = plots.plot_coefficients(model, class_label=30, ax=axes())
    assert (names_of(ax), widths_of(ax)) == (["x0", "x1"], [-2.0, 0.1])


@pytest.mark.parametrize("estimator", [MiniBatchLogisticRegression(max_iter=2), LogisticRegression(), Theirs()])
def test_names_come_from_the_fit(estimator):
    X, y = make_classes(200, 3, 2)
    model = estimator.fit(pd.DataFrame(X, columns=["age", "$price$", "height"]), y)
    ax = plots.plot_coefficients(model, ax=axes())
    order = np.argsort(-np.abs(model.coef_[0]))
    assert names_of(ax) == [["age", "$price$", "height"][j] for j in order]
    assert widths_of(ax) == model.coef_[0, order].tolist()
    ax.figure.canvas.draw()  # a name between dollars isn't a formula
    assert not any(text.get_parse_math() for text in ax.get_yticklabels())


def test_pipelines_name_what_their_steps_make():
    X, y = make_classes(200, 3, 2)
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    assert sorted(names_of(plots.plot_coefficients(make_pipeline(Theirs()).fit(table, y), ax=axes()))) == list("abc")
    scaled = make_pipeline(StandardScaler(), Theirs()).fit(table, y)
    assert sorted(names_of(plots.plot_coefficients(scaled, ax=axes()))) == list("abc")
    nameless = make_pipeline(FunctionTransformer(np.asarray), Theirs()).fit(table, y)
    assert sorted(names_of(plots.plot_coefficients(nameless, ax=axes()))) == ["x0", "x1", "x2"]


def test_other_linear_classifiers():
    X, y = make_classes(100, 3, 3)
    assert len(plots.plot_coefficients(RidgeClassifier().fit(X, y), ax=axes()).lines) == 4
    model = Given(sparse.csr_array([[0.0, 2.0]]), [0, 1])
    assert widths_of(plots.plot_coefficients(model, ax=axes())) == [2.0, 0.0]
    assert widths_of(plots.plot_coefficients(Given(np.array([1.0, -2.0]), [0, 1]), ax=axes())) == [-2.0, 1.0]


def test_long_names_keep_both_ends():
    model = Given([[1.0]], [0, 1])
    model.feature_names_in_ = ["begin" + 100 * "-" + "end"]
    (name,) = names_of(plots.plot_coefficients(model, ax=axes()))
    assert len(name) == 40
    assert name.startswith("begin-")
    assert name.endswith("-end")


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (LogisticRegression(), {}, r"a LogisticRegression without coef_ and classes_: call fit\(X, y\) first"),
        (make_pipeline(StandardScaler(), Theirs()), {}, "a LogisticRegression without coef_ and classes_"),
        (DecisionTreeClassifier().fit([[0], [1]], [0, 1]), {}, "a DecisionTreeClassifier without coef_"),
        (Given([[1.0]], [0, 1]), {"top": 0}, "top must be an integer of at least 1"),
        (Given([[1.0]], [0, 1]), {"class_label": 7}, "class_label must be one of 0, 1; got 7"),
        (Given(np.ones((11, 2)), range(11)), {}, "11 classes: choose one by class_label, of 0, 1, 2, 3, 4, 5, ..."),
        (Given(np.ones((6, 2)), range(4)), {}, r"a row of coef_ for each class.* got \(6, 2\) for 4 classes"),
    ],
)
def test_what_cannot_be_drawn_is_an_error(model, options, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_coefficients(model, **options)


def test_one_of_many_classes_can_be_drawn():
    ax = plots.plot_coefficients(Given(np.eye(11), range(11)), top=2, class_label=10, ax=axes())
    assert names_of(ax)[0] == "x10"


def is_whole(ax):
    """Whether all that is drawn lies on the figure, to within a hundredth of an inch."""
    figure = ax.figure
    figure.canvas.draw()
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    return drawn.x0 > -0.01 and drawn.y0 > -0.01 and drawn.x1 < width + 0.01 and drawn.y1 < height + 0.01


def comparison():
    rows = [comparison_row(size, reference_costs=[0.7, 0.6]) for size in (1, 32, None)]
    return Comparison(800_000, 200_000, 1000, "float32", 20, 0.0123, 16, rows)


def test_nothing_is_cut_off_and_curves_differ_in_grey():
    import matplotlib.pyplot as plt

    X, Y = make_data(60, 3)
    fitted = MiniBatchLogisticRegression(max_iter=4, random_state=0).fit(X, Y[0], eval_set=(X, Y[0]))
    named = Given(np.arange(60).reshape(2, 30)[:1], ["a", "b"])
    named.feature_names_in_ = [f"a rather long name of feature number {j}" for j in range(30)]
    drawn = [
        plots.plot_costs({f"learning rate {rate}": [0.7, 0.5 / rate] for rate in (1, 2, 3, 4)}, record_every=1),
        plots.plot_history(fitted.history_),
        plots.plot_range_test([0.1, 1, 10], [0.7, 0.5, 2], 0.1),
        plots.plot_comparison(comparison()),
        plots.plot_coefficients(named, top=30),
    ]
    try:
        for ax in drawn:
            assert is_whole(ax)
        drawn[0].set_ylabel("\n" * 99 + "too far")
        drawn[0].figure.set_layout_engine("none")
        assert not is_whole(drawn[0])
        assert len({line.get_linestyle() for line in drawn[0].lines}) == 4
        assert len({line.get_linestyle() for line in drawn[1].lines}) == 2
        assert len({line.get_marker() for line in drawn[3].lines[:3]}) == 3
        assert drawn[4].figure.get_figheight() > drawn[0].figure.get_figheight()  # 30 names need more
        for ax in drawn[:2]:
            assert [tick for tick in ax.get_xticks() if tick % 1] == []  # iterations are whole
    finally:
        plt.close("all")


def test_growth_is_drawn_as_part_of_the_bound():
    ax = axes()
    plot_growth(comparison(), ax)
    assert [line.get_label() for line in ax.lines] == ["1", "32", "full", "bound"]
    assert ax.lines[0].get_xdata().tolist() == [1, 2]
    assert ax.lines[0].get_ydata().tolist() == pytest.approx([1e-6, 1e-15 / 2e-12])  # no difference: the least


def test_the_ladder_shows_rates_under_the_bandwidth():
    given = comparison()
    ax = axes()
    plot_ladder(given, ax)
    curves = {line.get_label(): list(line.get_ydata()) for line in ax.lines}
    size = 1.5 * 0.125  # GB of X
    assert curves["NumPy"] == [size / 0.5] * 3
    assert curves["one thread"] == [size / 0.25] * 3
    assert curves["16 threads"] == [size / 0.125] * 3
    assert curves["bandwidth, 16 threads"] == [5.0, 5.0]
    assert curves["bandwidth, one thread"] == [2.5, 2.5]
    assert "on a copy (packed)" not in curves
    packed = replace(given, rows=[*given.rows[:2], replace(given.rows[2], unpacked_seconds=0.2)])
    ax = axes()
    plot_ladder(packed, ax)
    curves = {line.get_label(): list(line.get_ydata()) for line in ax.lines}
    assert curves["on a copy (packed)"][2] == size / 0.125
    assert curves["16 threads"] == [size / 0.125, size / 0.125, size / 0.2]


def test_a_comparison_is_two_curves_for_each_batch_size():
    ax = plots.plot_comparison(comparison(), axes())
    assert [list(line.get_ydata()) for line in ax.lines[:3]] == [[0.7, 0.5]] * 3
    assert [list(line.get_ydata()) for line in ax.lines[3:6]] == [[0.7, 0.6]] * 3
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["1", "32", "full", "reference"]
    assert [a.get_color() == b.get_color() for a, b in zip(ax.lines[:3], ax.lines[3:6], strict=True)] == [True] * 3


def test_costs_of_mini_batches_are_called_running_means():
    both = comparison()
    assert "of mini-batches the running mean" in plots.plot_comparison(both, axes()).get_ylabel()
    batch = replace(both, rows=both.rows[2:])
    assert plots.plot_comparison(batch, axes()).get_ylabel() == "cost J (mean loss over the pass, nats)"
