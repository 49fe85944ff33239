"""Names and coefficients of linear classifiers, of jitlogit and others, for plots."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from ..data.validation import Array

_NAME_WIDTH = 40  # characters of a feature's name that leave room for bars


def coefficients_of(model: Any, class_label: Any, most_classes: int) -> tuple[list[str], Array, list[str]]:
    """Return names of the features (n,), coefficients (1 or K, n) in float64, and a label for each row of them.

    Raises ValueError for a model without coefficients, an unknown class, and more classes than one picture can show.
    """
    names = None
    if hasattr(model, "steps"):
        if len(model.steps) > 1:
            with contextlib.suppress(AttributeError):  # of a step that can't name what it makes, or isn't fitted
                names = model[:-1].get_feature_names_out()
        model = model.steps[-1][1]
    missing = [name for name in ("coef_", "classes_") if not hasattr(model, name)]
    if missing:
        raise ValueError(
            f"model must be a fitted linear classifier; got a {type(model).__name__} without {' and '.join(missing)}: "
            "call fit(X, y) first; of a search, pass best_estimator_"
        )
    coef = model.coef_.toarray() if hasattr(model.coef_, "toarray") else model.coef_
    coef, classes = np.atleast_2d(np.asarray(coef, np.float64)), np.asarray(model.classes_).tolist()
    if len(coef) != (1 if len(classes) == 2 else len(classes)):
        raise ValueError(
            f"model must have a row of coef_ for each class, or one for two classes; got {coef.shape} for "
            f"{len(classes)} classes"
        )
    if class_label is not None and class_label not in classes:
        raise ValueError(f"class_label must be one of {_some(classes)}; got {class_label!r}")
    if class_label is None and len(classes) > most_classes:
        raise ValueError(f"model has {len(classes)} classes: choose one by class_label, of {_some(classes)}")
    if names is None:
        names = getattr(model, "feature_names_in_", [f"x{j}" for j in range(coef.shape[1])])
    names = [str(name) for name in names]
    if len(classes) == 2:
        chosen = 1 if class_label is None else classes.index(class_label)
        return names, coef if chosen else -coef, [f"class {classes[chosen]}"]
    if class_label is None:
        return names, coef, [str(label) for label in classes]
    return names, coef[[classes.index(class_label)]], [f"class {class_label}"]


def shortened(name: str) -> str:
    """The name, without its middle if it is long: names often differ at their ends."""
    half = _NAME_WIDTH // 2
    return name if len(name) <= _NAME_WIDTH else f"{name[: half - 1]}…{name[-half:]}"


def _some(classes: list[Any]) -> str:
    return ", ".join(map(repr, classes[:6])) + (", ..." if len(classes) > 6 else "")
