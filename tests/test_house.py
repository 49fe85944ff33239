"""The rules of the layout, and that each check of them catches a violation."""

from __future__ import annotations

import ast
import inspect
import re
import shutil
import subprocess
import sys

import pytest
from conftest import SOURCE, run_python

import jitlogit
from jitlogit import reference
from jitlogit.textbook import binary as functional

ROOT = SOURCE.parents[1]
NUMBA_IN_USE = re.compile(r"^\s*(import|from) (numba|llvmlite)\b.*", re.MULTILINE)


def numba_imports(text):
    return [match.group() for match in NUMBA_IN_USE.finditer(text)]


def test_only_jit_compiles():
    users = {path.name for path in SOURCE.rglob("*.py") if numba_imports(path.read_text())}
    # _lowering is _jit's own; five hold LLVM code, _team asks for the number of threads, compare says which version ran
    code = {"lane_types.py", "lanes.py", "eights.py", "memory.py", "barrier.py"}
    assert users == {"_jit.py", "_lowering.py", "_team.py", "compare.py"} | code
    for path in SOURCE.rglob("*.py"):
        assert ("njit" in path.read_text()) == (path.name == "_jit.py")
    assert numba_imports("x = 1\nfrom numba import njit\n") == ["from numba import njit"]


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


def test_the_readme_names_functions_that_exist():
    rows = re.findall(r"^\|.*\| `(kernels/\w+\.py)`: `(\w+)` \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(rows) >= 9
    for path, name in rows:
        assert f"\ndef {name}(" in (SOURCE / path).read_text(), (path, name)


def test_every_public_function_has_a_reference_twin():
    twins = [name for name in jitlogit.__all__ if getattr(functional, name, None) is getattr(jitlogit, name)]
    assert len(twins) == 8
    for name in twins:
        fast = inspect.signature(getattr(jitlogit, name)).parameters
        slow = inspect.signature(getattr(reference, name)).parameters
        extra = ["pack", "n_threads"] if name == "train_logistic_regression" else []
        assert list(fast) == [*slow, *extra]
        for parameter in slow:
            assert fast[parameter].default == slow[parameter].default
            assert fast[parameter].kind == slow[parameter].kind


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
        ("kernels/link.py", "from .. import training", "Each floor imports only from floors below it BROKEN"),
        (
            "kernels/storage.py",
            "from . import epoch",
            "Kernels are layered: loops over storages, links and updates BROKEN",
        ),
        (
            "reference/system.py",
            "from .. import validation",
            "The reference imports NumPy and nothing else of ours BROKEN",
        ),
        ("training.py", "import matplotlib", "matplotlib is imported on use, by the plots alone BROKEN"),
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
