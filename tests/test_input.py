"""What the estimator takes, how much memory that needs, and how scikit-learn passes things on to it."""

from __future__ import annotations

import sys

import numpy as np
import pandas
import polars
import pyarrow
import pytest
import sklearn
from conftest import JIT_OFF, compiled, make_data, run_python
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from jitlogit import MiniBatchLogisticRegression
from jitlogit.estimators.history import Record
from jitlogit.training.problem import Epoch

COMMON = {"max_iter": 2 if JIT_OFF else 5, "random_state": 0}


@pytest.mark.parametrize(
    "make", [pandas.DataFrame, polars.DataFrame, pyarrow.table], ids=["pandas", "polars", "pyarrow"]
)
def test_tables(make):
    X, Y = make_data(100, 3)
    names = ["age", "height", "weight"]
    table = make({name: X[:, j] for j, name in enumerate(names)})
    y = np.where(Y[0] == 1, "yes", "no")
    expected = MiniBatchLogisticRegression(**COMMON).fit(X, y)
    fitted = MiniBatchLogisticRegression(**COMMON).fit(table, y)
    np.testing.assert_allclose(
        fitted.coef_, expected.coef_, rtol=1e-12
    )  # columns may be strided, sums in another order
    assert fitted.feature_names_in_.tolist() == names
    assert np.array_equal(fitted.predict(table), expected.predict(X))
    other = make({name: X[:, j] for j, name in enumerate([*names[:2], "width"])})
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(other)


def test_labels_in_tables():
    X, Y = make_data(100, 3)
    expected = MiniBatchLogisticRegression(**COMMON).fit(X, Y[0]).coef_
    for y in (pandas.Series(Y[0]), polars.Series(Y[0]), Y[0].tolist()):
        assert np.array_equal(MiniBatchLogisticRegression(**COMMON).fit(X, y).coef_, expected)


def test_metadata_reach_it():
    X, Y = make_data(120, 3)
    weights = np.random.default_rng(0).random(120)
    with sklearn.config_context(enable_metadata_routing=True):
        model = (
            MiniBatchLogisticRegression(**COMMON)
            .set_fit_request(sample_weight=True)
            .set_score_request(sample_weight=True)
        )
        piped = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
        piped.fit(X, Y[0], sample_weight=weights)
        alone = MiniBatchLogisticRegression(**COMMON).fit(
            StandardScaler().fit_transform(X), Y[0], sample_weight=weights
        )
        assert np.array_equal(piped[-1].coef_, alone.coef_)
        search = GridSearchCV(model, {"alpha": [1e-4]}, cv=2).fit(X, Y[0], sample_weight=weights)
        passed = cross_validate(model, X, Y[0], params={"sample_weight": weights}, cv=2)["test_score"]
        assert search.cv_results_["mean_test_score"] == [passed.mean()]
        assert not np.array_equal(
            passed, cross_validate(MiniBatchLogisticRegression(**COMMON), X, Y[0], cv=2)["test_score"]
        )


def test_it_leaves_the_output_of_transformers_alone():
    X, Y = make_data(100, 3)
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    piped = make_pipeline(StandardScaler(), MiniBatchLogisticRegression(**COMMON)).set_output(transform="pandas")
    assert piped.fit(frame, Y[0])[-1].feature_names_in_.tolist() == ["a", "b", "c"]


class Recorder:
    """A callback as scikit-learn's protocol wants it."""

    def __init__(self, stop_after=None):
        self.events, self.losses, self.stop_after = [], [], stop_after

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.events.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.events.append(f"end {context.task_name}")
        if fitted_estimator is None:  # a step that never ran
            return False
        self.losses.append(-np.log(fitted_estimator.predict_proba(X)[np.arange(len(y)), y]).mean())
        return len(self.losses) == self.stop_after


def test_callbacks_of_scikit_learn(monkeypatch):
    pytest.importorskip("sklearn.callback")
    X, Y = make_data(100, 3)
    recorder = Recorder()
    model = (
        MiniBatchLogisticRegression(max_iter=3, random_state=0).set_callbacks(recorder).fit(X, Y[0], eval_set=(X, Y[0]))
    )
    one = ["begin epoch", "end epoch"]
    assert recorder.events == ["setup", "begin fit", *one, *one, *one, "end fit", "teardown"]
    np.testing.assert_allclose(
        recorder.losses, [*model.history_["val_loss"], model.history_["val_loss"][-1]], rtol=1e-6
    )
    stopping = Recorder(stop_after=2)
    assert MiniBatchLogisticRegression(max_iter=9).set_callbacks(stopping).fit(X, Y[0]).n_iter_ == 2
    assert stopping.events[-2:] == ["end fit", "teardown"]
    for stopped in ({"callbacks": lambda state: state["epoch"] == 1}, {"tol": 1e9, "n_iter_no_change": 1}):
        paired = Recorder()
        MiniBatchLogisticRegression(max_iter=9, **stopped).set_callbacks(paired).fit(X, Y[0])
        assert paired.events == ["setup", "begin fit", *one, *one, "end fit", "teardown"]
    monkeypatch.setattr("jitlogit.estimators.mini_batch.auto_learning_rate", lambda *_: 8.0)
    again = 0
    for seed in range(10):  # most of them diverge in the second epoch, so that the first is done again
        paired, epochs = Recorder(), []

        def second(state, epochs=epochs):
            epochs.append(state["epoch"])
            return len(epochs) == 2

        MiniBatchLogisticRegression(callbacks=second, random_state=seed).set_callbacks(paired).fit(X, Y[0])
        assert paired.events == ["setup", "begin fit", *one, *one, "end fit", "teardown"]
        again += epochs == [0, 0]
    assert again
    failing = Recorder()
    with pytest.raises(ValueError, match="is too large"):
        MiniBatchLogisticRegression(learning_rate=1e300).set_callbacks(failing).fit(X, Y[0])
    assert failing.events[-1] == "teardown"


PEAK = """
import numpy as np, sys
from jitlogit import MiniBatchLogisticRegression
from jitlogit.compiler import threads
def peak():
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) * 1024
def data(m):
    kind = {kind!r}
    y = np.arange(m) * 7919 % 10 < 5
    if kind == "csr":
        from scipy import sparse
        indices = (np.arange(10 * m, dtype="i4") * 13) % 50 // 10 + np.tile(np.arange(0, 50, 5, dtype="i4"), m)
        X = sparse.csr_array((np.ones(10 * m, "f4"), indices, 10 * np.arange(m + 1, dtype="i4")), shape=(m, 60))
        assert X.has_canonical_format
        return X, y
    X = np.empty((m, 50), "u1" if kind == "uint8" else "f4", "F" if kind == "F" else "C")
    for start in range(0, m, 1000):
        X[start : start + 1000] = np.random.default_rng(start).integers(9, size=(min(1000, m - start), 50), dtype="u1")
    if kind == "memmap":
        np.save({folder!r} + "/X.npy", X)
        X = np.load({folder!r} + "/X.npy", mmap_mode="r")
    return X, y
model = MiniBatchLogisticRegression(max_iter=1, batch_size=1000, random_state=0, **{options!r})
threads._LEAST_BYTES = 0  # so that few rows compile what many need
model.fit(*data(20_000))
X, y = data(m := {m})
if {kind!r} == "csr":
    X.data.sum(), X.indices.sum()
else:
    X.sum(dtype="f8")
y.sum()
open("/proc/self/clear_refs", "w").write("5")
before = peak()
model.fit(X, y)
print(peak() - before, 16 * m + 32e6, X.data.nbytes + X.indices.nbytes if {kind!r} == "csr" else X.nbytes)
"""


@compiled
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("kind", "options"),
    [("C", {}), ("F", {}), ("memmap", {}), ("uint8", {}), ("csr", {}), ("C", {"early_stopping": True})],
    ids=["C", "F", "memmap", "uint8", "csr", "held out"],
)
def test_peak_memory(kind, options, tmp_path):
    m = {"uint8": 4_000_000, "csr": 2_600_000}.get(kind, 1_000_000)
    out = run_python(PEAK.format(kind=kind, options=options, folder=str(tmp_path), m=m), NUMBA_NUM_THREADS="2")
    used, allowed, size = map(float, out.split())
    assert size >= 200e6
    assert used < allowed


def test_what_makes_no_sense_beside_the_data_is_an_error():
    X, Y = make_data(40, 3)
    y = Y[0]
    for use, message in (
        (lambda model: model.fit(X, y, eval_set=3), "eval_set must be a pair"),
        (lambda model: model.fit(X, y, eval_set=(X, y + 5)), "eval_set holds labels that aren't among the classes"),
        (
            lambda model: model.fit(X, y, sample_weight=np.zeros(40)),
            r"(?i)sample.weight.* (zero for all rows|at least one non-zero)",
        ),
        (lambda model: model.fit(X, np.zeros(40)), "one class only"),
        (lambda model: model.set_params(class_weight="even").partial_fit(X, y, classes=[0, 1]), "class_weight must be"),
    ):
        with pytest.raises(ValueError, match=message):
            use(MiniBatchLogisticRegression(**COMMON))
    weighted = MiniBatchLogisticRegression(**COMMON, class_weight={0: 2.0}).partial_fit(X, y, classes=[0, 1])
    equal = MiniBatchLogisticRegression(**COMMON).partial_fit(X, y, classes=[0, 1])
    assert weighted.intercept_[0] < equal.intercept_[0]


def test_bools_are_labels_0_and_1_where_those_are_the_classes():
    X, Y = make_data(60, 3)
    expected = MiniBatchLogisticRegression(**COMMON).partial_fit(X, Y[0], classes=[0, 1])
    model = MiniBatchLogisticRegression(**COMMON).partial_fit(X, Y[0] == 1, classes=[0, 1])
    assert np.array_equal(model.coef_, expected.coef_)
    alike = MiniBatchLogisticRegression(**COMMON).fit(X, Y[0], eval_set=(X, Y[0] == 1))
    assert alike.history_["val_accuracy"][-1] == alike.score(X, Y[0])


def test_an_epoch_that_is_done_again_is_judged_anew():
    model = MiniBatchLogisticRegression(tol=0.0, n_iter_no_change=1)
    record = Record(model, 10, None, (np.zeros(3), np.ones(3)), {}, None, 3, np.dtype(np.float64))

    def add(number, cost):
        stop, _ = record.add(Epoch(number, 0, cost, cost, 0.1, 1.0, 0.1, lambda: np.zeros((1, 4))))
        return stop

    assert [add(0, 1.0), add(1, 0.9)] == [False, False]
    assert [add(0, 1.5), add(1, 1.2)] == [False, False]  # with half the rate
    assert record.history["loss"] == [1.5, 1.2]
    assert add(2, 1.3)
