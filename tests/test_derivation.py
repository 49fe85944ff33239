"""The derivation step by step: sound kernels are OK, and each planted error is NOT OK in its own line."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
import pytest
from conftest import make_classes, make_data, slow_without_jit

import jitlogit
from jitlogit.data.validation import read_only
from jitlogit.kernels.steps.labels import with_padding
from jitlogit.tools import cli
from jitlogit.tools.comparing import derivation, quantities
from jitlogit.training.order import Order

NAMES = ["z", "A", "L", "J", "dZ", "dW", "db", "W", "b"]
#: Those with a number for each row; the others are sums over rows, or follow from these.
BY_ROW = {"z", "A", "L", "dZ"}


def batch_of(m, classes, dtype="float32", order="C", n=5):
    X, y = make_data(m, n) if classes == 2 else make_classes(m, n, classes)
    if dtype == "uint8":
        X = np.clip(X * 50 + 120, 0, 255)
    return np.asarray(X, dtype=dtype, order=order), np.ravel(y)


def wrong_lines(steps):
    return [line.quantity for line in steps.lines if not line.ok]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_sound_kernels_are_ok(dtype, order, classes):
    for m in (40, 300):
        steps = jitlogit.compare_steps(*batch_of(m, classes, dtype, order))
        assert steps.ok, steps
        assert [line.quantity for line in steps.lines] == NAMES
        assert (steps.n_samples, steps.n_features, steps.n_classes, steps.dtype) == (m, 5, classes, dtype)
        shapes = {line.quantity: line.shape for line in steps.lines}
        assert shapes["dW"] == shapes["W"] == (5, 1 if classes == 2 else 3)
        assert shapes["b"] == (() if classes == 2 else (3,))
        assert [line.quantity for line in steps.lines if line.slope_error is not None] == ["dW", "db"]


@pytest.mark.parametrize(
    ("m", "n", "order", "classes", "walk"),
    [
        (1, 5, "C", 2, "small_walk"),
        (256, 5, "C", 2, "small_walk"),
        (257, 5, "C", 2, "dense_walk"),
        (32, 100, "C", 2, "small_walk"),
        (16, 20, "F", 2, "turned_walk"),
        (64, 100, "F", 2, "features_walk"),
        (32, 5, "C", 3, "softmax_walk"),
    ],
)
def test_a_batch_takes_the_walk_of_its_size(m, n, order, classes, walk):
    steps = jitlogit.compare_steps(*batch_of(m, classes, order=order, n=n))
    assert steps.ok, steps
    assert {line.quantity for line in steps.lines if line.source == f"epoch, {walk}"} == {"J", "W", "b"}


@pytest.mark.parametrize("classes", [2, 3])
def test_the_code_of_each_line_can_be_found(classes):
    files = {path.stem: path.read_text() for path in Path(jitlogit.__file__).parent.rglob("*.py")}
    for line in jitlogit.compare_steps(*batch_of(40, classes)).lines:
        for name in line.source.split(", "):
            module, _, function = name.partition(".")
            assert f"def {function}" in files[module]


@slow_without_jit
def test_many_rows_and_long_ones_are_ok():
    """Several chunks, pairs of rows, groups of eight."""
    for m, n in ((20_000, 28), (3_000, 100), (600, 500)):
        for classes in (2, 3):
            assert jitlogit.compare_steps(*batch_of(m, classes, n=n)).ok


@pytest.mark.parametrize("classes", [2, 3])
def test_parameters_of_the_user_are_taken(classes):
    X, y = batch_of(60, classes, "float64")
    shape = 5, 1 if classes == 2 else 3
    W, b = np.full(shape, 0.25), 0.5 if classes == 2 else [0.5, 0.0, -0.5]
    steps = jitlogit.compare_steps(X, y, W, b)
    assert steps.ok
    if classes == 2:
        assert jitlogit.compare_steps(X, y, W[:, 0], b).lines == steps.lines
    assert jitlogit.compare_steps(X, y, W * 2, b).lines != steps.lines
    assert jitlogit.compare_steps(X, y).lines == jitlogit.compare_steps(X, y).lines
    assert jitlogit.compare_steps(X, y, np.zeros(shape), np.zeros(np.shape(b))).ok


def labels_for_kernels(labels):
    return read_only(with_padding(labels))


def without_the_last_row(batch):
    return batch._replace(X=batch.X[:-1], labels=labels_for_kernels(batch.labels[:-1]))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("error", ["sign", "row", "row left out", "scale", "nan"])
@pytest.mark.parametrize("name", NAMES)
def test_an_error_is_caught_in_the_line_of_its_quantity(name, error, classes, monkeypatch):
    sound = derivation.by_kernels

    def planted(batch):
        found = sound(batch)
        value, source = found[name]
        value, m = np.array(value, np.float64), batch.X.shape[0]
        if error == "sign":
            value = -value
        elif error == "scale":  # a mean over m - 1
            value = value * m / (m - 1)
        elif error == "nan":
            value[...] = np.nan
        elif error == "row left out" or name not in BY_ROW:
            value = sound(without_the_last_row(batch))[name][0]
        else:
            value[:, -1] = 0
        return found | {name: (value, source)}

    monkeypatch.setattr(derivation, "by_kernels", planted)
    steps = jitlogit.compare_steps(*batch_of(300, classes))
    assert not steps.ok
    assert wrong_lines(steps) == [name]
    assert steps.title.endswith(f"NOT OK: {name}")
    assert str(steps).count("NOT OK") == 2  # in the title and in the line
    assert steps._repr_html_().count(">NOT OK<") == 1


class _Planted:
    """What kernels run with: rows, labels or a rate that aren't those of the batch."""

    def __init__(self, error):
        self.error, self.passes, self.fit = error, quantities.make_passes, quantities.DenseFit

    def make_passes(self, X, labels, *others):
        if self.error == "row":
            return self.passes(X[:-1], labels_for_kernels(labels[:-1]), *others)
        if self.error == "sign":
            return self.passes(X, labels_for_kernels(1 - labels), *others)  # A - (1 - Y)
        return self.passes(read_only(X * X.dtype.type(1.001)), labels, *others)

    def dense_fit(self, problem, order, *others, **options):
        plant, m = self, problem.X.shape[0]
        if self.error == "row":
            problem = problem._replace(
                X=problem.X[:-1], labels=labels_for_kernels(problem.labels[:-1]), batch_size=m - 1
            )
            order = Order(m - 1, m - 1, False, np.random.default_rng(0))

        class Fit(self.fit):
            def start_epoch(self, rates, with_loss, averaging):
                factor = {"row": 1, "sign": -1, "scale": 1.001}[plant.error]
                super().start_epoch((rates[0] * factor, 0.0), with_loss, averaging)

        return Fit(problem, order, *others, **options)


@pytest.mark.parametrize("error", ["row", "sign", "scale"])
@pytest.mark.parametrize("m", [60, 300])
def test_an_error_in_what_kernels_compute_is_caught(m, error, monkeypatch):
    X, y = batch_of(m, 2)
    plant = _Planted(error)
    monkeypatch.setattr(quantities, "make_passes", plant.make_passes)
    steps = jitlogit.compare_steps(X, y)
    assert "dW" in wrong_lines(steps)
    assert set(wrong_lines(steps)) <= {"dW", "db"}
    monkeypatch.undo()
    monkeypatch.setattr(quantities, "DenseFit", plant.dense_fit)
    assert wrong_lines(jitlogit.compare_steps(X, y)) == (["J", "W", "b"] if error == "row" else ["W", "b"])


def test_an_error_of_reference_and_kernel_alike_is_caught_by_the_slope(monkeypatch):
    """A formula that is wrong on both sides agrees with itself, but not with the slope of J."""
    sound, formulas = derivation.by_kernels, derivation.by_numpy

    def doubled(found):
        return found | {"dW": 2 * found["dW"]}

    monkeypatch.setattr(derivation, "by_numpy", lambda *arguments: doubled(formulas(*arguments)))
    monkeypatch.setattr(
        derivation, "by_kernels", lambda batch: (found := sound(batch)) | {"dW": (2 * found["dW"][0], found["dW"][1])}
    )
    steps = jitlogit.compare_steps(*batch_of(300, 2))
    assert wrong_lines(steps) == ["dW"]
    assert steps.lines[5].kernel_error <= steps.lines[5].allowed


def test_exact_and_relative(monkeypatch):
    X, y = batch_of(60, 2, "float64")
    lines = {line.quantity: line for line in jitlogit.compare_steps(X, y, np.zeros(5), 0.0).lines}
    assert (lines["A"].exact, lines["A"].difference, lines["A"].relative_difference) == (True, 0.0, 0.0)
    formulas = derivation.by_numpy
    monkeypatch.setattr(derivation, "by_numpy", lambda X, batch: formulas(X, batch) | {"J": np.float64(2.0)})
    line = jitlogit.compare_steps(X, y, np.zeros(5), 0.0).lines[3]
    assert not line.exact
    assert line.difference == pytest.approx(2 - np.log(2))
    assert line.relative_difference == pytest.approx((2 - np.log(2)) / 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": [0, 1]}, "y must hold one label for each of the 60 examples"),
        ({"y": np.arange(60) - 1}, "y must hold whole numbers from 0 on"),
        ({"y": np.arange(60) % 2 + 1}, "y must hold the labels 0 and 1 only"),
        ({"X": np.full((60, 5), np.nan)}, "X must be finite"),
        ({"W": np.zeros(4)}, "W must hold one weight for each of the 5 features"),
        ({"b": [1.0, 2.0]}, "b biases of shape"),
        ({"b": np.inf}, "W and b must be finite"),
        ({"y": np.arange(60) % 3, "W": np.zeros((5, 2))}, "W must hold weights of shape"),
        ({"W": np.full(5, 1e300), "X": np.full((60, 5), 1e300)}, "the scores overflow"),
    ],
)
def test_bad_arguments(change, message):
    X, y = batch_of(60, 2, "float64")
    with pytest.raises(ValueError, match=message):
        jitlogit.compare_steps(**({"X": X, "y": y} | change))


def test_the_example_runs():
    (example,) = doctest.DocTestFinder(recurse=False).find(jitlogit.compare_steps, "compare_steps", globs={})
    assert doctest.DocTestRunner().run(example) == (0, 7)


def run(capsys, *words):
    status = cli.main(["compare", "--steps", *map(str, words)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_the_command_ends_with_1_if_a_line_is_not_ok(tmp_path, capsys, monkeypatch):
    X, y = batch_of(60, 2)
    np.savez(tmp_path / "set.npz", X=X, y=y)
    status, out, _ = run(capsys, "--data", tmp_path / "set.npz")
    assert (status, out) == (0, f"{jitlogit.compare_steps(X, y)}\n")
    status, out, _ = run(capsys, 32, "--data", tmp_path / "set.npz", "--dtype", "float64", "--standardize")
    assert (status, out.split(",")[0]) == (0, "one batch of 32 x 5 float64")
    monkeypatch.setattr(quantities, "make_passes", _Planted("sign").make_passes)
    status, out, _ = run(capsys, "--data", tmp_path / "set.npz")
    assert (status, "NOT OK: dW" in out.splitlines()[0]) == (1, True)


def test_the_command_takes_several_classes(tmp_path, capsys):
    X, y = batch_of(60, 3)
    words = np.array(["ant", "bee", "cat"])[y]
    lines = [",".join([*map(str, row), word]) for row, word in zip(X, words, strict=True)]
    (tmp_path / "set.csv").write_text("\n".join(lines))
    status, out, err = run(capsys, "--data", tmp_path / "set.csv")
    assert (status, "3 classes" in out) == (0, True)
    assert "labels: 0 is ant, 1 is bee, 2 is cat" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epochs", "4", "--plot", "a.png"], "leave out --epochs, --plot"),
        (["--batch-sizes", "32"], "leave out --batch-sizes"),
        (["0"], "--steps must be"),
        (["--labels", "y.npy"], "--labels goes with --data"),
    ],
)
def test_words_that_do_not_fit(words, message, capsys):
    status, out, err = run(capsys, *words)
    assert (status, out) == (2, "")
    assert message in err
