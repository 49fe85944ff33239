"""The main job: both side by side, as data, as a table, as a picture."""

from __future__ import annotations

import json
import runpy
import sys

import numpy as np
import pytest
from conftest import slow_without_jit
from sklearn.datasets import load_breast_cancer

import jitlogit
from jitlogit import plots, reference
from jitlogit.reference import DIVERGED_COST
from jitlogit.tools import cli
from jitlogit.tools.comparing import compare as tool
from jitlogit.tools.comparing.compare import generate_data

pytestmark = pytest.mark.usefixtures("few_rounds")
QUICK = ["--batch-sizes", "16,full", "--epochs", "2"]


def run(capsys, *words):
    status = cli.main(["compare", *map(str, words)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_compare_returns_what_both_did(data):
    X, Y = data
    lines = []
    result = jitlogit.compare(X, Y, batch_sizes=[16, None], epochs=4, learning_rate=0.2, on_progress=lines.append)
    assert (result.n_train, result.n_test, result.n_features, result.dtype) == (96, 24, 3, "float64")
    assert [row.batch_label for row in result.rows] == ["16", "full"]
    order = np.random.default_rng(0).permutation(120)
    test, training = order[:24], order[24:]
    for row in result.rows:
        options = {"batch_size": row.batch_size, "random_state": 0}
        W, b, _ = reference.train_logistic_regression(X[training], Y[training], 0.2, 4, **options)
        assert row.reference_seconds > 0
        assert row.fast_seconds > 0
        assert row.reference_cost == pytest.approx(row.fast_cost, rel=1e-12)
        assert row.largest_weight_difference < 1e-13
        assert row.reference_costs == pytest.approx(row.fast_costs, rel=1e-12)
        assert len(row.fast_costs) == 4
        assert row.train_accuracy == reference.accuracy(reference.predict(X[training], W, b), Y[training])
        assert row.test_accuracy == reference.accuracy(reference.predict(X[test], W, b), Y[test])
    assert lines[0] == "[1/2] batch size 16: compiling"


def test_rates_and_speedup_are_by_the_seconds_of_an_epoch(data, monkeypatch):
    seconds = {"numpy": [3.0, 6.0, 3.0], "numba": [1.0, 1.0, 2.0], "one thread": [2.0] * 3}
    monkeypatch.setattr(tool, "in_turn", lambda _: seconds | {"read": [0.5] * 3, "read by one": [0.75] * 3})
    result = jitlogit.compare(*data, batch_sizes=[None], epochs=4)
    (row,) = result.rows
    assert (row.reference_seconds, row.fast_seconds, row.one_thread_seconds) == (3.0, 1.0, 2.0)
    assert row.speedups == (3.0, 1.5, 6.0)  # the median ratio of the rounds, the least and the largest
    assert row.bandwidth_share == 0.5
    assert row.rows_per_second == 96
    assert row.gigabytes_per_second == pytest.approx(96 * 3 * 8 / 1e9)
    assert row.bandwidth == pytest.approx(2 * row.gigabytes_per_second)
    assert "3.0x [1.5-6.0]" in str(result)
    read = json.loads(json.dumps(result.to_dict(), allow_nan=False))["rows"][0]
    assert read["speedup"] == 3.0
    assert read["speedups"] == {"median": 3.0, "least": 1.5, "largest": 6.0}


def test_compare_leaves_its_input_alone_and_splits_alike(data):
    X, Y = data
    copy = X.copy()
    first, second = (jitlogit.compare(X, Y, batch_sizes=[8], epochs=1, standardize=True) for _ in range(2))
    assert first.rows[0].fast_cost == second.rows[0].fast_cost
    assert np.array_equal(X, copy)


def test_compare_options(data):
    X, Y = data
    result = jitlogit.compare(X, Y, batch_sizes=[None], epochs=1, dtype="float32", test_size=0, n_threads=1)
    assert (result.dtype, result.n_train, result.n_test, result.n_threads) == ("float32", 120, 0, 1)
    assert np.isnan(result.rows[0].test_accuracy)
    scaled = jitlogit.compare(X * 1e4 + 5e5, Y, batch_sizes=[None], epochs=50, learning_rate=1.0, standardize=True)
    assert scaled.rows[0].fast_cost < 0.6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "epochs"),
        ({"learning_rate": -1}, "learning_rate"),
        ({"test_size": 1}, "test_size=1 leaves no training rows"),
        ({"test_size": 2}, "test_size must lie between 0 and 1"),
        ({"batch_sizes": []}, "batch_sizes must hold batch sizes"),
        ({"batch_sizes": 8}, "batch_sizes must hold batch sizes .* got 8"),
        ({"dtype": "int32"}, "dtype must be float32 or float64; got 'int32'"),
        ({"random_state": -1}, "random_state must be"),
        ({"batch_sizes": [0]}, "batch_size must be an integer of at least 1; got 0"),
        ({"Y": None}, "X was given without Y"),
        ({"X": None}, "Y was given without X"),
    ],
)
def test_compare_bad_arguments(data, arguments, message):
    with pytest.raises(ValueError, match=message):
        jitlogit.compare(**({"X": data[0], "Y": data[1]} | arguments))


def test_compare_names_the_place_of_a_nan(data):
    X, Y = data
    X[7, 2] = np.nan
    with pytest.raises(ValueError, match=r"X must be finite, without NaN and inf; X\[7, 2\] is nan"):
        jitlogit.compare(X, Y, standardize=True)


def test_compare_needs_a_seed(data):
    with pytest.raises(TypeError, match="random_state must be an integer"):
        jitlogit.compare(*data, random_state=None)


def test_compare_clips_batch_sizes_aloud_and_once(data):
    with pytest.warns(UserWarning, match="clipped to 96"):
        result = jitlogit.compare(*data, batch_sizes=np.array([16, 200, 300]), epochs=1)
    assert [row.batch_size for row in result.rows] == [16, 96]


def test_compare_counts_the_epochs_that_a_diverging_fit_ran(data):
    X, Y = data
    with pytest.warns(RuntimeWarning, match="diverged") as caught:
        result = jitlogit.compare(X * 1e3, Y, batch_sizes=[None], epochs=5000, learning_rate=1e4)
    (row,) = result.rows
    assert row.diverged
    assert len(row.fast_costs) < 10
    assert row.rows_per_second == pytest.approx(96 / row.fast_seconds)
    assert row.verdict == "OK"  # both ran as far, to the same numbers
    assert row.fast_seconds > 1e-6  # not divided by epochs that never ran
    assert len(caught) == 2  # the reference and the kernels, once each


def test_compare_marks_what_diverged_in_the_last_epoch_and_shows_its_cost():
    X, y = load_breast_cancer(return_X_y=True)
    with pytest.warns(RuntimeWarning, match="diverged in iteration 2") as caught:
        (row,) = jitlogit.compare(X, y, batch_sizes=[None], epochs=3).rows
    assert row.diverged
    assert len(row.fast_costs) == 3
    assert row.fast_cost > DIVERGED_COST  # and not the 36 nats at which rounded probabilities end
    assert row.reference_cost == pytest.approx(row.fast_cost, rel=1e-9)
    assert [warning.filename for warning in caught] == [__file__, __file__]


def test_compare_marks_what_ended_above_where_it_began(data):
    X, Y = data
    with pytest.warns(RuntimeWarning, match="training ended at a cost"):
        result = jitlogit.compare(X * 10, Y, batch_sizes=[None], epochs=5, learning_rate=10.0)
    assert result.rows[0].diverged


def test_costs_that_overflow_are_shown_and_written(data, tmp_path, capsys):
    np.savez(tmp_path / "set.npz", X=data[0][:, :1] * 1e200, y=data[1])
    words = "--data", tmp_path / "set.npz", *QUICK, "--learning-rate", "1", "--json", tmp_path / "result.json"
    status, out, _ = run(capsys, *words)
    assert status == 2  # nothing could be told
    assert out.count("diverged\n") == 2
    assert out.splitlines()[-1].startswith("NOT JUDGED: all fits diverged or are unstable")
    assert json.loads((tmp_path / "result.json").read_text())["rows"][0]["fast_cost"] is None


def test_bytes_are_standardized_as_floats():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (120, 3), np.uint8)
    options = {"batch_sizes": [None], "epochs": 50, "learning_rate": 1.0, "standardize": True}
    result, same = (jitlogit.compare(rows, X[:, 0] > 100, **options) for rows in (X, X.astype(np.float32)))
    assert result.dtype == "float32"
    assert result.rows[0].fast_costs == same.rows[0].fast_costs
    assert result.rows[0].fast_cost < 0.3


def test_constant_columns_standardize_to_zero():
    X = np.column_stack([np.full(50, 0.1), np.arange(50.0)])
    result = jitlogit.compare(X, X[:, 1] > 25, batch_sizes=[None], epochs=50, learning_rate=1.0, standardize=True)
    assert result.rows[0].fast_cost < 0.3


@slow_without_jit
def test_generated_data_follow_a_logistic_model():
    X, Y = generate_data(np.random.default_rng(0), 4000, 5)
    assert X.dtype == np.float32
    W, b, _ = jitlogit.train_logistic_regression(X, Y, 1.0, 200)
    assert 0.7 < jitlogit.accuracy(jitlogit.predict(X, W, b), Y) < 0.99


def test_table_json_and_plot(data, tmp_path, capsys):
    np.savez(tmp_path / "set.npz", X=data[0], y=data[1])
    status, out, err = run(
        capsys, "--data", tmp_path / "set.npz", *QUICK, "--json", tmp_path / "r.json", "--plot", tmp_path / "c.png"
    )
    assert status == 0
    lines = out.splitlines()
    assert lines[0].startswith("96 x 3 float64 (24 test rows), 2 epochs")
    assert [line.split()[0] for line in lines[6:8] + lines[13:15]] == ["16", "full"] * 2
    assert [line.split()[-1] for line in lines[13:15]] == ["OK", "OK"]
    assert lines[-1].startswith("OK: NumPy and kernels agree at 2 of 2 batch sizes")
    assert max(map(len, lines)) <= 100
    assert "NumPy reference" in err
    result = json.loads((tmp_path / "r.json").read_text())
    assert [row["batch_size"] for row in result["rows"]] == [16, None]
    assert {"python", "numpy", "numba"} <= result["versions"].keys()
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_npy_with_labels(data, tmp_path, capsys):
    np.save(tmp_path / "X.npy", data[0])
    np.save(tmp_path / "y.npy", np.where(data[1], "spam", "ham"))
    status, _, err = run(capsys, "--data", tmp_path / "X.npy", "--labels", tmp_path / "y.npy", *QUICK)
    assert status == 0
    assert "labels: 0 is ham, 1 is spam" in err


@pytest.mark.parametrize(
    ("header", "target", "words"),
    [("", None, "10"), ("a,b,c,y\n", None, "10"), ("y,a,b,c\n", "y", "no yes"), ("", "0", "no yes"), ("", "-4", "2 1")],
)
def test_csv(header, target, words, data, tmp_path, capsys):
    X, Y = data
    names = words.split() if " " in words else list(words)[::-1]
    columns = [[f"{value}" for value in column] for column in X.T]
    labels = [names[label] for label in Y]
    columns.insert(0 if target else 3, labels)
    text = header + "".join(",".join(row) + "\n" for row in zip(*columns, strict=True))
    (tmp_path / "set.csv").write_text(text)
    target = ["--target", target] if target else []
    status, out, _ = run(capsys, "--data", tmp_path / "set.csv", *target, *QUICK)
    assert status == 0
    np.savez(tmp_path / "set.npz", X=X, y=Y if sorted(names) == names else 1 - Y)
    _, expected, _ = run(capsys, "--data", tmp_path / "set.npz", *QUICK)
    agreement = [text[text.index("Agreement") :].splitlines()[:-1] for text in (out, expected)]
    assert agreement[0] == agreement[1]


@pytest.mark.parametrize(
    ("name", "content", "words", "message"),
    [
        ("a.csv", "1,x,0\n2,y,1\n", [], "column 1 holds 'x' in row 1, which is not a number"),
        ("a.csv", "u,v,w\n1,x,0\n2,y,1\n", [], "column 'v' holds 'x' in row 1"),
        ("a.csv", "1,2,0\n2,3\n", [], "row 2 has 2 columns, the first 3"),
        ("a.csv", "1,2,0\n2,3,1\n3,4,2\n", [], "the labels must be of two classes; found 3: 0.0, 1.0, 2.0"),
        ("a.csv", "1,2,0\n2,3,1\n", ["--target", "7"], "--target 7 is not a column: the file has 3"),
        ("a.csv", "1,2,0\n2,3,1\n", ["--target", "age"], "the file has no header, so give a position"),
        ("a.csv", "u,v,w\n1,2,0\n2,3,1\n", ["--target", "age"], "the columns are u, v, w"),
        ("a.csv", "", [], "is empty"),
        ("a.csv", "x,NA,0\n1,2,1\n", ["--target", "2"], "column 0 holds 'x' in row 1"),
        ("a.csv", "1,2,0\n" + "9" * 200_000 + ",3,1\n", [], "is not a readable CSV file"),
        ("a.npz", "not an archive", [], "is not a readable .npz file"),
        ("a.npz", "", ["--target", "y"], "--target goes with --data FILE.csv"),
        ("a.csv", "1,2,0\n2,3,1\n", ["--plot", "c.xyz"], "c.xyz is not the name of a picture"),
        ("a.csv", "1,2,0\n2,3,1\n", ["--html", "c.txt"], "--html must name a file that ends in .html; got c.txt"),
        ("a.parquet", "", [], "expected .npz, .npy or .csv"),
        ("a.npy", "", [], "goes with --labels FILE"),
        (
            "a.csv",
            "1,2,0\n2,3,1\n",
            ["--plot", "/nowhere/at/all.png"],
            "the folder of /nowhere/at/all.png doesn't exist",
        ),
        ("a.csv", "1,2,0\n2,nan,1\n", ["--test-size", "0"], r"must be finite"),
        ("a.csv", "1,2,0\n2,3,1\n", ["--threads", "10000"], "n_threads=10000 is more than"),
    ],
)
def test_bad_files_and_words(name, content, words, message, tmp_path, capsys):
    (tmp_path / name).write_text(content)
    status, out, err = run(capsys, "--data", tmp_path / name, *words)
    assert status == 2
    assert out == ""
    assert "jitlogit: error: " in err
    assert message in err


def test_missing_file(tmp_path, capsys):
    status, _, err = run(capsys, "--data", tmp_path / "none.npz")
    assert status == 2
    assert "No such file" in err


def test_words_without_their_file(tmp_path, capsys):
    assert run(capsys, "--labels", "y.npy")[0] == 2
    assert run(capsys, "--target", "y")[0] == 2


def test_a_file_that_is_not_what_its_name_says(tmp_path, capsys):
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, [1.0])
    status, _, err = run(capsys, "--data", tmp_path / "a.npz")
    assert (status, "it holds a ndarray" in err) == (2, True)


def test_no_test_rows_make_valid_json(data, tmp_path, capsys):
    np.savez(tmp_path / "set.npz", X=data[0], y=data[1])
    words = ["--data", tmp_path / "set.npz", *QUICK, "--test-size", "0", "--json", tmp_path / "r.json"]
    assert run(capsys, *words)[0] == 0
    assert "NaN" not in (tmp_path / "r.json").read_text()


def test_a_byte_order_mark_is_not_data(data, tmp_path, capsys):
    X, Y = data
    text = "a,b,c,y\n" + "".join(f"{x[0]},{x[1]},{x[2]},{y}\n" for x, y in zip(X, Y, strict=True))
    (tmp_path / "set.csv").write_text(text, encoding="utf-8-sig")
    status, out, _ = run(capsys, "--data", tmp_path / "set.csv", "--target", "y", *QUICK)
    assert (status, out.split(" (")[0]) == (0, "96 x 3 float64")


def test_npz_without_the_arrays(tmp_path, capsys):
    np.savez(tmp_path / "a.npz", data=[1])
    status, _, err = run(capsys, "--data", tmp_path / "a.npz")
    assert status == 2
    assert "must hold arrays X and y; X and y not among ['data']" in err


def test_bad_batch_sizes(capsys):
    with pytest.raises(SystemExit):
        cli.main(["compare", "--batch-sizes", "32,half"])
    assert "expected integers or 'full'" in capsys.readouterr().err


def test_a_warning_is_a_line(data, tmp_path, capsys):
    np.savez(tmp_path / "set.npz", X=data[0] * 1e6, y=data[1])
    status, _, err = run(capsys, "--data", tmp_path / "set.npz", *QUICK, "--learning-rate", "1")
    assert status == 0
    assert "jitlogit: warning: training diverged" in err
    assert "RuntimeWarning" not in err


def test_as_a_module(data, tmp_path, monkeypatch, capsys):
    np.savez(tmp_path / "set.npz", X=data[0], y=data[1])
    monkeypatch.setattr(sys, "argv", ["jitlogit", "compare", "--data", str(tmp_path / "set.npz"), *QUICK])
    with pytest.raises(SystemExit) as done:
        runpy.run_module("jitlogit", run_name="__main__")
    assert done.value.code == 0
    assert capsys.readouterr().out.startswith("96 x 3 float64")


def test_plot_costs_draws_the_costs():
    from matplotlib.figure import Figure

    ax = plots.plot_costs([3.0, 2.0, 1.5], record_every=50, ax=Figure().subplots())
    (line,) = ax.lines
    assert line.get_xdata().tolist() == [0, 50, 100]
    assert list(line.get_ydata()) == [3.0, 2.0, 1.5]
    assert ax.get_xlabel().startswith("iteration")
    assert ax.get_ylabel().startswith("cost")
    assert ax.get_legend() is None
    ax = plots.plot_costs({"a": [3.0], "b": [2.0, 1.0]}, ax=Figure().subplots())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    assert len(plots.plot_costs([[3.0, 1.0], [2.0, 1.0]], ax=Figure().subplots()).lines) == 2


def test_plot_costs_makes_its_own_axes(monkeypatch):
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    ax = plots.plot_costs([2.0, 1.0])
    assert len(ax.lines) == 1
    plt.close(ax.figure)


@pytest.mark.parametrize("costs", [[], [[]], {}, {"a": []}])
def test_plot_costs_of_nothing(costs):
    with pytest.raises(ValueError, match="at least one recorded cost"):
        plots.plot_costs(costs)


def test_plot_costs_bad_interval():
    with pytest.raises(ValueError, match="record_every"):
        plots.plot_costs([1.0], record_every=0)


def test_without_matplotlib_the_extra_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'jitlogit\[plot\]'"):
        plots.plot_costs([1.0])
    status, out, err = run(capsys, "--plot", tmp_path / "c.png")
    assert (status, out) == (2, "")  # said before anything is trained
    assert "jitlogit[plot]" in err
