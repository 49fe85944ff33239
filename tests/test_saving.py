"""Models on disk and as scikit-learn's class: the same predictions, and a clear error for anything else."""

from __future__ import annotations

import io
import json
import os
import pickle
import stat
import warnings
import zipfile

import numpy as np
import pandas
import pytest
from conftest import JIT_OFF, make_classes, make_data, run_python
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression as Theirs
from sklearn.model_selection import StratifiedKFold

import jitlogit
from jitlogit import LogisticRegression, LogisticRegressionCV, MiniBatchLogisticRegression
from jitlogit.estimators import saving

EPOCHS = 2 if JIT_OFF else 5
KINDS = {
    "optimum": lambda **options: LogisticRegression(**options),
    "path": lambda **options: LogisticRegressionCV(Cs=[0.1, np.float32(1)], cv=3, **options),
    "mini-batch": lambda **options: MiniBatchLogisticRegression(random_state=0, max_iter=EPOCHS, **options),
}
LABELS = {
    "integers": np.array([-3, 7, 9]),
    "bytes": np.array([1, 2, 250], np.uint8),
    "text": np.array(["no", "yes", "žluťoučký"]),
    "objects": np.array(["no", "yes", "žluťoučký"], object),
    "floats": np.array([-1.0, 0.0, 2.0]),
    "dates": np.array(["2020-01-01", "2020-02-01", "2021-01-01"], "datetime64[D]"),
    "bools": np.array([False, True]),
    "two": np.array(["a", "b"], object),
}


def rows(labels, dtype=np.float64):
    X, y = make_classes(90, 4, len(labels))
    return X.astype(dtype), labels[y]


@pytest.fixture
def saved(tmp_path):
    """A model, and the file that it is saved to."""
    X, y = rows(LABELS["text"])
    model = MiniBatchLogisticRegression(random_state=0, max_iter=EPOCHS).fit(X, y)
    model.save(tmp_path / "model.npz")
    return model, tmp_path / "model.npz"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("labels", LABELS)
def test_a_model_comes_back_whole(kind, labels, tmp_path):
    X, y = rows(LABELS[labels])
    names = ["größe", "a b", "", "last"]
    model = KINDS[kind](fit_intercept=labels != "floats", class_weight="balanced")
    model.fit(pandas.DataFrame(X, columns=names) if labels == "objects" else X, y)
    model.save(tmp_path / "model.npz")
    loaded = jitlogit.load(tmp_path / "model.npz")
    assert type(loaded) is type(model)
    assert repr(loaded.get_params()) == repr(model.get_params())
    assert list(vars(loaded)) == list(vars(model))
    assert loaded.classes_.dtype == model.classes_.dtype
    if labels == "objects":
        assert loaded.feature_names_in_.tolist() == names
        X = pandas.DataFrame(X, columns=names)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        assert np.array_equal(getattr(loaded, method)(X), getattr(model, method)(X))
    loaded.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "model.npz").read_bytes()


@pytest.mark.parametrize("form", [np.asarray, np.asfortranarray, sparse.csr_array])
def test_float32_models_come_back_too(form, tmp_path):
    X, y = rows(LABELS["integers"], np.float32)
    for make in KINDS.values():
        model = make().fit(form(X), y)
        model.save(tmp_path / "model.npz")
        assert np.array_equal(
            jitlogit.load(tmp_path / "model.npz").predict_proba(form(X)), model.predict_proba(form(X))
        )


def test_parameters_of_any_plain_type_come_back(tmp_path):
    X, y = rows(LABELS["integers"])
    splits = list(StratifiedKFold(3).split(X, y))
    model = LogisticRegressionCV(
        Cs=np.array([0.1, 1]), cv=splits, scoring="accuracy", class_weight={-3: 1, np.int64(7): 2.5, 9: 1.0}
    ).fit(X, y)
    model.save(tmp_path / "model.npz")
    loaded = jitlogit.load(tmp_path / "model.npz")
    assert loaded.class_weight == model.class_weight
    assert np.array_equal(loaded.Cs, model.Cs)
    np.testing.assert_equal(loaded.cv, splits)
    assert np.array_equal(clone(loaded).fit(X, y).coef_, model.coef_)
    LogisticRegression(C=np.inf, n_threads=1).fit(X, y == 7).save(tmp_path / "model.npz")
    assert np.isposinf(jitlogit.load(tmp_path / "model.npz").C)


def test_training_goes_on_as_from_the_original(tmp_path):
    X, Y = make_data(200, 5)
    y = np.where(Y[0] == 1, "yes", "no")
    model = MiniBatchLogisticRegression(random_state=0, class_weight="balanced")
    for part in (slice(0, 50), slice(50, 100)):
        model.partial_fit(X[part], y[part], classes=["no", "yes"])
    model.save(tmp_path / "model.npz")
    loaded = jitlogit.load(tmp_path / "model.npz")
    for one in (model, loaded):
        one.partial_fit(X[100:], y[100:])
    assert np.array_equal(loaded.coef_, model.coef_)
    assert loaded.history_["loss"] == model.history_["loss"]
    assert loaded.n_iter_ == model.n_iter_ == 3
    for model in (
        LogisticRegression(warm_start=True, max_iter=1, solver="gd"),
        MiniBatchLogisticRegression(warm_start=True, max_iter=EPOCHS, random_state=0),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, y).save(tmp_path / "model.npz")
            loaded = jitlogit.load(tmp_path / "model.npz").fit(X, y)
            cold = clone(model).fit(X, y)
            assert np.array_equal(loaded.coef_, model.fit(X, y).coef_)
        assert not np.array_equal(loaded.coef_, cold.coef_)


def test_calls_of_a_stream_are_still_judged_together(tmp_path):
    X, Y = make_data(200, 5)
    model = MiniBatchLogisticRegression(learning_rate=0.01, random_state=0)
    for _ in range(3):
        model.partial_fit(X, Y[0], classes=[0, 1])
    model.save(tmp_path / "model.npz")
    assert len(model._calls) == 3
    assert jitlogit.load(tmp_path / "model.npz")._calls == model._calls


def test_what_only_pickle_could_keep_is_left_out_with_a_warning(tmp_path):
    X, y = rows(LABELS["two"])
    model = MiniBatchLogisticRegression(
        max_iter=EPOCHS,
        random_state=np.random.RandomState(0),
        callbacks=lambda _: None,
    ).fit(X, y)
    with pytest.warns(UserWarning, match="can't hold random_state, callbacks: left out") as caught:
        model.save(tmp_path / "model.npz")
    assert caught[0].filename == __file__
    loaded = jitlogit.load(tmp_path / "model.npz")
    assert loaded.random_state is None
    assert loaded.callbacks is None
    assert np.array_equal(loaded.predict_proba(X), model.predict_proba(X))
    search = LogisticRegressionCV(Cs=2, cv=StratifiedKFold(3), scoring=lambda model, X, y: model.score(X, y)).fit(X, y)
    with pytest.warns(UserWarning, match="can't hold cv, scoring"):
        search.save(tmp_path / "model.npz")


def test_the_path_is_taken_as_it_is(saved, tmp_path, monkeypatch):
    model, path = saved
    monkeypatch.chdir(tmp_path)
    model.save("model of today")
    model.save(b"model.bin")
    (tmp_path / "link").symlink_to(path)
    model.save("link")
    assert sorted(os.listdir()) == ["link", "model of today", "model.bin", "model.npz"]
    assert (tmp_path / "link").is_symlink()
    assert jitlogit.load("link").n_iter_ == model.n_iter_
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "model.bin").stat().st_mode) == 0o666 & ~mask
    for call in (model.save, jitlogit.load):
        with pytest.raises(TypeError, match=r"path must be a str or an os\.PathLike; got 3"):
            call(3)
    with pytest.raises(FileNotFoundError, match="absent"):
        jitlogit.load("absent")
    with pytest.raises(FileNotFoundError, match="absent"):
        model.save("absent/model.npz")


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_crash_leaves_the_file_before(saved, monkeypatch, step):
    model, path = saved
    before = path.read_bytes()

    def crash(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(os, step, crash)
    with pytest.raises(OSError, match="the disk is full"):
        model.set_params(alpha=0.5).save(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_each_flipped_byte_and_each_truncation_is_seen(saved):
    _, path = saved
    content = path.read_bytes()
    said = r"it is(n't a model that jitlogit saved| truncated, damaged)"
    for place in range(len(content)):
        flipped = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        for damaged in (flipped, content[:place]):
            with pytest.raises(ValueError, match=said):
                saving._members(damaged)
    for place in range(0, len(content), 500):
        path.write_bytes(content[:place])
        with pytest.raises(ValueError, match=r"model\.npz can't be loaded: " + said):
            jitlogit.load(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(ValueError, match="was changed after saving"):
        jitlogit.load(path)


def test_other_files_are_no_models(tmp_path):
    np.savez(tmp_path / "data.npz", X=np.zeros(3))
    np.save(tmp_path / "data.npy", np.zeros(3))
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(LogisticRegression()))
    (tmp_path / "empty").touch()
    for name in os.listdir(tmp_path):
        with pytest.raises(ValueError, match=f"{name} can't be loaded: it isn't a model that jitlogit saved"):
            jitlogit.load(tmp_path / name)


def rewrite(path, change):
    """Change the header or the arrays of a file, whose checksum is right afterwards."""
    header, arrays = saving._members(path.read_bytes())
    change(header, arrays)
    path.write_bytes(saving._sealed_file(header, arrays))


BROKEN = {
    "newer": (lambda h, a: h.update(format=2, jitlogit="0.9"), "has format 2, .* install jitlogit 0.9 or newer"),
    "newest": (lambda h, a: h.update(format=2, jitlogit=None), "has format 2, .* install the newest jitlogit"),
    "class": (lambda h, a: h.update({"class": "os.system", "jitlogit": "0.9"}), "'os.system', .* install jitlogit 0.9"),
    "parameter": (
        lambda h, a: h["parameters"].update(momentum=1),
        "parameters that .* doesn't have, momentum; install",
    ),
    "method": (lambda h, a: h["attributes"].update(predict=1), "sets predict, which no fit sets"),
    "kind": (lambda h, a: h["attributes"].update(n_iter_={"call": []}), "unknown kind 'call'"),
    "no coef": (lambda h, a: h["attributes"].pop("coef_"), "it has no coef_"),
    "no moments": (lambda h, a: h["attributes"].pop("_seen"), "it has no _seen"),
    "no array": (lambda h, a: a.pop("coef_"), "the array 'coef_' is missing"),
    "other shape": (lambda h, a: a.update(coef_=a["coef_"][:, 1:]), r"coef_ must be .* of shape \(3, 4\); got .*3, 3"),
    "other type": (lambda h, a: a.update(coef_=a["coef_"] > 0), "coef_ must be an array of floats.* got bool"),
    "fewer biases": (lambda h, a: a.update(intercept_=a["intercept_"][1:]), r"intercept_ must be .* of shape \(3,\)"),
    "not finite": (lambda h, a: a["coef_"].fill(np.nan), "coef_ must be finite; got .nan"),
    "features": (lambda h, a: h["attributes"].update(n_features_in_=-4), "n_features_in_ must be a positive integer"),
    "one class": (lambda h, a: a.update(classes_=a["classes_"][:1]), "classes_ must be an array of two classes"),
    "twice": (lambda h, a: a.update(classes_=a["classes_"][[0, 0, 1]]), "classes_ must ascend"),
    "names": (lambda h, a: h["attributes"].update(feature_names_in_={"objects": ["a"]}), "must be 4 texts"),
    "moments": (lambda h, a: a.update({"_seen.2.1": np.zeros(3)}), r"_seen.mean must be .* of shape \(4,\)"),
    "no header": (lambda h, a: h.clear(), "can't be loaded"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_contents_that_make_no_sense_are_clear_errors(saved, name):
    _, path = saved
    change, message = BROKEN[name]
    rewrite(path, lambda header, arrays: None)
    jitlogit.load(path)
    rewrite(path, change)
    with pytest.raises(ValueError, match=r"model\.npz can't be loaded: ") as caught:
        jitlogit.load(path)
    caught.match(message)


class _Payload:
    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return (os.mkdir, (self.folder,))


def test_loading_executes_nothing(saved, tmp_path):
    _, path = saved
    folder = tmp_path / "made by the payload"
    header, arrays = saving._members(path.read_bytes())
    buffer = io.BytesIO()
    payload = np.array([_Payload(str(folder))], object)
    np.savez(buffer, **{"jitlogit": np.array(json.dumps(header).encode()), **arrays, "coef_": payload})
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = bytes(saving._SEAL)
    content = buffer.getvalue()[: -saving._SEAL]
    path.write_bytes(content + saving._seal(content))
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        jitlogit.load(path)
    assert not folder.exists()
    pickle.loads(pickle.dumps(payload))
    assert folder.exists()  # so the payload works


def test_models_that_could_not_be_loaded_are_not_saved(saved):
    model, path = saved
    before = path.read_bytes()
    model.coef_[0, 0] = np.nan
    with pytest.raises(ValueError, match="the model can't be saved: coef_ must be finite"):
        model.save(path)
    model.coef_ = sparse.csr_array(np.ones((3, 4)))
    with pytest.raises(ValueError, match="coef_ must be dense to be saved"):
        model.save(path)
    with pytest.raises(NotFittedError):
        LogisticRegression().save(path)

    class Derived(LogisticRegression):
        pass

    with pytest.raises(TypeError, match="Derived is another: pickle it"):
        Derived().save(path)
    assert path.read_bytes() == before


def test_a_new_process_reads_it(saved):
    model, path = saved
    X, _ = rows(LABELS["text"])
    expected = model.decision_function(X).tobytes().hex()
    np.save(path.parent / "X.npy", X)
    code = f"""
import numpy as np, jitlogit
print(jitlogit.load({str(path)!r}).decision_function(np.load({str(path.parent / "X.npy")!r})).tobytes().hex())
"""
    assert run_python(code, NUMBA_DISABLE_JIT=os.environ.get("NUMBA_DISABLE_JIT", "0")).strip() == expected
    assert np.array_equal(np.load(path)["coef_"], model.coef_)  # as anyone can


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_scikit_learns_class_predicts_the_same(kind, labels, dtype):
    X, y = rows(LABELS[labels])
    X = X.astype(dtype) if dtype != np.uint8 else np.clip(X * 20 + 100, 0, 255).astype(dtype)
    names = ["a", "b", "c", "d"]
    table = pandas.DataFrame(X, columns=names)
    model = KINDS[kind](fit_intercept=labels != "text").fit(table, y)
    theirs = model.to_sklearn()
    assert type(theirs) is Theirs
    tolerance = 1e-12 if dtype == np.float64 else 1e-6
    assert np.abs(theirs.predict_proba(table) - model.predict_proba(table)).max() <= tolerance
    assert np.array_equal(theirs.predict(table), model.predict(table))
    assert theirs.feature_names_in_.tolist() == names
    assert theirs.n_features_in_ == 4
    assert theirs.n_iter_.tolist() == np.ravel(model.n_iter_).tolist()
    assert theirs.fit_intercept == model.fit_intercept
    assert getattr(model, "C_", getattr(model, "C", 1.0)) == theirs.C
    theirs.coef_[:] = 0
    assert model.coef_.any()  # not shared
    with pytest.raises(NotFittedError):
        clone(model).to_sklearn()


def test_scikit_learns_class_needs_no_jitlogit(tmp_path):
    X, y = rows(LABELS["objects"])
    model = LogisticRegression(class_weight={"no": 2}).fit(X, y)
    (tmp_path / "model.pickle").write_bytes(pickle.dumps((model.to_sklearn(), X)))
    code = f"""
import pickle, sys
sys.modules["jitlogit"] = None
model, X = pickle.load(open({str(tmp_path / "model.pickle")!r}, "rb"))
print(list(model.predict(X)))
"""
    assert run_python(code).strip() == str(list(model.predict(X)))


def test_the_functions_come_with_the_estimators():
    assert {"load", "to_onnx"} <= set(dir(jitlogit))
    code = """
import sys
import jitlogit
assert not {"sklearn", "onnx"} & set(sys.modules)
jitlogit.to_onnx, jitlogit.load
assert "onnx" not in sys.modules
"""
    run_python(code)


def test_a_folder_that_does_not_exist_is_named(saved, tmp_path):
    model, _ = saved
    with pytest.raises(FileNotFoundError, match=r"the folder .*nowhere doesn't exist: create it"):
        model.save(tmp_path / "nowhere" / "model.npz")
