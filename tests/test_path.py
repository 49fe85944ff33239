"""The search for the penalty's strength: scikit-learn's numbers, from one X."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from conftest import JIT_OFF, compiled, make_classes, make_data, slow_without_jit
from matplotlib.figure import Figure
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as Theirs
from sklearn.linear_model import LogisticRegressionCV as TheirsCV
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.utils.estimator_checks import estimator_checks_generator

from jitlogit import LogisticRegression, LogisticRegressionCV, plots

M = 60 if JIT_OFF else 300
CS = [1e-3, 0.1, 10.0]


@compiled
def test_scikit_learns_checks():
    before = np.random.get_state()  # noqa: NPY002
    ran = 0
    for model, check in estimator_checks_generator(LogisticRegressionCV(Cs=2, cv=2)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            name = getattr(check, "func", check).__name__
            if "sample_weight_equivalence" in name:
                continue  # folds of repeated rows are others
            try:
                check(model)
            except Exception as error:
                if type(error).__name__ == "SkipTest":
                    continue
                raise AssertionError(f"{name}: {error}") from error
        ran += 1
    np.random.set_state(before)  # noqa: NPY002 - the checks draw from it
    assert ran > 40


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array], ids=["C", "csr"])
def test_scores_are_those_of_a_grid_search(classes, form):
    X, y = make_classes(M, 4, classes)
    folds = KFold(3)
    model = LogisticRegressionCV(Cs=CS[::-1], cv=folds, tol=1e-8, random_state=0).fit(form(X), y)
    theirs = Theirs(solver="newton-cholesky", tol=1e-10)
    search = GridSearchCV(theirs, {"C": CS}, cv=folds, scoring="neg_log_loss").fit(X, y)
    expected = [search.cv_results_[f"split{k}_test_score"] for k in range(3)]
    np.testing.assert_allclose(model.scores_, expected, rtol=1e-5)
    assert model.Cs_.tolist() == CS
    assert search.best_params_ == {"C": model.C_}
    np.testing.assert_allclose(model.coef_, search.best_estimator_.coef_, atol=1e-4)
    assert model.n_passes_ > 9


def test_other_scorers_and_weights():
    X, y = make_classes(M, 4, 2)
    folds = KFold(3)
    model = LogisticRegressionCV(Cs=CS, cv=folds, tol=1e-8, scoring="roc_auc", random_state=0).fit(X, y)
    search = GridSearchCV(Theirs(solver="newton-cholesky"), {"C": CS}, cv=folds, scoring="roc_auc").fit(X, y)
    np.testing.assert_allclose(model.scores_.mean(axis=0), search.cv_results_["mean_test_score"], atol=2e-3)
    # Held-out rows of weight zero don't count, nor do those that are trained on.
    counted = np.arange(M) % 4 > 0
    weighted = LogisticRegressionCV(Cs=CS, cv=folds, tol=1e-8).fit(X, y, sample_weight=counted.astype(float))
    kept = np.cumsum(counted) - 1
    parts = [(kept[train[counted[train]]], kept[test[counted[test]]]) for train, test in folds.split(X)]
    alone = LogisticRegressionCV(Cs=CS, cv=parts, tol=1e-8).fit(X[counted], y[counted])
    np.testing.assert_allclose(weighted.scores_, alone.scores_, rtol=1e-5)
    np.testing.assert_allclose(weighted.coef_, alone.coef_, atol=1e-5)


def theirs_cv(scoring, X, y, weights, class_weight=None):
    """Scores (folds, Cs) of scikit-learn's search."""
    model = TheirsCV(Cs=CS, cv=KFold(3), scoring=scoring, class_weight=class_weight, solver="newton-cg", tol=1e-10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # versions differ in which of their parameters they deprecate
        model.fit(X, y, sample_weight=weights)
    scores = model.scores_
    return np.asarray(next(iter(scores.values())) if isinstance(scores, dict) else scores).reshape(3, len(CS))


def skewed_weights(m, seed=1):
    """Some rows weigh a hundred times what others do, so an unweighted score is another one."""
    return 10.0 ** np.random.default_rng(seed).uniform(-1, 1, m)


@slow_without_jit
@pytest.mark.parametrize(
    ("scoring", "classes"),
    [
        ("accuracy", 2),
        ("neg_log_loss", 2),
        ("roc_auc", 2),
        ("f1", 2),
        ("average_precision", 2),
        ("neg_log_loss", 3),
        ("balanced_accuracy", 3),
        ("f1_macro", 3),
    ],
)
def test_scorers_get_the_weights_of_the_held_out_rows(scoring, classes):
    X, y = make_classes(M, 4, classes)
    weights = skewed_weights(M)
    model = LogisticRegressionCV(Cs=CS, cv=KFold(3), tol=1e-9, scoring=scoring).fit(X, y, weights)
    np.testing.assert_allclose(model.scores_, theirs_cv(scoring, X, y, weights), rtol=1e-5)
    unweighted = get_scorer(scoring)
    without = LogisticRegressionCV(
        Cs=CS, cv=KFold(3), tol=1e-9, scoring=lambda model, X, y, sample_weight: unweighted(model, X, y)
    ).fit(X, y, weights)
    assert np.abs(model.scores_ - without.scores_).max() > 1e-3


def test_factors_of_classes_weigh_losses_but_no_scorer_sees_them():
    X, y = make_classes(M, 4, 2)
    weights, factors = skewed_weights(M), {0: 1.0, 1: 5.0}
    options = {"Cs": CS, "cv": KFold(3), "tol": 1e-9}
    by_class = LogisticRegressionCV(class_weight=factors, **options).fit(X, y, weights)
    by_row = LogisticRegressionCV(**options).fit(X, y, weights * np.where(y == 1, 5.0, 1.0))
    np.testing.assert_allclose(by_class.scores_, by_row.scores_, rtol=1e-12)
    scored = LogisticRegressionCV(class_weight=factors, scoring="neg_log_loss", **options).fit(X, y, weights)
    np.testing.assert_allclose(scored.scores_, theirs_cv("neg_log_loss", X, y, weights, factors), rtol=1e-5)
    assert np.abs(scored.scores_ - by_class.scores_).max() > 1e-3


def always_one(model, X, y):
    return 1.0


@pytest.mark.parametrize("scoring", [always_one, "adjusted_rand_score"])
def test_a_scorer_without_weights_is_for_fits_without_weights(scoring):
    X, y = make_classes(M, 4, 2)
    model = LogisticRegressionCV(Cs=[1.0], cv=2, scoring=scoring)
    assert model.fit(X, y).scores_.shape == (2, 1)
    with pytest.raises(TypeError, match="sample_weight"):
        theirs_cv(scoring, X, y, np.ones(M))
    with pytest.raises(TypeError, match="scoring must take sample_weight, because fit was given one; got "):
        model.fit(X, y, np.ones(M))


def test_other_errors_of_a_scorer_are_its_own():
    X, y = make_classes(M, 4, 2)

    def broken(model, X, y, sample_weight):
        raise TypeError("a fault of the scorer's")

    with pytest.raises(TypeError, match="a fault of the scorer's"):
        LogisticRegressionCV(Cs=[1.0], cv=2, scoring=broken).fit(X, y, np.ones(M))


def test_values_of_c():
    X, y = make_classes(M, 4, 2)
    assert LogisticRegressionCV(Cs=3, cv=2).fit(X, y).Cs_.tolist() == [1e-4, 1.0, 1e4]
    for Cs in ([], [0.0], [np.nan], 0):
        with pytest.raises(ValueError, match="Cs must be"):
            LogisticRegressionCV(Cs=Cs).fit(X, y)


def test_the_path_is_drawn():
    X, y = make_classes(M, 4, 2)
    model = LogisticRegressionCV(Cs=CS, cv=3).fit(X, y)
    ax = plots.plot_path(model, Figure().subplots())
    assert len(ax.lines) == 5
    np.testing.assert_allclose(ax.lines[3].get_ydata(), -model.scores_.mean(axis=0))
    assert ax.get_ylabel() == "validation loss (nats)"
    named = [text.get_text() for text in ax.get_legend().get_texts()]
    assert named == ["a fold", "mean of the folds", f"best: {model.C_:.2g}"]
    model.scoring = "accuracy"
    assert plots.plot_path(model, Figure().subplots()).get_ylabel() == "validation score (accuracy)"
    model.scoring = lambda model, X, y: 0.0
    assert plots.plot_path(model, Figure().subplots()).get_ylabel() == "validation score"


def test_folds_train_on_their_own_rows_alone():
    X, Y = make_data(120, 3)
    trained, held = np.arange(30), np.arange(90, 120)
    search = LogisticRegressionCV(Cs=[1.0], cv=[(trained, held)], scoring="neg_log_loss", tol=1e-9).fit(X, Y[0])
    alone = LogisticRegression(tol=1e-9).fit(X[trained], Y[0][trained])
    expected = alone.predict_log_proba(X[held])[np.arange(30), Y[0][held].astype(int)].mean()
    assert search.scores_[0, 0] == pytest.approx(expected, abs=1e-6)


def test_fits_to_folds_that_fall_short_and_scores_that_are_none_are_said():
    X, Y = make_data(M, 3)
    with (
        pytest.warns(ConvergenceWarning, match="not reached in 1 iterations"),
        pytest.warns(ConvergenceWarning, match="4 of 4 fits to folds did not reach their optimum"),
    ):
        LogisticRegressionCV(Cs=[1.0, 10.0], cv=2, solver="gd", max_iter=1).fit(X, Y[0])
    with pytest.raises(ValueError, match="score of fold 0 for C=1 is nan"):
        LogisticRegressionCV(Cs=[1.0], cv=2, scoring=lambda *fitted: np.nan).fit(X, Y[0])
    nothing_held = (np.arange(M) >= M // 2).astype(float)
    for scoring in (None, "accuracy", "neg_log_loss"):
        model = LogisticRegressionCV(Cs=[1.0], cv=[(np.arange(M // 2, M), np.arange(M // 2))], scoring=scoring)
        with pytest.raises(ValueError, match="every fold needs held-out rows of weight"):
            model.fit(X, Y[0], nothing_held)


def test_a_table_is_scored_without_a_warning():
    pandas = pytest.importorskip("pandas")
    X, y = make_classes(200, 3, 2)
    table = pandas.DataFrame(X, columns=["a", "b", "c"])
    model = LogisticRegressionCV(Cs=2, cv=2, scoring="roc_auc").fit(table, y)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    assert model.C_ == LogisticRegressionCV(Cs=2, cv=2, scoring="roc_auc").fit(X, y).C_
