"""asv's benchmarks, each once over the whole product of its params, at toy size."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import json
import math
import sys
import types
from pathlib import Path

import pytest

import jitlogit

BENCHMARKS = Path(__file__).parent
MODULES = sorted({path.stem for path in (BENCHMARKS / "asv_suite").glob("*.py")} - {"__init__", "data"})


@pytest.fixture(scope="module")
def suite():
    """The modules of benchmarks, imported as a package."""
    patch = pytest.MonkeyPatch()
    patch.setenv("JITLOGIT_BENCHMARK_MEGABYTES", "0.1")
    path, known = list(sys.path), set(sys.modules)
    spec = importlib.util.spec_from_file_location(
        "asv_suite",
        BENCHMARKS / "asv_suite" / "__init__.py",
        submodule_search_locations=[str(BENCHMARKS / "asv_suite")],
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules["asv_suite"] = package
    spec.loader.exec_module(package)
    modules = {name: importlib.import_module(f"asv_suite.{name}") for name in MODULES}
    patch.setattr(sys.modules["cases"], "settle", lambda: None)
    yield modules
    patch.undo()
    sys.path[:] = path
    for name in set(sys.modules) - known:
        if name in ("cases", "options", "roofline") or name.startswith("asv_suite"):
            del sys.modules[name]


def classes(module):
    return [kind for _, kind in inspect.getmembers(module, inspect.isclass) if kind.__module__ == module.__name__]


def methods(benchmark):
    return [name for name in dir(benchmark) if name.startswith(("time_", "track_", "peakmem_"))]


def product(kind):
    params = getattr(kind, "params", ())
    if params and not isinstance(params[0], list):
        params = (params,)
    assert len(params) == len(getattr(kind, "param_names", ())), f"{kind.__name__} has params without names"
    return itertools.product(*params)


def run_all(kind):
    """Run every method of a benchmark for every combination of its params; return how many ran."""
    count = 0
    cached = kind().setup_cache() if hasattr(kind, "setup_cache") else None
    cached = () if cached is None else (cached,)
    for values in product(kind):
        assert all(isinstance(value, str | int | float) for value in values)
        for name in methods(kind):
            benchmark = kind()
            try:
                getattr(benchmark, "setup", lambda *_: None)(*cached, *values)
            except NotImplementedError:
                continue  # asv's way to leave out a combination
            result = getattr(benchmark, name)(*cached, *values)
            if name.startswith("track_"):
                assert math.isfinite(result), (name, values, result)
            count += 1
    return count


@pytest.mark.filterwarnings("ignore:batch_size=.* is more than")  # the toy data have few rows
@pytest.mark.parametrize("name", MODULES)
def test_every_benchmark_runs_over_the_product_of_its_params(suite, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = [kind for kind in classes(suite[name]) if methods(kind)]
    assert found
    for kind in found:
        assert run_all(kind), f"{kind.__name__} ran nothing"


def tracked(suite, monkeypatch, ours):
    """What each `track_` benchmark says of one combination, if our fits take so many seconds and make such errors."""
    seconds = {"reference": 2.0, "one": 2.0, "numba": ours, "all": ours, "fit": ours}
    found = {}
    for name in ("epochs", "training"):
        module = suite[name]
        monkeypatch.setattr(module, "seconds_in_turn", lambda runs, **_: {run: seconds[run] for run in runs})
        for kind in classes(module):
            for method in filter(lambda method: method.startswith("track_"), methods(kind)):
                benchmark, values = kind(), list(product(kind))[-1]
                benchmark.setup(*values)
                if isinstance(benchmark, suite["training"].Training):
                    W, b, _ = benchmark.fit()
                    benchmark.fit = lambda W=W, b=b: (W / ours, b, None)  # after few epochs, larger weights are better
                    benchmark.y_test = jitlogit.predict(benchmark.X_test, W, b)[0]
                    benchmark.y_test[: int(8 * ours)] ^= 1
                found[f"{kind.__name__}.{method}"] = getattr(benchmark, method)(*values)
    return found


@pytest.mark.filterwarnings("ignore:batch_size=.* is more than")
def test_what_is_tracked_is_a_cost(suite, monkeypatch):
    """asv calls each rise a regression, so it would be misled by a figure that rises with a gain."""
    monkeypatch.setattr(suite["epochs"], "numba", types.SimpleNamespace(get_num_threads=lambda: 2))
    monkeypatch.setattr(suite["training"], "read_bandwidth", lambda *_, **__: 1e9)
    better, worse = (tracked(suite, monkeypatch, ours) for ours in (0.5, 1.0))
    assert len(better) >= 6
    for name, value in better.items():
        assert value < worse[name], name


def foreign_imports(text):
    """Names of distributions that a module imports at its top, beside Python's own and those of the checkout."""
    names = {"sklearn": "scikit-learn"}
    found = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.split(".")[0])
    local = {path.stem for path in BENCHMARKS.glob("*.py")} | {"jitlogit"}
    return {names.get(name, name) for name in found - set(sys.stdlib_module_names) - local}


def test_asvs_environments_hold_what_benchmarks_import(suite):
    installed = set(json.loads((BENCHMARKS.parent / "asv.conf.json").read_text())["matrix"]["req"])
    for name in (*MODULES, "data"):
        assert foreign_imports((BENCHMARKS / "asv_suite" / f"{name}.py").read_text()) <= installed, name
    assert foreign_imports("import os, cases\nfrom sklearn.svm import SVC\nimport scipy.sparse") == {
        "scikit-learn",
        "scipy",
    }


def test_params_without_names_are_caught():
    class Nameless:
        params = ([1, 2],)

        def time_nothing(self, n):
            pass

    with pytest.raises(AssertionError, match="without names"):
        run_all(Nameless)


def test_a_benchmark_that_breaks_is_caught():
    class Broken:
        def track_nothing(self):
            return math.nan

    with pytest.raises(AssertionError, match="track_nothing"):
        run_all(Broken)
