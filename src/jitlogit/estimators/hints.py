"""What scikit-learn's `LogisticRegression` has and ours lacks, and what to use instead."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

# Parameters of scikit-learn's class that this one lacks, with advice.
_MISSING_PARAMETERS = {
    "penalty": 'use l1_ratio, 0 for "l2" and 1 for "l1", and C=numpy.inf for none',
    "dual": "leave it out: the primal problem is solved, which has the same optimum",
    "intercept_scaling": "leave it out: the intercept isn't penalised",
    "multi_class": "leave it out: more than two classes are told apart by softmax; for one against the rest, use "
    "sklearn.multiclass.OneVsRestClassifier",
    "n_jobs": "use n_threads",
}
#: Solvers of scikit-learn's class that this one lacks.
MISSING_SOLVERS = ("liblinear", "sag", "saga")

Initialiser = TypeVar("Initialiser", bound=Callable[..., None])


def with_hints(init: Initialiser) -> Initialiser:
    """Decorate `__init__` so that a parameter that only scikit-learn's class has raises TypeError with advice."""

    @functools.wraps(init)
    def call(self: Any, *arguments: Any, **options: Any) -> None:
        for name in options:
            if name in _MISSING_PARAMETERS:
                raise TypeError(f"{type(self).__name__} has no parameter {name!r}: {_MISSING_PARAMETERS[name]}")
        init(self, *arguments, **options)

    return call  # type: ignore[return-value]
