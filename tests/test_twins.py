"""Every public function against its twin in `jitlogit.reference`: the same signature, and by one table the same values.

A row of the table is a public function and sets of arguments: rows of each layout, scaling, weights, penalties,
optimizers, schedules, batches. Function and twin are called with each set, and each output is compared.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from conftest import JIT_OFF, make_classes, make_data, relative_difference

import jitlogit
from jitlogit import reference
from jitlogit.kernels.steps.update import OPTIMIZERS
from jitlogit.training.schedule import SCHEDULES

Arguments = dict[str, Any]

#: Public functions that compute nothing of the equations, and so have no twin.
TOOLS = {"compare", "compare_steps", "learning_rate_finder", "warmup"}
#: Arguments that say how to compute, not what. The reference lacks them.
HOW = ("pack", "n_threads")

# Relative to an output's largest element. One pass rounds sums of rows and of features, in another order than NumPy.
# Training does so in each of some hundred updates, and later ones forget the errors of earlier ones. The largest errors
# on x86 are a fourth of these numbers; in training in float64 a thirtieth. Classes and counts are exact.
ONE_PASS = {"float32": 5e-6, "float64": 1e-14}
TRAINING = {"float32": 1e-5, "float64": 1e-13}
EXACT = {"float32": 0.0, "float64": 0.0}

M, N, K = (67, 5, 3) if JIT_OFF else (1003, 13, 5)
LAYOUTS = ("C", "F", "strided", "read-only")


def with_layout(X: Any, layout: str) -> Any:
    if layout == "strided":
        wide = np.zeros((2 * X.shape[0], 3 * X.shape[1]), X.dtype)
        wide[::2, ::3] = X
        return wide[::2, ::3]
    X = np.array(X, order="F" if layout == "F" else "C")
    X.flags.writeable = layout != "read-only"
    return X


def rows(dtype: str, layout: str = "C") -> Any:
    return with_layout(make_data(M, N, dtype)[0], layout)


def raw_rows(dtype: str) -> Any:
    """Features as they come in files: each has a scale and an offset of its own, from hundredths to thousands."""
    units = np.geomspace(1e-2, 1e3, N)
    return ((make_data(M, N)[0] + np.linspace(-3, 3, N)) * units).astype(dtype)


def raw_scaling(X: Any) -> Arguments:
    return {"offset": X.mean(axis=0, dtype=np.float64), "scale": X.std(axis=0, dtype=np.float64)}


def bytes_of(dtype: str) -> Any:
    """Small integers, which are computed in float32, or what NumPy promotes to float64."""
    return np.random.default_rng(0).integers(0, 256, (M, N)).astype(np.uint8 if dtype == "float32" else np.int32)


def weights(dtype: str) -> Any:
    return np.linspace(-1, 1, N, dtype=dtype).reshape(-1, 1)


LABELS = make_data(M, N)[1]
CLASSES = make_classes(M, N, K)[1]
SAMPLE_WEIGHT = np.arange(M) % 3


def probabilities(dtype: str) -> Any:
    return np.random.default_rng(1).random((1, M)).astype(dtype)


def of_scores(dtype: str) -> Iterator[tuple[str, Arguments]]:
    yield "a row", {"z": np.linspace(-30, 30, 301, dtype=dtype)}
    yield "a table", {"z": np.linspace(-3, 3, 300, dtype=dtype).reshape(20, 15)}
    yield "a number", {"z": 0.3}
    yield "tails", {"z": np.array([np.inf, -np.inf, 1e20, -1e20, 80, -80, 0], dtype)}
    yield "many", {"z": np.random.default_rng(0).standard_normal(400 if JIT_OFF else 40_000).astype(dtype)}


def of_rows(dtype: str, **more: Any) -> Iterator[tuple[str, Arguments]]:
    """Rows of each kind; with W, which gradients don't take, also rows that are scaled."""
    for layout in LAYOUTS:
        yield layout, {"X": rows(dtype, layout), **more}
    yield "raw", {"X": raw_rows(dtype), **more}
    yield "small integers", {"X": bytes_of(dtype), **more}
    if "W" in more:
        yield "one scale", {"X": bytes_of(dtype), **more, "offset": 127.0, "scale": 255.0}
        yield "scaled", {"X": raw_rows(dtype), **more, **raw_scaling(raw_rows(dtype))}


def of_forward_pass(dtype: str) -> Iterator[tuple[str, Arguments]]:
    for name, given in of_rows(dtype, W=weights(dtype), b=0.25):
        # Weights of 1 would make a raw row's score thousands, and its probability 0 or 1.
        yield name, given | ({"W": weights(dtype) / 1e4} if name in ("raw", "small integers") else {})


def of_forward_softmax(dtype: str) -> Iterator[tuple[str, Arguments]]:
    W = np.linspace(-1, 1, N * K).reshape(N, K).astype(dtype)
    for name, given in of_rows(dtype, W=W, b=np.linspace(-1, 1, K)):
        yield name, given | ({"W": W / 1e4} if name in ("raw", "small integers") else {})


def of_predict(dtype: str) -> Iterator[tuple[str, Arguments]]:
    yield from of_forward_pass(dtype)
    yield "threshold", {"X": rows(dtype), "W": weights(dtype), "b": 0.25, "threshold": 0.4}


def of_compute_cost(dtype: str) -> Iterator[tuple[str, Arguments]]:
    A = probabilities(dtype)
    yield "a row of labels", {"A": A, "Y": LABELS}
    yield "flat labels", {"A": A, "Y": LABELS[0].astype(bool)}
    yield "certain", {"A": np.round(A), "Y": LABELS}


def of_compute_gradients(dtype: str) -> Iterator[tuple[str, Arguments]]:
    yield from of_rows(dtype, Y=LABELS, A=probabilities(dtype))


def of_update(dtype: str) -> Iterator[tuple[str, Arguments]]:
    W = weights(dtype)
    yield "a step", {"W": W, "b": 0.25, "dW": W[::-1] ** 2, "db": -0.7, "learning_rate": 0.3}
    yield "a list", {"W": [[0.5], [-2]], "b": 1, "dW": [[1], [1e-3]], "db": 0.5, "learning_rate": 1e-3}


def of_accuracy(_dtype: str) -> Iterator[tuple[str, Arguments]]:
    yield "two rows", {"predictions": LABELS, "Y": np.roll(LABELS, 7, axis=1)}
    yield "flat", {"predictions": LABELS[0], "Y": np.roll(LABELS, 7, axis=1)}
    yield "all right", {"predictions": LABELS, "Y": LABELS}


def of_training(dtype: str, labels: Arguments, rate: float) -> Iterator[tuple[str, Arguments]]:
    """Training of two classes or of several."""
    X = rows(dtype)
    common = {**labels, "learning_rate": rate, "num_iterations": 10, "random_state": 7, "record_every": 1}
    batches = common | {"X_train": X, "batch_size": 32}
    for size in (None, 1, 32, 64, 100, 256):
        size = size and min(size, M)
        slow = {"num_iterations": 3, "learning_rate": rate / 10} if size == 1 else {}
        yield f"batches of {size}", common | {"X_train": X, "batch_size": size} | slow
    for layout in LAYOUTS[1:]:
        yield layout, common | {"X_train": rows(dtype, layout), "batch_size": None}
        yield f"{layout}, batches", batches | {"X_train": rows(dtype, layout)}
    yield "in order", batches | {"shuffle": False}
    yield "blocks", batches | {"shuffle": "blocks"}
    yield "seldom recorded", batches | {"record_every": 4}
    yield "long", common | {"X_train": X, "num_iterations": 20 if JIT_OFF else 300, "batch_size": min(M, 100)}
    yield "raw", common | {"X_train": raw_rows(dtype), "learning_rate": 1e-7}
    yield "raw, batches", batches | {"X_train": raw_rows(dtype), "learning_rate": 1e-8}
    yield "scaled", batches | {"X_train": raw_rows(dtype), **raw_scaling(raw_rows(dtype))}
    yield "small integers", batches | {"X_train": bytes_of(dtype), "offset": 127.0, "scale": 255.0}
    yield "weights", batches | {"sample_weight": SAMPLE_WEIGHT}
    yield "weights, whole", common | {"X_train": X, "sample_weight": SAMPLE_WEIGHT.reshape(-1, 1) / 7}
    for ratio in (0.0, 0.5, 1.0):
        yield f"penalty, {ratio} of L1", batches | {"alpha": 0.01, "l1_ratio": ratio}
    for optimizer in OPTIMIZERS:
        rule = {"optimizer": optimizer, "learning_rate": rate / 5}
        yield f"{optimizer}", batches | rule
        yield f"{optimizer}, whole", common | {"X_train": X} | rule
        more = {"alpha": 0.01, "l1_ratio": 0.5, "average": True, "sample_weight": SAMPLE_WEIGHT}
        yield f"{optimizer} with all", batches | rule | more | {"schedule": "cosine", "offset": 0.3, "scale": 2.0}
    for schedule in SCHEDULES:
        yield f"{schedule} rate", batches | {"schedule": schedule}
    yield "mean of all updates", batches | {"average": True}
    yield "mean of one epoch's", batches | {"average": True, "num_iterations": 1}


def of_binary_training(dtype: str) -> Iterator[tuple[str, Arguments]]:
    yield from of_training(dtype, {"Y_train": LABELS}, 0.05)


def of_softmax_training(dtype: str) -> Iterator[tuple[str, Arguments]]:
    yield from of_training(dtype, {"y_train": CLASSES}, 0.05)
    more = {"X_train": rows(dtype), "y_train": CLASSES, "num_iterations": 3, "record_every": 1}
    yield "a class without samples", more | {"n_classes": K + 1}
    yield "two classes", more | {"y_train": LABELS[0]}


#: Rows of the table: arguments by their names, and the tolerances of all outputs.
TABLE: dict[str, tuple[Callable[[str], Iterator[tuple[str, Arguments]]], dict[str, float]]] = {
    "accuracy": (of_accuracy, EXACT),
    "compute_cost": (of_compute_cost, ONE_PASS),
    "compute_gradients": (of_compute_gradients, ONE_PASS),
    "forward_pass": (of_forward_pass, ONE_PASS),
    "forward_softmax": (of_forward_softmax, ONE_PASS),
    "predict": (of_predict, EXACT),
    "sigmoid": (of_scores, ONE_PASS),
    "train_logistic_regression": (of_binary_training, TRAINING),
    "train_softmax_regression": (of_softmax_training, TRAINING),
    "update_parameters": (of_update, ONE_PASS),
}


def public_functions() -> set[str]:
    names = [*jitlogit.__all__, *jitlogit._RARE]
    return {name for name in names if inspect.isfunction(getattr(jitlogit, name))}


def test_each_public_function_has_a_row():
    """A new public function needs a row here, and so a twin, or a reason to be a tool."""
    assert set(TABLE) == public_functions() - TOOLS
    assert public_functions() >= TOOLS


def differences(fast: Any, slow: Any, tolerance: float) -> list[str]:
    """What differs between the outputs of a function and of its twin, in words."""
    if isinstance(slow, tuple):
        if not isinstance(fast, tuple) or len(fast) != len(slow):
            return [f"{type(fast).__name__} instead of {len(slow)} outputs"]
        pairs = zip(fast, slow, strict=True)
        return [f"output {k}: {words}" for k, pair in enumerate(pairs) for words in differences(*pair, tolerance)]
    found = []
    if isinstance(fast, list | float) != isinstance(slow, list | float):
        found.append(f"{type(fast).__name__} instead of {type(slow).__name__}")
    if np.asarray(fast).dtype != np.asarray(slow).dtype:
        found.append(f"{np.asarray(fast).dtype} instead of {np.asarray(slow).dtype}")
    if np.shape(fast) != np.shape(slow):
        return [*found, f"shape {np.shape(fast)} instead of {np.shape(slow)}"]
    if not np.any(slow):
        return found + (["not all zero"] if np.any(fast) else [])
    error = relative_difference(fast, slow)
    if not error <= tolerance:  # so that NaN is told
        found.append(f"relative difference {error:.2g}, more than {tolerance:.2g}")
    return found


CASES = [
    pytest.param(name, dtype, case, id=f"{name}-{dtype}-{case}")
    for name, (cases, _) in TABLE.items()
    for dtype in ONE_PASS
    for case, _ in cases(dtype)
]


@pytest.mark.parametrize(("name", "dtype", "case"), CASES)
@pytest.mark.filterwarnings("error")
def test_values(name, dtype, case):
    cases, tolerances = TABLE[name]
    given = dict(cases(dtype))[case]
    fast, slow = (getattr(room, name)(**given) for room in (jitlogit, reference))
    assert differences(fast, slow, tolerances[dtype]) == []


def test_a_wrong_output_is_told():
    W, b, costs = right = np.array([[1.0], [-2.0]]), 0.5, [0.7, 0.6]
    assert differences(right, right, 0.0) == []
    for wrong in (
        (W * (1 + 1e-9), b, costs),
        (W, np.nan, costs),
        (W, b, [0.7, np.nan]),
        (W, b, [0.7]),
        (W.astype(np.float32), b, costs),
        (W.ravel(), b, costs),
        (W, b),
        W,
    ):
        assert differences(wrong, right, 1e-10) != []
    assert differences(np.array([0, 1e-300]), np.zeros(2), 1.0) == ["not all zero"]
    assert differences([0.5], np.array([0.5]), 1.0) == ["list instead of ndarray"]


def signatures_differ(fast: Callable[..., Any], slow: Callable[..., Any]) -> bool:
    """Whether names, kinds or defaults of arguments differ, `HOW` aside."""
    fast_ones, slow_ones = (inspect.signature(function).parameters for function in (fast, slow))
    return [(one.name, one.kind, one.default) for one in fast_ones.values() if one.name not in HOW] != [
        (one.name, one.kind, one.default) for one in slow_ones.values()
    ]


@pytest.mark.parametrize("name", TABLE)
def test_signatures(name):
    assert not signatures_differ(getattr(jitlogit, name), getattr(reference, name))


def test_a_wrong_signature_is_told():
    def right(X, rate=0.1, *, n_threads=None): ...

    def same(X, rate=0.1): ...

    assert not signatures_differ(right, same)
    for wrong in (lambda X, rate=0.2: None, lambda X, *, rate=0.1: None, lambda X: None, lambda rows, rate=0.1: None):
        assert signatures_differ(wrong, same)
