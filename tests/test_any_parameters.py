"""MiniBatchLogisticRegression with parameters, data and calls drawn at random."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from conftest import JIT_OFF, make_data
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from jitlogit import MiniBatchLogisticRegression
from jitlogit.kernels.steps.update import OPTIMIZERS
from jitlogit.reference import SCHEDULES


@pytest.mark.filterwarnings("ignore:training ended at a cost")
@settings(max_examples=20 if JIT_OFF else 200, deadline=None)
@given(
    parameters=st.fixed_dictionaries(
        {
            "batch_size": st.sampled_from(["auto", None, 1, 7, 1000]),
            "learning_rate": st.sampled_from(["auto", 1e-3, 1.0, 1e3, 1e30]),
            "schedule": st.sampled_from(SCHEDULES),
            "optimizer": st.sampled_from(OPTIMIZERS),
            "average": st.booleans(),
            "alpha": st.sampled_from([0.0, 1e-4, 1.0, 1e6]),
            "l1_ratio": st.sampled_from([0.0, 0.5, 1.0]),
            "max_iter": st.integers(1, 20),
            "tol": st.sampled_from([None, 0.0, 1e-3]),
            "early_stopping": st.booleans(),
            "fit_intercept": st.booleans(),
            "class_weight": st.sampled_from([None, "balanced", {0: 5.0}]),
            "standardize": st.booleans(),
            "shuffle": st.sampled_from([True, False, "blocks"]),
            "warm_start": st.booleans(),
            "n_threads": st.sampled_from([None, 1, 2]),
        }
    ),
    scale=st.sampled_from([1e-3, 1.0, 1e4]),
    data=st.sampled_from(  # few, since each compiles kernels of its own
        [
            (np.ascontiguousarray, np.float32, 2, False),
            (np.asfortranarray, np.float64, 3, True),
            (sparse.csr_array, np.float32, 2, True),
            (sparse.csr_array, np.float64, 3, False),
        ]
    ),
    calls=st.lists(st.sampled_from(["fit", "partial_fit"]), min_size=1, max_size=3),
)
def test_any_parameters_end_in_a_finite_model_or_a_clear_error(parameters, scale, data, calls):
    form, dtype, classes, weighted = data
    X, Y = make_data(60, 3, dtype)
    y = Y[0] + (classes == 3) * (X[:, 0] > 1)
    X = form(X * dtype(scale))
    before = np.geterr(), warnings.filters.copy()
    if "partial_fit" in calls:
        parameters["early_stopping"] = False
    model = MiniBatchLogisticRegression(random_state=0, **parameters)
    weights = np.arange(60) % 4 if weighted else None
    message = ""
    try:
        for call in calls:
            options = {"classes": np.unique(y)} if call == "partial_fit" else {}
            getattr(model, call)(X, y, sample_weight=weights, **options)
    except ValueError as error:
        message = str(error)
    assert (np.geterr(), warnings.filters) == before
    if message:
        assert parameters["learning_rate"] != "auto"
        assert f"learning_rate={parameters['learning_rate']:g} is too large" in message
        return
    assert np.isfinite(model.coef_).all()
    assert np.isfinite(model.predict_proba(X)).all()
    assert np.isfinite(model.history_["loss"]).all()
