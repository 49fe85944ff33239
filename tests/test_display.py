"""Results as tables of text and HTML, and what a notebook shows of an estimator."""

from __future__ import annotations

import pickle
from html.parser import HTMLParser
from typing import NamedTuple

import numpy as np
import pytest
import sklearn
from conftest import comparison_row, make_data
from sklearn.base import clone
from sklearn.utils.fixes import parse_version

from jitlogit import LogisticRegression, LogisticRegressionCV, MiniBatchLogisticRegression
from jitlogit.tools.comparing.comparison import Comparison, Differences
from jitlogit.tools.display import Table, shown_as_table
from jitlogit.tools.learning_rate import RangeTest


class Cells(HTMLParser):
    """The text of each cell, row by row, and the caption; fails at a tag that isn't closed in order."""

    def __init__(self, html):
        super().__init__()
        self.rows, self.caption, self._open = [], "", []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] in ("th", "td"):
            self.rows[-1][-1] += data
        if self._open and self._open[-1] == "caption":
            self.caption += data


def comparison(*rows):
    return Comparison(96, 24, 3, "float64", 2, 0.01, 2, list(rows))


def test_columns_line_up():
    table = Table("A title", {"feature": ["a", "long name"], "value": ["1.25", "-10.50"]}, words=["feature"])
    assert table.text().splitlines() == [
        "A title",
        "",
        "feature     value",
        "---------  ------",
        "a            1.25",
        "long name  -10.50",
    ]


def test_a_column_without_cells_is_left_out():
    columns = {"n": ["1", "2"], "note": ["", ""]}
    assert "note" not in Table("t", columns).text()
    assert Cells(Table("t", columns).html()).rows == [["n"], ["1"], ["2"]]
    assert Table("t", {"n": []}).text().splitlines() == ["t", "", "n", "-"]  # no rows, but the names stand


def test_html_holds_the_same_cells_escaped():
    table = Table("<b>a & b</b>", {"<script>": ["</td><td>", '"x"'], "value": ["1", "2"]})
    html = table.html()
    assert "<script>" not in html
    found = Cells(html)
    assert found.caption == "<b>a & b</b>"
    assert found.rows == [["<script>", "value"], ["</td><td>", "1"], ['"x"', "2"]]
    for word in ("color", "class=", "<style"):  # light and dark pages show it as they show their own text
        assert word not in html


def test_any_result_takes_one_line():
    @shown_as_table
    class Interval(NamedTuple):
        low: float
        high: float

        def table(self):
            return Table("interval", {"low": [f"{self.low:.1f}"], "high": [f"{self.high:.1f}"]})

    result = Interval(1.0, 2.0)
    assert repr(result) == str(result) == "interval\n\nlow  high\n---  ----\n1.0   2.0"
    assert Cells(result._repr_html_()).rows == [["low", "high"], ["1.0", "2.0"]]
    assert tuple(result) == (1.0, 2.0)


def test_a_comparison_is_two_tables_and_a_verdict():
    nothing = float("nan")
    apart = [Differences(2, nothing, nothing, nothing)]
    diverged = {
        "diverged": True,
        "reference_diverged": True,
        "differences": apart,
        "fast_cost": 123456.7,
        "test_accuracy": float("nan"),
    }
    result = comparison(comparison_row(), comparison_row(None, **diverged))
    lines = str(result).splitlines()
    assert lines[0] == result.title
    assert " ".join(lines[6].split()) == "32 0.50000 0.12500 4.0x [3.5-4.2] 8.00 1.50 30%"
    agreement = "0.250000 1.0e-16 (1e-12) 1.0e-15 (2e-12) 1.0e-17 (3e-12) 0.9000 0.8750 OK"
    assert " ".join(lines[13].split()) == f"32 {agreement}"
    assert lines[14].split()[1] == "123457"
    assert lines[14].split()[-2:] == ["nan", "diverged"]
    assert lines[-1].startswith("OK: NumPy and kernels agree at 1 of 2 batch sizes (others diverged or are unstable)")
    html = result._repr_html_()
    words = [" ".join(cells).split() for cells in Cells(html).rows]
    assert words[1:3] + words[4:6] == [line.split() for line in lines[6:8] + lines[13:15]]
    assert lines[-1] in html
    assert str(pickle.loads(pickle.dumps(result))) == str(result)
    assert len(repr(result.rows[0]).splitlines()) == 1
    assert "fast_seconds=0.125" in repr(result.rows[0])
    assert "costs=" not in repr(result.rows[0])  # a value an epoch, which may be thousands


def test_a_range_test_is_a_table_of_some_rates():
    losses = np.concatenate([np.linspace(0.7, 0.1, 70), [0.5, 0.9]])
    rates = np.geomspace(1e-4, 1, 72)
    result = RangeTest(rates, losses, rates[69] / 10)
    rows = [line.split() for line in str(result).splitlines()[4:]]
    assert len(rows) == 11  # every eighth of 72, the last, and the lowest
    assert [row for row in rows if row[-1] == "lowest"] == [[f"{rates[69]:.3g}", "0.1000", "lowest"]]
    assert rows[0] == ["0.0001", "0.7000"]
    assert rows[-1] == ["1", "0.9000"]
    assert str(result).startswith(f"suggested learning rate {rates[69] / 10:.3g}")
    assert Cells(result._repr_html_()).rows[1] == ["0.0001", "0.7000", ""]
    assert len(RangeTest(rates[:1], losses[:1], 1e-5).table().columns["note"]) == 1
    assert tuple(result) == (result.rates, result.losses, result.suggested)


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (MiniBatchLogisticRegression(max_iter=2), "coef_ intercept_ n_iter_ loss_ learning_rate_ batch_size_"),
        (LogisticRegression(), "coef_ intercept_ n_iter_ objective_ optimality_gap_ converged_"),
        (LogisticRegressionCV(Cs=2, cv=2), "coef_ intercept_ C_ scores_ converged_"),
    ],
)
def test_html_of_an_estimator_says_whether_it_is_fitted(model, names):
    X, Y = make_data(60, 3)
    model = clone(model)
    before = model._repr_html_()
    assert "<span>Not fitted</span>" in before
    after = model.fit(X, Y[0])._repr_html_()
    assert "<span>Fitted</span>" in after
    assert "<span>Not fitted</span>" in clone(model)._repr_html_()
    for name in names.split():
        assert hasattr(model, name)
        if parse_version(sklearn.__version__) >= parse_version("1.9"):  # which lists fitted attributes
            assert f">{name}<" in after
            assert f">{name}<" not in before


def test_the_loss_is_that_of_the_last_epoch():
    X, Y = make_data(60, 3)
    model = MiniBatchLogisticRegression(max_iter=3, random_state=0).fit(X, Y[0])
    assert model.loss_ == model.history_["loss"][-1]
    model.partial_fit(X, Y[0])
    assert model.loss_ == model.history_["loss"][-1]
