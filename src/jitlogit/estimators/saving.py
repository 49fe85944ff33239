"""Models on disk: one file of arrays and JSON, without pickle.

The file is what `numpy.savez` writes: a zip archive of arrays. Its first member, `jitlogit`, is a text of JSON with the
class, the parameters and the fitted attributes. Their arrays are the other members. The archive's comment is the
SHA-256 of all bytes before it, which shows any change of the file.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import uuid
import warnings
import zipfile
from collections.abc import Callable
from importlib import import_module, metadata
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..data.moments import RunningMoments
from ..data.validation import Array, is_sparse

# Version of the layout of the file. Any jitlogit can read the header's "format" and "jitlogit", of any version.
FORMAT = 1

_CLASSES = {
    "LogisticRegression": "logistic",
    "LogisticRegressionCV": "logistic_cv",
    "MiniBatchLogisticRegression": "mini_batch",
}
_PREDICTION = ("classes_", "coef_", "intercept_", "n_features_in_", "n_iter_")
_REQUIRED = {
    "LogisticRegression": _PREDICTION,
    "LogisticRegressionCV": (*_PREDICTION, "C_", "Cs_", "scores_"),
    "MiniBatchLogisticRegression": (*_PREDICTION, "history_", "_seen"),  # `partial_fit` goes on from the last two
}
_HEADER = "jitlogit"
_NAME_AT = 30  # bytes before the name of an archive's first member
_SEAL = hashlib.sha256().digest_size * 2


def save(model: Any, path: Any) -> None:
    """See `LinearClassifier.save`."""
    name, kind = type(model).__name__, type(model)
    if name not in _CLASSES or _class(name) is not kind:
        raise TypeError(f"save writes the classes {', '.join(_CLASSES)} of jitlogit; {name} is another: pickle it")
    check_is_fitted(model)
    if is_sparse(model.coef_):
        raise ValueError("coef_ must be dense to be saved: call densify() first")
    parts: dict[str, dict[str, Any]] = {"parameters": {}, "attributes": {}}
    parameters = model.get_params(deep=False)
    arrays: dict[str, Array] = {}
    left_out = []
    for key, value in vars(model).items():
        found: dict[str, Array] = {}
        try:
            parts["parameters" if key in parameters else "attributes"][key] = _encoded(value, key, found)
        except TypeError:
            left_out.append(key)
        else:
            arrays |= found
    try:
        _check_attributes(name, {key: getattr(model, key) for key in parts["attributes"]})
    except ValueError as error:
        raise ValueError(f"the model can't be saved: {error}") from None
    if left_out:
        warnings.warn(
            f"a file without pickle can't hold {', '.join(left_out)}: left out, and the loaded model has the defaults",
            UserWarning,
            stacklevel=3,
        )
    header = {"format": FORMAT, "jitlogit": _version(), "class": name, **parts}
    _write_whole(os.path.realpath(_path(path)), _sealed_file(header, arrays))


def load(path: Any) -> Any:
    """Load a model that `save` wrote.

    Nothing in the file is executed. It is checked whole: its checksum, its format, and that its arrays agree.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    LogisticRegression, LogisticRegressionCV or MiniBatchLogisticRegression
        With the parameters and fitted attributes of the saved one. Predictions have the same bits on the same machine,
        and `warm_start` and `partial_fit` go on as from the saved one.

    Raises
    ------
    ValueError
        If the file isn't a saved model, or is truncated or damaged, or was written in a newer format, or doesn't make
        sense. The message names the file.
    OSError
        If it can't be read.

    Examples
    --------
    >>> import tempfile
    >>> import jitlogit
    >>> model = jitlogit.LogisticRegression(C=10).fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(f"{folder}/model.npz")
    ...     loaded = jitlogit.load(f"{folder}/model.npz")
    >>> loaded
    LogisticRegression(C=10)
    """
    with open(_path(path), "rb") as file:
        content = file.read()
    try:
        return _model_of(*_members(content))
    except Exception as error:  # a file with a right checksum may still hold anything
        raise ValueError(f"{_path(path)} can't be loaded: {error}") from error


# ---------------------------------------------------------------------------------------------------------------------


def _class(name: str) -> Any:
    return getattr(import_module(f".{_CLASSES[name]}", __package__), name)


def _path(path: Any) -> str:
    try:
        return os.fsdecode(path)
    except TypeError:
        raise TypeError(f"path must be a str or an os.PathLike; got {path!r}") from None


def _version() -> str | None:
    """The installed version of jitlogit; None where it runs from its sources without being installed."""
    try:
        return metadata.version("jitlogit")
    except metadata.PackageNotFoundError:
        return None


def _encoded(value: Any, name: str, arrays: dict[str, Array]) -> Any:
    """Return a value as JSON, and put its arrays into `arrays`, named after `name`; raise TypeError if it isn't plain.

    Plain are None, numbers, text, NumPy's scalars, dtypes and arrays, and lists, tuples and dicts of them.
    """

    def several(values: Any) -> list[Any]:
        return [_encoded(element, f"{name}.{place}", arrays) for place, element in enumerate(values)]

    if isinstance(value, np.generic | np.ndarray) and value.dtype.kind in "biufcUSMm":
        arrays[name] = np.asarray(value)
        return {"scalar" if isinstance(value, np.generic) else "array": name}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray) and value.dtype == object and value.ndim == 1:
        return {"objects": several(value)}
    if isinstance(value, np.dtype):
        return {"dtype": value.str}
    if isinstance(value, RunningMoments):
        return {"moments": several(value._asdict().items())}
    if isinstance(value, dict):
        return {"dict": several(value.items())}
    if isinstance(value, list | tuple):
        return {"list" if isinstance(value, list) else "tuple": several(value)}
    raise TypeError


def _decoded(tree: Any, arrays: dict[str, Array]) -> Any:
    """Undo `_encoded`."""
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "dtype":
        return np.dtype(content)
    if kind in ("array", "scalar"):
        if content not in arrays:
            raise ValueError(f"the array {content!r} is missing")
        return arrays[content] if kind == "array" else arrays[content][()]
    if kind not in _CONTAINERS:
        raise ValueError(f"it holds a value of the unknown kind {kind!r}")
    return _CONTAINERS[kind]([_decoded(element, arrays) for element in content])


def _objects(values: list[Any]) -> Array:
    array = np.empty(len(values), object)
    for place, value in enumerate(values):
        array[place] = value
    return array


_CONTAINERS: dict[str, Callable[[list[Any]], Any]] = {
    "objects": _objects,
    "moments": lambda values: RunningMoments(**dict(values)),
    "dict": dict,
    "list": list,
    "tuple": tuple,
}


def _sealed_file(header: dict[str, Any], arrays: dict[str, Array]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in {_HEADER: np.array(json.dumps(header).encode()), **arrays}.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
        archive.comment = bytes(_SEAL)
    content = buffer.getvalue()[:-_SEAL]
    return content + _seal(content)


def _seal(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _members(content: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """Header and arrays of a file; raise ValueError if it isn't whole, or its format is another."""
    if not (content.startswith(b"PK") and content.startswith(f"{_HEADER}.npy".encode(), _NAME_AT)):
        raise ValueError("it isn't a model that jitlogit saved, or its beginning is damaged")
    if _seal(content[:-_SEAL]) != content[-_SEAL:]:
        raise ValueError("it is truncated, damaged or was changed after saving: copy it again, or save the model again")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    header = json.loads(arrays.pop(_HEADER).item())
    if header["format"] != FORMAT:
        raise ValueError(
            f"it has format {header['format']}, and this jitlogit reads format {FORMAT} only; {_advice(header)}"
        )
    return header, arrays


def _advice(header: dict[str, Any]) -> str:
    version = header["jitlogit"]
    return f"install jitlogit {version} or newer" if version else "install the newest jitlogit"


def _model_of(header: dict[str, Any], arrays: dict[str, Array]) -> Any:
    name = header["class"]
    if name not in _CLASSES:
        raise ValueError(f"it holds a model of class {name!r}, which this jitlogit doesn't know; {_advice(header)}")
    kind = _class(name)
    parameters, attributes = (
        {key: _decoded(tree, arrays) for key, tree in header[part].items()} for part in ("parameters", "attributes")
    )
    unknown = sorted(set(parameters) - set(kind().get_params(deep=False)))
    if unknown:
        raise ValueError(f"it sets parameters that this {name} doesn't have, {', '.join(unknown)}; {_advice(header)}")
    wrong = [key for key in attributes if callable(getattr(kind, key, None)) or key in parameters]
    if wrong:
        raise ValueError(f"it sets {', '.join(wrong)}, which no fit sets")
    _check_attributes(name, attributes)
    model = kind(**parameters)
    vars(model).update(attributes)
    return model


def _check_attributes(name: str, attributes: dict[str, Any]) -> None:
    """Raise ValueError if fitted attributes are missing or don't agree, so that predictions would fail or mislead."""
    missing = [key for key in _REQUIRED[name] if key not in attributes]
    if missing:
        raise ValueError(f"it has no {', '.join(missing)}")
    classes, n_features = attributes["classes_"], attributes["n_features_in_"]
    if not (isinstance(classes, np.ndarray) and classes.ndim == 1 and classes.size >= 2):
        raise ValueError(f"classes_ must be an array of two classes at least; got {classes!r}")
    if not np.array_equal(np.unique(classes), classes):
        raise ValueError(f"classes_ must ascend; got {classes}")
    if not (isinstance(n_features, int) and n_features > 0):
        raise ValueError(f"n_features_in_ must be a positive integer; got {n_features!r}")
    rows = 1 if classes.size == 2 else classes.size
    _check_array(attributes["coef_"], "coef_", (rows, n_features))
    _check_array(attributes["intercept_"], "intercept_", (rows,))
    names = attributes.get("feature_names_in_")
    if names is not None and not (
        isinstance(names, np.ndarray) and names.shape == (n_features,) and all(isinstance(n, str) for n in names)
    ):
        raise ValueError(f"feature_names_in_ must be {n_features} texts; got {names!r}")
    seen = attributes.get("_seen")
    if seen is not None:
        _check_array(seen.mean, "_seen.mean", (n_features,))
        _check_array(seen.variance, "_seen.variance", (n_features,))
        _check_array(seen.class_weights, "_seen.class_weights", (classes.size,))


def _check_array(array: Any, name: str, shape: tuple[int, ...]) -> None:
    if not (isinstance(array, np.ndarray) and array.dtype in (np.float32, np.float64) and array.shape == shape):
        got = f"{array.dtype} of {array.shape}" if isinstance(array, np.ndarray) else repr(array)
        raise ValueError(f"{name} must be an array of floats, of shape {shape}; got {got}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite; got {array[~np.isfinite(array)][:3]}")


def _write_whole(path: str, content: bytes) -> None:
    """Write a file that appears whole or not at all, by renaming."""
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"the folder {folder} doesn't exist: create it, or save the model elsewhere")
    temporary = os.path.join(folder, f".jitlogit-{uuid.uuid4().hex}")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # else a power cut could leave the new name with an empty file
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
