"""The verdicts of a comparison, how contestants take turns, rivals, and the page."""

from __future__ import annotations

import math
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
from conftest import JIT_OFF, comparison_row, make_data, slow_without_jit

import jitlogit
from jitlogit.compiler.threads import max_threads
from jitlogit.tools import cli
from jitlogit.tools.comparing import compare as tool
from jitlogit.tools.comparing import turns
from jitlogit.tools.comparing.comparison import Comparison, Differences, RivalRow
from jitlogit.tools.comparing.rivals import RIVALS, compare_rival
from jitlogit.tools.comparing.turns import Ratio

pytestmark = pytest.mark.usefixtures("few_rounds")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


#: Differences of fits that have nothing in common.
APART = {"differences": [Differences(2, 1.0, 1.0, 1.0)]}


def comparison(*rows, **changes):
    return replace(Comparison(96, 24, 3, "float64", 2, 0.01, 2, list(rows)), **changes)


def wrong_sign(W, b, costs):
    return -W, b, costs


def wrong_weight(W, b, costs):
    W = W.copy()
    W[1] *= 1 + 1e-9
    return W, b, costs


def wrong_bias(W, b, costs):
    return W, b + 1e-9, costs


def wrong_cost(W, b, costs):
    return W, b, [costs[0], costs[1] * (1 + 1e-9)]


def nothing_finite(W, b, costs):
    return W * np.nan, b, costs


def one_epoch_less(W, b, costs):
    return W, b, costs[:1]


@pytest.mark.parametrize(
    "plant",
    [wrong_sign, wrong_weight, wrong_bias, wrong_cost, nothing_finite, one_epoch_less],
    ids=lambda f: f.__name__,
)
def test_a_planted_error_is_not_ok_and_ends_with_1(plant, data, tmp_path, monkeypatch, capsys):
    np.savez(tmp_path / "set.npz", X=data[0], y=data[1])
    words = ["compare", "--data", str(tmp_path / "set.npz"), "--batch-sizes", "16,full", "--epochs", "2"]
    assert cli.main(words) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("OK: ")
    train = tool.textbook.train_logistic_regression

    def planted(*arguments, batch_size, **options):
        result = train(*arguments, batch_size=batch_size, **options)
        return plant(*result) if batch_size == 16 and options["num_iterations"] == 2 else result

    monkeypatch.setattr(tool.textbook, "train_logistic_regression", planted)
    assert cli.main(words) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "NOT OK: results differ by more than their bounds, see batch size 16."
    assert [line.endswith("  NOT OK") for line in lines[13:15]] == [True, False]


def test_a_fit_that_diverges_alone_is_not_ok():
    assert comparison_row(diverged=True).verdict == "NOT OK"
    assert comparison_row(reference_diverged=True).verdict == "NOT OK"
    both = comparison_row(diverged=True, reference_diverged=True)
    assert both.verdict == "OK"
    assert "OK (diverged)" in str(comparison(both))
    assert replace(both, **APART).verdict == "diverged"
    assert comparison_row(**APART, unstable=True).verdict == "unstable"
    assert comparison_row(**APART).verdict == "NOT OK"


@pytest.mark.parametrize("name", ["cost", "weights", "bias"])
@pytest.mark.parametrize(("size", "verdict"), [(1.0, "OK"), (1.001, "NOT OK"), (math.nan, "NOT OK")])
def test_each_difference_must_keep_its_bound(name, size, verdict):
    row = comparison_row()
    end = row.differences[-1]._replace(**{name: size * getattr(row.bounds, name)})
    assert replace(row, differences=[row.differences[0], end]).verdict == verdict


def test_the_worst_verdict_is_that_of_the_comparison():
    fine, wrong = comparison_row(), comparison_row(diverged=True)
    told = comparison_row(1, unstable=True, **APART)
    assert [comparison(*rows).verdict for rows in ([fine, told], [told], [told, wrong, fine])] == [
        "OK",
        "NOT JUDGED",
        "NOT OK",
    ]
    assert comparison(fine, comparison_row(None, speedups=Ratio(120.4, 1, 2))).conclusion == (
        "OK: NumPy and kernels agree at 2 of 2 batch sizes; kernels are 4.0 to 120 times as fast."
    )
    assert comparison(fine).conclusion.endswith("; kernels are 4.0 times as fast.")


@slow_without_jit
def test_fits_in_which_rounding_errors_grow_are_not_judged():
    """Steps on single long rows overshoot: the reference, too, ends elsewhere if its rate changes by a rounding."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((96, 100)) + 2, rng.random(96) < 0.5
    (row,) = jitlogit.compare(X, Y, batch_sizes=[1], epochs=30, learning_rate=0.1, test_size=0).rows
    assert not row.differences[-1].keep(row.bounds)
    assert not row.diverged
    assert row.verdict == "unstable"
    assert comparison(row).verdict == "NOT JUDGED"


@pytest.mark.parametrize(("epochs", "words"), [(1, "1 epoch,"), (2, "2 epochs,")])
def test_the_title_counts_epochs(epochs, words):
    title = Comparison(80, 20, 3, "float32", epochs, 0.01, 2, rows=[]).title
    assert words in title


def test_differences_are_those_of_fits_of_more_and_more_epochs(data):
    (row,) = jitlogit.compare(*data, batch_sizes=[16], epochs=4).rows
    assert [each.epochs for each in row.differences] == [1, 3, 4]
    assert tool._fewer(1) == []
    assert tool._fewer(31) == [1, 3, 10, 30]


def test_bounds_are_by_the_size_of_what_is_compared(data):
    X, Y = data
    W, b = np.array([[3.0], [-4.0], [1.0]]), -0.5
    bounds = tool._bounds(tool._Data(X, Y, X[:0], Y[:0]), (W, b, [0.7]))
    assert bounds.weights == 4e-12
    assert bounds.bias == pytest.approx(1e-12 * np.mean(np.abs(X @ W + b)))
    assert bounds.cost >= 1e-12
    half = X.astype(np.float16)
    assert tool._bounds(tool._Data(half, Y, X[:0], Y[:0]), (W, b, [0.7])).weights == 8e-5


def test_contestants_run_in_turn(monkeypatch):
    monkeypatch.setattr(turns, "_LEAST_ROUNDS", 3)
    ran = []

    def contestant(name):
        return lambda: ran.append(name) or float(len(ran))

    seconds = turns.in_turn({"a": contestant("a"), "b": contestant("b")})
    assert ran == ["a", "b"] * 3
    assert seconds == {"a": [1.0, 3.0, 5.0], "b": [2.0, 4.0, 6.0]}
    monkeypatch.setattr(turns, "_SECONDS", 100)
    assert len(turns.in_turn({"a": contestant("a")})["a"]) == 9


def test_ratios_are_of_the_same_round():
    ratio = Ratio.of([1.0, 10.0, 4.0], [0.5, 2.0, 1.0])
    assert ratio == (4.0, 2.0, 5.0)
    assert str(ratio) == "4.0x [2.0-5.0]"
    assert str(Ratio(410.4, 99.6, 500.2)) == "410x [100-500]"


@pytest.mark.parametrize("dtype", ["float64", "uint8", "bool"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_reading_takes_time_by_size_for_any_layout(dtype, order, monkeypatch):
    monkeypatch.setattr(turns, "_LEAST_BYTES", 2e6)
    small, large = (np.ones((size, 10), dtype, order=order) for size in (1, 200_000))  # one number of 64 bits for two
    threads = min(2, max_threads())
    assert 0 < turns.read_seconds(small, threads) < turns.read_seconds(large, threads)


def test_a_long_reference_is_repeated_on_a_part_of_the_rows(data, monkeypatch):
    X, Y = data[0][:96], data[1][:96]
    seen = []
    fits = tool._Fits(tool._Data(X, Y, X[:0], Y[:0]), 16, {"learning_rate": 0.1, "num_iterations": 2}, None)
    monkeypatch.setattr(fits, "reference", lambda rows: seen.append(rows) or (None, 0.0, [0.7, 0.6]))
    assert fits.seconds(4.0)["numpy"][0] == 2.0  # of two epochs, the whole fit
    assert set(seen) == {16}  # 96 / 8, but at least a batch
    seen.clear()
    monkeypatch.setattr(tool, "_epoch_seconds", lambda fit: float(bool(fit())))
    assert fits.seconds(1.0)["numpy"] == [0.5, 2.0]  # in proportion: 96 / 48 of a second
    assert set(seen) == {48}  # whole batches of 96 / 2
    seen.clear()
    fits.seconds(0.1)
    assert set(seen) == {96}


def test_narrow_rows_are_timed_without_their_copy_too():
    X, Y = make_data(400, 4, np.float32)
    rows = jitlogit.compare(X, Y, batch_sizes=[32, None], epochs=16).rows
    assert [row.unpacked_seconds is not None for row in rows] == [False, True]
    assert [row.verdict for row in rows] == ["OK", "OK"]


@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [1, 16, None])
def test_rivals_make_the_same_updates(name, dtype, batch_size):
    state = np.random.get_state()  # noqa: NPY002
    pytest.importorskip(RIVALS[name].module)
    X, Y = make_data(120, 3, dtype)
    options = {"learning_rate": 0.1, "num_iterations": 3}
    row = compare_rival(name, X, Y[0].astype(np.uint8), batch_size, options, None)
    np.random.set_state(state)  # noqa: NPY002  JAX draws from it when it is imported
    assert row.verdict == "OK"
    assert row.rival_version
    assert row.rival_seconds > 0


def test_a_rival_with_other_results_is_not_ok(data, monkeypatch, tmp_path, capsys):
    def make(X, y, batch_size, rate):
        epoch = RIVALS["sklearn"].make(X, y, batch_size, rate)
        return lambda: (epoch()[0] * (1 + 1e-5), epoch()[1])

    monkeypatch.setitem(RIVALS, "jax", RIVALS["sklearn"]._replace(make=make))
    np.savez(tmp_path / "set.npz", X=data[0], y=data[1])
    words = ["compare", "--data", str(tmp_path / "set.npz"), "--batch-sizes", "16", "--epochs", "2"]
    assert cli.main([*words, "--rivals", "sklearn"]) == 0
    out = capsys.readouterr().out
    assert "Rivals: " in out
    assert cli.main([*words, "--rivals", "sklearn", "jax"]) == 1
    out = capsys.readouterr().out
    assert out.splitlines()[-1].endswith("see jax at batch size 16.")


def test_a_rival_that_is_missing_or_unknown_is_named(data, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"the rival torch isn't installed: pip install 'jitlogit\[bench\]'"):
        jitlogit.compare(*data, rivals=["torch"])
    assert cli.main(["compare", "--rivals", "torch"]) == 2
    assert "jitlogit[bench]" in capsys.readouterr().err
    for names in (["keras"], "sklearn"):
        with pytest.raises(ValueError, match=r"rivals must be a list of names among sklearn, torch, jax; got "):
            jitlogit.compare(*data, rivals=names)


def test_a_rival_where_the_kernels_diverge_is_not_judged(data):
    options = {"learning_rate": 1e9, "num_iterations": 1}
    row = compare_rival("sklearn", data[0] * 1e6, data[1].astype(np.uint8), 16, options, None)
    assert row.verdict == "diverged"


RIVAL = RivalRow(
    32, False, "sklearn", "1.9", 0.5, 0.1, Ratio(5, 4, 6), Differences(1, 0, 1e-9, 1e-9), Differences(1, 0, 1e-8, 1e-8)
)


def test_the_page_holds_the_tables_and_pictures_and_nothing_from_elsewhere(data, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    np.savez(tmp_path / "set.npz", X=data[0], y=data[1])
    page = tmp_path / "page.html"
    words = ["compare", "--data", str(tmp_path / "set.npz"), "--batch-sizes", "16", "--epochs", "2"]
    assert cli.main([*words, "--html", str(page)]) == 0
    text = page.read_text()
    last = capsys.readouterr().out.splitlines()[-1]
    assert last in text
    assert text.count("<svg") == 3
    assert "src=" not in text
    assert "@import" not in text
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert cli.main([*words, "--html", str(page)]) == 2
    assert "jitlogit[plot]" in capsys.readouterr().err


@pytest.mark.browser
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
@pytest.mark.skipif(JIT_OFF, reason="a browser doesn't need to be started twice")
def test_the_page_in_a_browser(tmp_path):
    """Nothing is fetched, nothing goes wrong, and nothing is wider than the window, of a desktop or a telephone."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra browser")
    pytest.importorskip("matplotlib")
    rows = [comparison_row(size) for size in (1, 32, 256, 4096, None)]
    comparison(*rows, rivals=[RIVAL]).save(tmp_path / "page.html")
    url, said, fetched = (tmp_path / "page.html").as_uri(), [], []
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        for width in (1280, 400):
            tab = chromium.new_page(viewport={"width": width, "height": 900})
            tab.on("console", lambda message: said.append(message.text))
            tab.on("pageerror", lambda error: said.append(str(error)))
            tab.on("request", lambda request: fetched.append(request.url))
            tab.goto(url)
            assert tab.evaluate("document.documentElement.scrollWidth") == width
            boxes = [each.bounding_box() for each in tab.locator("svg").all()]
            assert len(boxes) == 3
            assert all(box["width"] > 330 and box["height"] > 250 for box in boxes)
            assert len({box["y"] for box in boxes}) == (1 if width == 1280 else 3)  # side by side, or one below another
            cells = tab.locator("td").all()
            assert len(cells) == 5 * (7 + 8) + 8
            assert all(cell.bounding_box()["x"] + cell.bounding_box()["width"] <= width for cell in cells)
            assert tab.locator("text=OK: NumPy and kernels agree at 5 of 5 batch sizes").is_visible()
            assert tab.locator("th").first.is_visible() == (width == 1280)
            tab.screenshot(path=tmp_path / f"{width}.png", full_page=True)
        chromium.close()
    assert said == []
    assert all(each.startswith((url, "data:")) for each in fetched), fetched
