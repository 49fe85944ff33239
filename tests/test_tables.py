"""Tables whose columns aren't finite numbers: the same error from every way in, with the column's name and the cure."""

from __future__ import annotations

import datetime
import re
import warnings

import numpy as np
import pandas
import polars
import pyarrow
import pytest
import scipy.sparse
from conftest import JIT_OFF, make_data

import jitlogit
from jitlogit import LogisticRegression, LogisticRegressionCV, MiniBatchLogisticRegression
from jitlogit.data import tables

M = 40
X, Y = make_data(M, 2)
y = Y[0]
SHORT = {"max_iter": 1, "random_state": 0}

DAYS = [datetime.date(2020, 1, 1) + datetime.timedelta(days=i) for i in range(M)]
TIMES = [datetime.datetime(2020, 1, 1) + datetime.timedelta(hours=i) for i in range(M)]
JOBS = [["management", "technician", "services"][i % 3] for i in range(M)]
NUMBERS = X[:, 1].tolist()


def without(values, *rows):
    return [None if i in rows else value for i, value in enumerate(values)]


def replaced(value, *rows):
    column = X[:, 1].copy()
    column[list(rows)] = value
    return column


# What a column holds, the columns of each library that hold it, and the error.
TEXT = "must hold numbers: column 'c' holds text, e.g. 'management': encode it, say with OneHotEncoder"
DATE = "must hold numbers: column 'c' holds dates or times, e.g. 2020-01-01.*: turn it into numbers, say days"
MISSING = (
    "must be finite, without NaN and inf: column 'c' (2 of 40 rows) has missing values: fill these, say with Simple"
)
INFINITE = "must be finite, without NaN and inf: column 'c' (2 of 40 rows) has infinite values: replace these"
MIXED = "must hold numbers: column 'c' (1 of 40 rows) holds text beside numbers, e.g. '?': replace the text by NaN"
FAULTS = {
    "text": (
        TypeError,
        TEXT,
        {
            "pandas": [JOBS, pandas.Series(JOBS, dtype=object), pandas.Categorical(JOBS)],
            "polars": [JOBS, polars.Series(JOBS, dtype=polars.Categorical)],
            "pyarrow": [JOBS, pyarrow.array(JOBS).dictionary_encode()],
        },
    ),
    "date": (
        TypeError,
        DATE,
        {
            "pandas": [DAYS, pandas.to_datetime(TIMES), pandas.to_datetime(TIMES).tz_localize("UTC")],
            "polars": [DAYS, TIMES],
            "pyarrow": [DAYS, TIMES],
        },
    ),
    "missing": (
        ValueError,
        MISSING,
        {
            "pandas": [
                replaced(np.nan, 3, 5),
                pandas.Series(without(NUMBERS, 3, 5), dtype=object),
                pandas.array(without(range(M), 3, 5), dtype="Int64"),
                pandas.array(without(NUMBERS, 3, 5), dtype="Float64"),
                pandas.array(without([True, False] * (M // 2), 3, 5), dtype="boolean"),
            ],
            "polars": [replaced(np.nan, 3, 5), without(range(M), 3, 5), without([True, False] * (M // 2), 3, 5)],
            "pyarrow": [replaced(np.nan, 3, 5), without(range(M), 3, 5), without([True, False] * (M // 2), 3, 5)],
        },
    ),
    "infinite": (
        ValueError,
        INFINITE,
        {library: [replaced(-np.inf, 3, 5)] for library in ("pandas", "polars", "pyarrow")},
    ),
    "text beside numbers": (
        TypeError,
        MIXED,
        {library: [["?", *map(str, NUMBERS[1:])]] for library in ("pandas", "polars", "pyarrow")},
    ),
}
GOOD = {
    "pandas": [
        NUMBERS,
        [True, False] * (M // 2),
        pandas.array(range(M), dtype="Int64"),
        pandas.array(NUMBERS, dtype="Float64"),
        pandas.array([True, False] * (M // 2), dtype="boolean"),
        pandas.Categorical([i % 3 for i in range(M)]),
    ],
    "polars": [NUMBERS, [True, False] * (M // 2), list(range(M))],
    "pyarrow": [NUMBERS, [True, False] * (M // 2), list(range(M))],
}
MAKE = {"pandas": pandas.DataFrame, "polars": polars.DataFrame, "pyarrow": pyarrow.table}


def table_of(library, column):
    return MAKE[library]({"age": X[:, 0], "c": column})


WEIGHTS, CLASS_WEIGHTS = np.full((2, 1), 0.1), np.full((2, 2), 0.1)
mini_batch, optimum = MiniBatchLogisticRegression(**SHORT).fit(X, y), LogisticRegression(max_iter=100).fit(X, y)
WAYS_IN = {
    "train_logistic_regression": lambda X: jitlogit.train_logistic_regression(X, y, 1e-3, 1),
    "train_softmax_regression": lambda X: jitlogit.train_softmax_regression(X, y, 1e-3, 1),
    "forward_pass": lambda X: jitlogit.forward_pass(X, WEIGHTS, 0.0),
    "forward_softmax": lambda X: jitlogit.forward_softmax(X, CLASS_WEIGHTS, [0.0, 0.0]),
    "predict": lambda X: jitlogit.predict(X, WEIGHTS, 0.0),
    "compute_gradients": lambda X: jitlogit.compute_gradients(X, y, np.full(M, 0.5)),
    "learning_rate_finder": lambda X: jitlogit.learning_rate_finder(X, y, random_state=0),
    "finder without scaling": lambda X: jitlogit.learning_rate_finder(X, y, random_state=0, standardize=False),
    "compare": lambda X: jitlogit.compare(X, y, epochs=1, batch_sizes=[None], test_size=0),
    "mini-batches": lambda X: MiniBatchLogisticRegression(**SHORT).fit(X, y),
    "mini-batches, X=": lambda X: MiniBatchLogisticRegression(**SHORT, standardize=False).fit(y=y, X=X),
    "partial_fit": lambda X: MiniBatchLogisticRegression(random_state=0).partial_fit(X, y, classes=[0, 1]),
    "eval_set": lambda X_val: MiniBatchLogisticRegression(**SHORT).fit(X, y, eval_set=(X_val, y)),
    "optimum": lambda X: LogisticRegression().fit(X, y),
    "optimum by cross-validation": lambda X: LogisticRegressionCV(Cs=2, cv=2).fit(X, y),
    "predict of mini-batches": lambda X: mini_batch.predict(X),
    "predict_proba of optimum": lambda X: optimum.predict_proba(X),
    "predict_log_proba": lambda X: optimum.predict_log_proba(X),
}


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # tables have names of features, X has none
        yield


def told_by(way_in, bad, error, message):
    """Check the type and the words of the error."""
    first = {"eval_set": "eval_set: X", "train_logistic_regression": "X_train", "train_softmax_regression": "X_train"}
    pattern = re.escape(message).replace(re.escape(".*"), ".*")
    with pytest.raises(error, match=f"^{first.get(way_in, 'X')} {pattern}"):
        WAYS_IN[way_in](bad)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("library", MAKE)
@pytest.mark.parametrize("way_in", WAYS_IN)
def test_a_fault_of_a_column(way_in, library, fault):
    error, message, columns = FAULTS[fault]
    for column in columns[library]:
        told_by(way_in, table_of(library, column), error, message)


@pytest.mark.skipif(JIT_OFF, reason="trains for long")
@pytest.mark.parametrize("library", MAKE)
@pytest.mark.parametrize("way_in", WAYS_IN)
def test_good_tables(way_in, library):
    for column in GOOD[library]:
        WAYS_IN[way_in](table_of(library, column))


@pytest.mark.parametrize("way_in", WAYS_IN)
def test_arrays_and_lists_have_numbers_of_columns(way_in):
    mixed = np.array([NUMBERS, JOBS], object).T
    text = "must hold numbers: column 1 holds text, e.g. 'management': encode it, say with OneHotEncoder"
    for bad in (mixed, mixed.tolist(), mixed.astype(str)):
        told_by(way_in, bad, TypeError, text)
    as_text = "must hold numbers: columns 0 and 1 hold numbers as text, e.g. .*: convert them with astype(float)"
    told_by(way_in, X.astype(str), TypeError, as_text)
    told_by(way_in, [[1.0, 2.0], [3.0]], ValueError, "must be an array of numbers with rows of equal length")
    name = "X_train" if way_in.startswith("train") else "X"
    for value, kind in ((np.nan, "missing"), (np.inf, "infinite")):
        bad = np.column_stack([replaced(value, 7, 9), replaced(value, 8)])
        told = f"must be finite, without NaN and inf; {name}[7, 0] is {value}: "
        told += f"columns 0 (2 of 40 rows) and 1 (1) have {kind}"
        for rows in (bad, bad.tolist(), bad.astype("f4"), np.asfortranarray(bad), bad.astype("f2")):
            told_by(way_in, rows, ValueError, told)


@pytest.mark.parametrize("way_in", WAYS_IN)
def test_sparse_rows(way_in):
    rows = scipy.sparse.csc_array(np.column_stack([X[:, 0], replaced(np.nan, 3, 5)]))
    functions = ("train_", "forward_", "compute_", "predict", "compare")
    if way_in.startswith(functions) and " " not in way_in and way_in != "predict_log_proba":
        advice = "must be a dense array; got csc_array: jitlogit.LogisticRegression and jitlogit.MiniBatchLogisticRegre"
        told_by(way_in, rows, TypeError, advice)
    else:
        told_by(way_in, rows, ValueError, MISSING.replace(":", "; X[3, 1] is nan:", 1).replace("'c'", "1"))


def test_all_faults_are_told_at_once():
    table = pandas.DataFrame({f"t{i}": JOBS for i in range(7)})
    table = table.assign(day=pandas.to_datetime(TIMES), a=replaced(np.nan, 1), b=replaced(np.nan, 1, 2), c=[{}] * M)
    with pytest.raises(TypeError) as caught:
        LogisticRegression().fit(table, y)
    told = str(caught.value).replace(":00.000000000", ":00.000000")  # pandas 2 counts nanoseconds
    assert told == (
        "X must hold numbers: columns 't0', 't1', 't2', 't3', 't4' and 2 more hold text, e.g. 'management': encode "
        "them, say with OneHotEncoder; column 'day' holds dates or times, e.g. 2020-01-01T00:00:00.000000: turn it "
        "into numbers, say days since the earliest, or drop it; column 'c' holds values that aren't numbers, e.g. {} "
        "(float() argument must be a string or a real number, not 'dict'): encode it as numbers, or drop it; columns "
        "'a' (1 of 40 rows) and 'b' (2) have missing values: fill these, say with SimpleImputer, or drop the rows"
    )


def test_wrong_features_are_told_before_their_values():
    fitted = LogisticRegression().fit(pandas.DataFrame({"a": X[:, 0], "b": X[:, 1]}), y)
    for column in (JOBS, replaced(np.nan, 3)):
        with pytest.raises(ValueError, match="feature names should match"):
            fitted.predict(pandas.DataFrame({"a": X[:, 0], "other": column}))
    with pytest.raises(ValueError, match="X has 3 features, but"):
        fitted.predict(np.column_stack([X, JOBS]))


def test_what_numpy_would_misread():
    with pytest.raises(TypeError, match=r"^X must not be a masked array"):
        LogisticRegression().fit(np.ma.masked_array(X, X > 0), y)
    with pytest.raises(TypeError, match=r"got LazyFrame: pass X.collect\(\)"):
        optimum.predict(polars.LazyFrame({"a": X[:, 0], "b": X[:, 1]}))


def test_columns_of_structures_and_of_arrays():
    for column in ([{"a": 1, "b": 2}] * M, [[1.0, 2.0]] * M):
        for library in MAKE:
            with pytest.raises(TypeError, match="column 'c' holds values that aren't numbers"):
                jitlogit.predict(table_of(library, column), WEIGHTS, 0.0)


def test_good_tables_are_not_looked_at(monkeypatch):
    """Values are looked at after a failure only, so that good data cost no pass."""
    monkeypatch.setattr(tables, "columns_error", None)
    for library in MAKE:
        jitlogit.predict(table_of(library, NUMBERS), WEIGHTS, 0.0)
        mini_batch.predict(table_of(library, NUMBERS))


LABELS = {
    "train": lambda labels: jitlogit.train_logistic_regression(X, labels, 1e-3, 1),
    "softmax": lambda labels: jitlogit.train_softmax_regression(X, labels, 1e-3, 1),
    "compare": lambda labels: jitlogit.compare(X, labels, epochs=1, batch_sizes=[None], test_size=0),
    "finder": lambda labels: jitlogit.learning_rate_finder(X, labels, random_state=0),
    "mini-batches": lambda labels: MiniBatchLogisticRegression(**SHORT).fit(X, labels),
    "partial_fit": lambda labels: MiniBatchLogisticRegression(**SHORT).partial_fit(X, labels, classes=[0, 1]),
    "eval_set": lambda labels: MiniBatchLogisticRegression(**SHORT).fit(X, y, eval_set=(X, labels)),
    "optimum": lambda labels: LogisticRegression().fit(X, labels),
}


@pytest.mark.parametrize("way_in", LABELS)
def test_missing_labels(way_in):
    gaps = without(y.tolist(), 3, 5)
    for labels in (
        gaps,
        np.array(gaps, float),
        pandas.Series(gaps, dtype="Int64"),
        pandas.Series(gaps),
        polars.Series(gaps),
        pyarrow.array(gaps),
    ):
        with pytest.raises(
            ValueError, match=r"[yY](_train)? contains NaN: 2 of 40 labels are missing; drop these rows"
        ):
            LABELS[way_in](labels)


@pytest.mark.parametrize("way_in", ["train", "softmax", "compare"])
def test_text_as_labels_of_functions(way_in):
    words = np.where(y == 1, "yes", "no")
    for labels in (words, words.tolist(), pandas.Series(words), polars.Series(words), pandas.Categorical(words)):
        with pytest.raises(
            TypeError, match=r"holds text, e.g. '(yes|no)': encode it, say with LabelEncoder, or use jit"
        ):
            LABELS[way_in](labels)
    with pytest.raises(TypeError, match=r"holds them as text, e.g. '[01]': convert it with astype\(int\)"):
        LABELS[way_in](y.astype(int).astype(str))


@pytest.mark.parametrize("way_in", LABELS)
def test_continuous_labels(way_in):
    message = "labels 0 and 1 only|whole|Unknown label type: continuous"
    with pytest.raises(ValueError, match=message):
        LABELS[way_in](X[:, 0])


def test_infinite_labels_of_softmax():
    with pytest.raises(ValueError, match="whole numbers"):
        LABELS["softmax"](np.where(np.arange(M) == 3, np.inf, y))


@pytest.mark.parametrize(
    "pair",
    [3, X, (X,), (X, y, y), [(X, y)], (X[0], y), (X[:, :1], y), (X, y[1:]), (X, None), (X, y + 5), (X[:0], y[:0])],
)
def test_an_error_names_eval_set_once(pair):
    with pytest.raises(ValueError, match=r"^eval_set") as caught:
        MiniBatchLogisticRegression(**SHORT).fit(X, y, eval_set=pair)
    assert str(caught.value).count("eval_set") == 1


def test_the_error_of_the_optimizer_lists_auto():
    with pytest.raises(ValueError, match=r"optimizer must be one of 'auto', 'sgd'.*; got 'adm'"):
        MiniBatchLogisticRegression(optimizer="adm").fit(X, y)


def test_tables_of_one_dtype_are_told_from_others():
    one = pandas.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    assert tables.has_one_dtype(one)
    assert tables.has_one_dtype(one.astype("int8"))
    for other in (one.astype({"a": "float32"}), one.astype("Float64"), one.astype(object), one > 1, one.iloc[:, :0]):
        assert not tables.has_one_dtype(other)
    for other in (one.to_numpy(), one["a"], polars.DataFrame({"a": [1.0]}), [[1.0]]):
        assert not tables.has_one_dtype(other)


def test_names_are_checked_where_columns_are_not():
    table = pandas.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [3.0, 1.0, 4.0, 1.0]})
    model = jitlogit.MiniBatchLogisticRegression(max_iter=1).fit(table, [0, 1, 0, 1])
    assert list(model.feature_names_in_) == ["a", "b"]
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(table.rename(columns={"b": "c"}))
    with pytest.raises(ValueError, match=r"feature names should match|features"):
        model.predict(table[["a"]])
    with pytest.raises(ValueError, match="minimum of 1 is required"):
        model.predict(table.iloc[:0])
    assert np.array_equal(model.predict(table.to_numpy().tolist()), model.predict(table))
