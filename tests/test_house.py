"""The rules of the layout, and that each check of them catches a violation."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys

import pytest
from conftest import SOURCE, run_python

ROOT = SOURCE.parents[1]
#: Where Numba and llvmlite may be used.
DOORS = ("compiler/", "kernels/simd/")
#: Attributes of Numba's types that `compiler.types` asks for, since Numba doesn't document them.
INSIDE_OF_TYPES = {"bitwidth", "instance_class", "types"}
#: What Numba and llvmlite document: names that may follow theirs.
DOCUMENTED = {
    "__version__", "binding", "config", "extending", "from_dtype", "get_num_threads", "ir", "njit", "prange",
    "set_num_threads", "threading_layer", "typeof", "types",
}  # fmt: skip


def of_numba(name):
    return name.split(".")[0] in ("numba", "llvmlite")


def numba_uses(text):
    """Dotted names of Numba and llvmlite that a source imports or uses, and attributes of Numba's types."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if of_numba(alias.name)}
        elif isinstance(node, ast.ImportFrom):
            start = f"{node.module}." if node.module and not node.level else ""  # of our own modules, no name is Numba
            found |= {start + alias.name for alias in node.names if of_numba(start + alias.name)}
        elif isinstance(node, ast.Attribute) and re.search(r"\b(numba|llvmlite)\.", name := ast.unparse(node)):
            found.add(re.sub(r".*?\b(numba|llvmlite)\.", r"\1.", name))
        elif isinstance(node, ast.Attribute) and node.attr in INSIDE_OF_TYPES:
            found.add(node.attr)
        elif isinstance(node, ast.Name) and of_numba(node.id):
            found.add(node.id)
        elif isinstance(node, ast.Call | ast.Subscript):  # import_module("numba.core"), sys.modules["numba"]
            given = node.args[:2] if isinstance(node, ast.Call) else [node.slice]
            how = ast.unparse(node.func if isinstance(node, ast.Call) else node.value).split(".")[-1]
            names = [str(one.value) for one in given if isinstance(one, ast.Constant)]
            found |= {name for name in names if of_numba(name) and how in ("import_module", "__import__", "modules")}
            found |= {name for name in names if name in INSIDE_OF_TYPES and how == "getattr"}
    return found


def undocumented(text):
    """Of `numba_uses`, what Numba and llvmlite don't document."""
    names = {name for name in numba_uses(text) if "." in name}
    return {name for name in names if name.split(".")[1] not in DOCUMENTED}


def users(uses):
    return {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if uses(path.read_text())}


def test_numba_is_behind_one_door():
    assert {path for path in users(numba_uses) if not path.startswith(DOORS)} == set()
    assert users(numba_uses) >= {"compiler/jit.py", "kernels/simd/lanes.py"}
    assert users(lambda text: "njit" in text) == {"compiler/jit.py"}


@pytest.mark.parametrize(
    "line",
    [
        "import numba",
        "import numpy, numba.core.types as types",
        "from numba import njit",
        "from numba.core import cgutils",
        "    from llvmlite import ir",
        "from ..compiler.jit import numba",
        "importlib.import_module('numba.core')",
        "__import__('llvmlite')",
        "sys.modules['numba']",
        "numba.core.config.DEBUG",
        "jit.numba.core",
        "work.instance_class",
        "getattr(work, 'instance_class', None)",
        "x.dtype.bitwidth == 32",
    ],
)
def test_numba_is_seen_behind_any_window(line):
    assert numba_uses(f"def f():\n    {line.strip()}\n")


@pytest.mark.parametrize(
    "line", ["from ..compiler.jit import njit_like", "version('numba')", "row['numba cost']", "z.T"]
)
def test_what_is_not_of_numba_is_let_be(line):
    assert not numba_uses(line)


def test_what_numba_does_not_document_has_a_way_around():
    """The plain way loads no file that uses it but the one for events, which does without where an import fails."""
    code = "import sys, jitlogit; print(*(name for name in sys.modules if name.startswith('jitlogit.')))"
    loaded = {name.replace(".", "/") + ".py" for name in run_python(code, JITLOGIT_PLAIN_NUMBA="1").split()}
    private = {f"jitlogit/{path}" for path in users(undocumented)}
    assert private >= {"jitlogit/compiler/cache.py", "jitlogit/compiler/lowering.py"}
    assert private & loaded == {"jitlogit/compiler/news.py"}
    seen = undocumented("from numba import types, _dynfunc\nfrom numba.extending import intrinsic\nnumba.core.event\n")
    assert seen == {"numba._dynfunc", "numba.core", "numba.core.event"}


def long_functions(text):
    """Names of functions of more than 60 lines, the docstring not counted."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body and body[-1].end_lineno - body[0].lineno >= 60:
                found.append(node.name)
    return found


def test_files_and_functions_are_small():
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        assert len(text.splitlines()) <= 400, path
        assert long_functions(text) == [], path
    assert long_functions("def f():\n" + "    x = 1\n" * 61) == ["f"]
    assert long_functions("def f():\n" + "    x = 1\n" * 60) == []


def crowded(root, most=13):
    return [folder for folder in [root, *root.rglob("*")] if folder.is_dir() and len(list(folder.glob("*.py"))) > most]


def test_rooms_are_not_crowded(tmp_path):
    assert crowded(SOURCE) == []
    for k in range(14):
        (tmp_path / f"{k}.py").touch()
    assert crowded(tmp_path) == [tmp_path]


def repeated_names(root):
    """Names of modules that stand in two folders."""
    names = [path.name for path in root.rglob("*.py") if not path.name.startswith("__")]
    return {name for name in names if names.count(name) > 1}


def test_a_name_means_one_file(tmp_path):
    assert repeated_names(SOURCE) == set()
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "rows.py").touch()
    assert repeated_names(tmp_path) == {"rows.py"}


def wide_functions(text, most=10):
    """Names of functions with more arguments, constructors and ``self`` not counted."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name != "__init__":
            names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            if len([name for name in names if name != "self"]) > most:
                found.append(node.name)
    return found


#: Public functions, which may take more than ten arguments.
WIDE = {
    "train_logistic_regression", "train_softmax_regression", "compare",
}  # fmt: skip


def test_functions_take_few_arguments():
    found = {name for path in SOURCE.rglob("*.py") for name in wide_functions(path.read_text())}
    assert found == WIDE
    assert wide_functions("def f(a, b, c, d, e, f, g, h, i, j, k):\n    pass\n") == ["f"]


def test_each_room_says_what_it_is_for():
    for folder in [SOURCE, *SOURCE.rglob("*")]:
        if folder.is_dir() and list(folder.glob("*.py")):
            text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
            assert text, folder
            assert len(re.findall(r"\.(\s|$)", text)) >= 3, folder
            assert {"come in", "go out"} <= set(re.findall(r"\bcome in\b|\bgo out\b", text)), folder


#: Fits and calls of which the README's table names the functions, without the JIT, so that they can be traced.
TRACED = """
import json, sys, threading
import numpy as np, jitlogit
from jitlogit.training import order
order.SMALL_SHUFFLE = 3  # so that kernels shuffle a few rows as they do many

def rows(n):
    X = np.random.default_rng(0).standard_normal((96, n), np.float32)
    return X, X[:, 0] > 0

def train(n, **options):
    return lambda: jitlogit.train_logistic_regression(*rows(n), 0.01, 1, **options)

calls = {
    "short rows": train(28, batch_size=32),
    "long rows": train(100, batch_size=32),
    "longer rows": train(784, batch_size=32),
    "single rows": train(28, batch_size=1),
    "adam": train(28, batch_size=32, optimizer="adam"),
    "classes": lambda: jitlogit.train_softmax_regression(*rows(28), 0.01, 1, batch_size=32),
    "probabilities": lambda: jitlogit.forward_pass(rows(28)[0], np.zeros(28), 0.0),
    "cost": lambda: jitlogit.compute_cost(np.full((1, 96), 0.5), np.zeros(96)),
}
found = set()

def note(frame, event, _):
    _, inside, path = frame.f_code.co_filename.rpartition("jitlogit/kernels/")
    if event == "call" and inside:
        found.add(f"kernels/{path}: {frame.f_code.co_name}")

threading.setprofile(note)
traces = {}
for name, call in calls.items():
    found.clear()
    sys.setprofile(note)
    call()
    sys.setprofile(None)
    traces[name] = sorted(found)
print(json.dumps(traces))
"""
#: The trace that shows the functions of a row of the README's table; "short rows" where none is named.
TRACE_OF = {
    "probability": "probabilities",
    "cost": "cost",
    "the same, eight long rows at a time": "long rows",
    "the same, two longer rows at a time": "longer rows",
    "score to update, where a batch is one row": "single rows",
    "update from sums of chunks": "longer rows",
    "update by another optimizer, with a penalty": "adam",
    "several classes": "classes",
}


def not_called(readme, traces):
    """Functions that a row of the table names, but the fit that the row is about doesn't call."""
    missing, count = [], 0
    for line in readme.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        found = re.fullmatch(r"\[(.*)\]\(src/jitlogit/(kernels/.*)\)", cells[-1])
        if line.startswith("|") and found:
            path, names = found[2], re.findall(r"`([^`]+)`", found[1])
            called = traces[TRACE_OF.get(cells[0], "short rows")]
            missing += [(cells[0], name) for name in names if f"{path}: {name}" not in called]
            count += len(names)
    assert count >= 17
    return missing


def test_the_readme_names_the_functions_that_fits_call():
    readme = (ROOT / "README.md").read_text()
    traces = json.loads(run_python(TRACED, NUMBA_DISABLE_JIT="1"))
    assert not_called(readme, traces) == []
    without = traces | {"short rows": [call for call in traces["short rows"] if not call.endswith(": losses")]}
    assert not_called(readme, without) == [("loss", "losses")]
    fused = {f"kernels/{path}" for path in ("storage/operations.py: scores", "steps/link.py: residuals")}
    assert fused.isdisjoint(traces["long rows"] + traces["longer rows"])  # as the text below the table says


def contracts(folder):
    command = shutil.which("lint-imports") or str(shutil.which("lint-imports", path=str(sys.exec_prefix + "/bin")))
    return subprocess.run(
        [command, "--config", str(ROOT / "pyproject.toml"), "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("path", "line", "contract"),
    [
        (None, "", ""),
        ("kernels/steps/link.py", "from ... import training", "from rooms on floors below it BROKEN"),
        ("kernels/storage/plan.py", "from ..passes import tile", "by steps, on vectors BROKEN"),
        ("reference/system.py", "from ..data import scaling", "NumPy and nothing else of ours BROKEN"),
        (
            "training/order.py",
            "from ..reference import shuffled_blocks",
            "which checks it BROKEN",
        ),
        ("training/loop.py", "import matplotlib", "matplotlib is imported on use, by the plots alone BROKEN"),
    ],
)
def test_import_contracts_hold_and_catch(path, line, contract, tmp_path):
    pytest.importorskip("importlinter", reason="the import contracts are checked where import-linter is installed")
    shutil.copytree(SOURCE, tmp_path / "jitlogit", ignore=shutil.ignore_patterns("__pycache__"))
    if path:
        file = tmp_path / "jitlogit" / path
        file.write_text(file.read_text() + f"\n{line}\n")
    done = contracts(tmp_path)
    assert done.returncode == (1 if path else 0), done.stdout + done.stderr
    assert contract in done.stdout


def test_importing_is_light():
    """jitlogit brings nothing that Numba doesn't bring itself, beyond the standard library."""
    code = """
import sys, numba
before = set(sys.modules)
import jitlogit
new = {name.split(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names
print(new - {"jitlogit", "numpy", "numba"})
"""
    assert run_python(code).strip() == "set()"
