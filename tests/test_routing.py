"""scikit-learn's metadata routing through the search for C: the same words and scores as its own class."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import sklearn
from conftest import JIT_OFF, make_classes
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegressionCV as Theirs
from sklearn.metrics import accuracy_score, get_scorer, make_scorer
from sklearn.model_selection import GroupKFold, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from jitlogit import LogisticRegressionCV

M = 60 if JIT_OFF else 300
CS = [1e-3, 0.1, 10.0]
GROUPS = np.arange(M) // 7 % 5
WEIGHTS = 10.0 ** np.random.default_rng(1).uniform(-1, 1, M)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def ours(**options):
    return LogisticRegressionCV(Cs=CS, tol=1e-9, **options)


def theirs(**options):
    return Theirs(Cs=CS, tol=1e-10, solver="newton-cg", **options)


def fit_theirs(X, y, metadata, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # versions differ in which of their parameters they deprecate
        return theirs(**options).fit(X, y, **metadata)


def scores_of_theirs(X, y, metadata, **options):
    """Scores (folds, Cs) of scikit-learn's search."""
    scores = fit_theirs(X, y, metadata, **options).scores_
    return np.asarray(next(iter(scores.values())) if isinstance(scores, dict) else scores).reshape(-1, len(CS))


def test_groups_reach_the_splitter(routing):
    X, y = make_classes(M, 4, 2)
    options = {"cv": GroupKFold(3), "scoring": "neg_log_loss"}
    found = ours(**options).fit(X, y, groups=GROUPS).scores_
    np.testing.assert_allclose(found, scores_of_theirs(X, y, {"groups": GROUPS}, **options), rtol=1e-5)
    default = ours(cv=GroupKFold(3)).fit(X, y, groups=GROUPS).scores_
    np.testing.assert_allclose(default, found, rtol=1e-9)
    piped = make_pipeline(StandardScaler(), ours(cv=GroupKFold(3))).fit(X, y, groups=GROUPS)
    assert piped[-1].scores_.shape == (3, 3)


@pytest.mark.parametrize("scoring", ["neg_log_loss", "accuracy"])
def test_a_scorer_gets_the_weights_that_it_requests(scoring, routing):
    X, y = make_classes(M, 4, 2)
    metadata, scores = {"sample_weight": WEIGHTS}, {}
    for requested in (True, False):
        scorer = get_scorer(scoring).set_score_request(sample_weight=requested)
        scores[requested] = ours(cv=KFold(3), scoring=scorer).fit(X, y, **metadata).scores_
        expected = scores_of_theirs(X, y, metadata, cv=KFold(3), scoring=scorer)
        np.testing.assert_allclose(scores[requested], expected, rtol=1e-5)
    assert np.abs(scores[True] - scores[False]).max() > 1e-3


def test_the_mean_loss_has_the_weights_of_the_fits(routing):
    X, y = make_classes(M, 4, 2)
    routed = ours(cv=3).fit(X, y, WEIGHTS)
    with sklearn.config_context(enable_metadata_routing=False):
        assert np.array_equal(routed.scores_, ours(cv=3).fit(X, y, WEIGHTS).scores_)


def test_other_metadata_reach_a_scorer_by_its_own_name_for_them(routing):
    X, y = make_classes(M, 4, 2)
    seen = []

    def counted(truth, guess, costs):
        seen.append(costs)
        return accuracy_score(truth, guess)

    scorer = make_scorer(counted).set_score_request(costs="prices")
    ours(cv=KFold(2), scoring=scorer).fit(X, y, prices=np.arange(M))
    assert [costs.tolist() for costs in seen] == [[*range(M // 2)]] * 3 + [[*range(M // 2, M)]] * 3
    aliased = get_scorer("accuracy").set_score_request(sample_weight="prices")
    ours(cv=KFold(2), scoring=aliased).fit(X, y, prices=[1.0] * M)
    with pytest.raises(ValueError, match="every fold needs held-out rows of weight"):
        ours(cv=KFold(2), scoring=aliased).fit(X, y, prices=[0.0] * M)


@pytest.mark.parametrize(
    ("words", "options", "metadata"),
    [
        (r"LogisticRegressionCV.fit got unexpected argument.*'groups'", {}, {"groups": GROUPS}),
        ("unexpected argument.*'colour'", {"cv": GroupKFold(3)}, {"groups": GROUPS, "colour": 3}),
    ],
)
def test_metadata_that_nothing_requests(words, options, metadata, routing):
    X, y = make_classes(M, 4, 2)
    with pytest.raises(TypeError, match=words):
        fit_theirs(X, y, metadata, **options)
    with pytest.raises(TypeError, match=words):
        ours(**options).fit(X, y, **metadata)


def test_weights_that_a_scorer_neither_requests_nor_refuses(routing):
    X, y = make_classes(M, 4, 2)
    scorer = get_scorer("accuracy").set_score_request(sample_weight=None)  # the default of later versions
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        fit_theirs(X, y, {"sample_weight": WEIGHTS}, scoring=scorer)
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        ours(scoring=scorer).fit(X, y, WEIGHTS)


def test_metadata_without_routing():
    X, y = make_classes(M, 4, 2)
    words = r"extra keyword arguments to LogisticRegressionCV.fit is only supported if enable_metadata_routing=True"
    with pytest.raises(ValueError, match=words):
        fit_theirs(X, y, {"groups": GROUPS}, cv=GroupKFold(3))
    with pytest.raises(ValueError, match=words):
        ours(cv=GroupKFold(3)).fit(X, y, groups=GROUPS)
