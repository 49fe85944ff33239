"""asv's benchmarks, each once over the whole product of its params, at toy size."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import json
import math
import sys
from pathlib import Path

import pytest
from conftest import compiled

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
MODULES = sorted({path.stem for path in (BENCHMARKS / "asv").glob("*.py")} - {"__init__", "data"}) or ["none"]


@pytest.fixture(scope="module")
def suite():
    """The modules of benchmarks, imported as a package of another name than asv's own."""
    if not BENCHMARKS.is_dir():
        pytest.skip("the benchmarks lie beside the tests in a checkout")
    patch = pytest.MonkeyPatch()
    patch.setenv("JITLOGIT_BENCHMARK_MEGABYTES", "0.1")
    path, known = list(sys.path), set(sys.modules)
    spec = importlib.util.spec_from_file_location(
        "asv_suite", BENCHMARKS / "asv" / "__init__.py", submodule_search_locations=[str(BENCHMARKS / "asv")]
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


@compiled
@pytest.mark.filterwarnings("ignore:batch_size=.* is more than")  # the toy data have few rows
@pytest.mark.parametrize("name", MODULES)
def test_every_benchmark_runs_over_the_product_of_its_params(suite, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = [kind for kind in classes(suite[name]) if methods(kind)]
    assert found
    for kind in found:
        assert run_all(kind), f"{kind.__name__} ran nothing"


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
        assert foreign_imports((BENCHMARKS / "asv" / f"{name}.py").read_text()) <= installed, name
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
