"""Tests that each installed rival makes the same updates as ours, or finds the same optimum."""

from __future__ import annotations

import compete
import gaps
import numpy as np
import pytest
import rivals
from cases import make_data
from scipy import sparse

import jitlogit

ALPHA = 1e-3
# Relative error of the coefficients. VW and statsmodels stop at a small change of the loss, which is flat there.
CLOSE = 2e-3
# Difference of the costs. For sparse rows, scikit-learn's saga takes steps on the intercept a hundred times shorter.
SAME_COST = 1e-4


def skip_unless_installed(rival):
    if rivals.version(rival) is None:
        pytest.skip(f"{rival.distribution} is not installed")


@pytest.mark.parametrize("batch_size", [1, 32])
@pytest.mark.filterwarnings("ignore")
def test_epochs_end_at_the_same_weights(batch_size):
    X, Y = make_data(6, "float64", 0.05)
    ran = 0
    for rival in rivals.epoch_rivals(batch_size):
        if rivals.version(rival) is None:
            continue
        run, rows = rivals.make(rival, X, Y[0], batch_size)
        ours, _, _ = jitlogit.train_logistic_regression(
            X[:rows], Y[:, :rows], rivals.RATE, 1, batch_size=batch_size, shuffle=False
        )
        error = np.max(np.abs(run() - ours[:, 0])) / np.max(np.abs(ours))
        if not error <= 1e-6:
            raise AssertionError(f"{rival.name} differs by {error}")
        ran += 1
    assert ran


@pytest.mark.parametrize("solver", [gaps.OPTIMUM, *rivals.solvers()], ids=lambda solver: solver.name)
@pytest.mark.filterwarnings("ignore")
def test_solvers_reach_the_same_optimum(solver):
    """The mapping of the penalty, and an unpenalised intercept: columns of several sizes, unbalanced labels."""
    skip_unless_installed(solver)
    linear_model = pytest.importorskip("sklearn.linear_model", reason="needs the extra test")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 5)) * [0.3, 1, 1, 2, 3]
    y = (X @ [1, -1, 0.5, 0.3, 0.2] + 1.5 + rng.logistic(size=2000) > 0).astype(np.uint8)
    exact = linear_model.LogisticRegression(C=1 / (ALPHA * 2000), solver="newton-cholesky", tol=1e-10).fit(X, y)
    expected = np.append(exact.coef_[0], exact.intercept_)
    coef, intercept = solver.solve(X, y, ALPHA, solver.tolerances[-1])
    assert coef.shape == (1, 5)
    error = np.max(np.abs(np.append(coef, intercept) - expected)) / np.max(np.abs(expected))
    if not error <= CLOSE:
        raise AssertionError(f"{solver.name} is off by {error}")


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array], ids=["dense", "CSR"])
@pytest.mark.parametrize("solver", [gaps.OPTIMUM, *rivals.solvers()], ids=lambda solver: solver.name)
@pytest.mark.filterwarnings("ignore")
def test_solvers_reach_the_same_optimum_of_three_classes(solver, form):
    linear_model = pytest.importorskip("sklearn.linear_model", reason="needs the extra test")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1000, 4))
    y = (X[:, :3] + rng.gumbel(size=(1000, 3))).argmax(axis=1)
    if reason := rivals.why_not(solver, form(X), y):
        pytest.skip(reason)
    exact = linear_model.LogisticRegression(C=1 / (ALPHA * 1000), tol=1e-10).fit(X, y)
    coef, intercept = solver.solve(form(X), y, ALPHA, solver.tolerances[-1])
    expected = gaps.objective(X, y, ALPHA, exact.coef_, exact.intercept_)
    if not abs(gaps.objective(form(X), y, ALPHA, coef, intercept) - expected) <= SAME_COST:
        raise AssertionError(f"{solver.name} ends elsewhere")


def test_large_sets_are_solved_with_limited_iterations(monkeypatch):
    seen = []

    def solve(X, y, alpha, tolerance, max_iter=0):
        seen.append((tolerance, max_iter))
        return np.zeros((1, X.shape[1])), np.zeros(1)

    X, y = gaps.make_set(3000, 4, "float32")
    capped = rivals.Solver("Capped", "numpy", "none", (1.0, 0.5), solve, capped=True)
    gaps.measure_set(X, y, 1e-6, [capped], rounds=1)
    assert seen[1:] == [(1.0, 0), (0.5, 0)]
    monkeypatch.setattr(gaps, "_MANY_VALUES", 1000)
    measured = gaps.measure_set(X, y, 1e-6, [capped], rounds=1)
    assert seen[-2:] == [(0.5, 1000), (0.5, 3000)]
    assert measured["solvers"][0]["points"][0]["limit"] == "10 iterations"
    monkeypatch.setattr(gaps, "_MANY_VALUES", 1e9)
    assert not gaps.is_large(X, y)
    monkeypatch.setattr(gaps, "_MANY_WEIGHTS", 3)
    assert gaps.is_large(X, y)


def test_what_is_not_installed_is_shown():
    missing = rivals.Solver("Nobody", "no-such-distribution", "none", (1.0,), lambda *_: pytest.fail("was run"))
    X, y = gaps.make_set(3000, 4, "float32")
    measured = gaps.measure_set(X, y, 1e-6, [gaps.OURS, missing], rounds=1)
    assert "| Nobody | not installed | not installed | not installed |" in gaps.table([{"set": "toy", **measured}])
    cell = {
        "n": 4,
        "batch_size": None,
        "not_installed": ["Nobody"],
        "all_rows_per_second": 2e6,
        "one_rows_per_second": 1e6,
    }
    assert "| Nobody | not installed |" in compete.throughput_table([cell])


def test_a_solver_that_fails_is_shown():
    def fail(*_):
        raise ValueError("no solution")

    X, y = gaps.make_set(3000, 4, "float32")
    broken = rivals.Solver("Broken", "numpy", "none", (1.0,), fail)
    measured = gaps.measure_set(X, y, 1e-6, [gaps.OURS, broken], rounds=1)
    assert "ValueError: no solution" in gaps.table([{"set": "toy", **measured}])


def test_tables_and_plots_from_what_was_measured(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="needs the extra plot")
    X, y = gaps.make_set(3000, 4, "float32")
    cell = {
        "n": 4,
        "dtype": "float32",
        "order": "C",
        "batch_size": 32,
        "not_installed": [],
        "all_rows_per_second": 2e6,
        "one_rows_per_second": 1e6,
        "all_share": 0.5,
        "one_share": 0.5,
        "NumPy_rows_per_second": 1e5,
        "best_rival": "NumPy",
        "speedup": 20.0,
    }
    result = {
        "megabytes": 1,
        "machine": {"threads": 2, "versions": {}},
        "cells": [cell],
        "sets": [{"set": "toy", **gaps.measure_set(X, y, 1e-6, [gaps.OURS], rounds=1)}],
    }
    paths = compete.plot(result, tmp_path)
    assert [path.name for path in paths] == ["throughput-4-float32.png", "gap-toy.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    assert "| jitlogit | **2** |" in compete.tables(result)
