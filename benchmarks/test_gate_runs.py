"""Tests of the gate with real processes: in a small project of its own, and with planted regressions."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cases
import gate_runs
import gate_worker
import planted
import pytest
from verdicts import FAILS

CASE = "batch 256, n=28"
HERE = Path(__file__).parent

_BACKEND = """
import pathlib, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(pathlib.Path(folder) / "toy-1-py3-none-any.whl", "w") as wheel:
        wheel.write("toy.py")
        wheel.writestr("toy-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: toy\\nVersion: 1\\n")
        wheel.writestr("toy-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("toy-1.dist-info/RECORD", "")
    return "toy-1-py3-none-any.whl"
"""
_CASES = """
from typing import NamedTuple

class Case(NamedTuple):
    calls: int = 3

PACKAGE, CASES, SHORT = "toy", {"spin": Case()}, ("spin",)

def make_files(folder, cases, megabytes):
    pass

def prepare(package, case, folder):
    package.spin()
    return package.spin

def input_bytes(case, folder):
    return 0

def cost_of(case, folder, run):
    return None
"""
_PROJECT = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n[project]\nname = 'toy'\n"


@pytest.fixture
def toy(tmp_path):
    """A repository of another project with a copy of the gate; the fifth of eight commits makes it slower."""
    benchmarks = tmp_path / "benchmarks"
    benchmarks.mkdir()
    for name in re.findall(r"`(\w+\.py)`", cases.__doc__ or ""):
        shutil.copy(HERE / name, benchmarks)
    (benchmarks / "cases.py").write_text(_CASES)
    (tmp_path / "backend.py").write_text(_BACKEND)
    (tmp_path / "pyproject.toml").write_text(_PROJECT + "version = '1'\n")
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], cwd=tmp_path, check=True)
    for k in range(9):
        loops = 10_000 if k < 5 else 17_000
        (tmp_path / "toy.py").write_text(f"# {k}\ndef spin():\n    for _ in range({loops}):\n        pass\n")
        subprocess.run([*git, "add", "-A"], cwd=tmp_path, check=True)
        subprocess.run([*git, "commit", "-qm", f"Commit {k}"], cwd=tmp_path, check=True)

    def run(*arguments):
        command = [sys.executable, "benchmarks/gate.py", *arguments, "--rounds", "20"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)

    return run


def test_a_commit_is_found_in_another_project(toy, tmp_path):
    done = toy("--bisect", "HEAD~8", "HEAD", "--case", "spin")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The first worse commit:" in done.stdout, done.stdout
    assert done.stdout.splitlines()[-1].endswith("A: Commit 5")
    done = toy("--bisect", "HEAD~8", "HEAD~8", "--case", "spin")
    assert done.returncode == 3
    assert "there is no commit between the ends" in done.stdout
    done = toy("--bisect", "HEAD", "HEAD~8", "--case", "spin")
    assert (done.returncode, "must be an ancestor" in done.stderr) == (2, True)
    done = toy("HEAD~8", "HEAD", "--append")
    assert done.returncode == 0, done.stdout + done.stderr
    kept = json.loads((tmp_path / "benchmarks/history/ratios.json").read_text())
    assert 1.3 < kept["records"][0]["cases"]["spin"]["ratio"] < 2.4
    done = toy(".", "HEAD", "--append")  # a folder has no commit
    assert done.returncode == 2


def code_hash(folder, text, cache):
    folder.mkdir()
    (folder / "kernel.py").write_text(f"import numba\n{text}")
    script = "import kernel, gate_worker; kernel.f(1.0); print(gate_worker.machine_code(lambda: kernel.f(1.0)))"
    environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{HERE}", "NUMBA_CACHE_DIR": str(cache)}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()


def test_machine_code_is_told_without_addresses(tmp_path):
    text = "@numba.njit(cache=True)\ndef f(x):\n    return x * 0.75 + 3\n"
    first = code_hash(tmp_path / "a", text, tmp_path / "cache a")
    assert len(first) == 64
    assert code_hash(tmp_path / "other folder", "# A comment.\n\n" + text, tmp_path / "cache b") == first
    assert code_hash(tmp_path / "c", text.replace("0.75", "0.8"), tmp_path / "cache c") not in (first, "None")
    assert code_hash(tmp_path / "d", text.replace("(cache=True)", ""), tmp_path / "cache d") == "None"


def test_copies_and_worse_costs_are_seen(tmp_path):
    """From end to end, on toy data, where times say nothing."""
    found = {}
    base = planted.copy_checkout(tmp_path / "base")
    for name in ("memory copy", "worse cost"):
        head = planted.copy_checkout(tmp_path / name)
        change, word, _ = planted.PLANTS[name]
        change(head)
        (verdict,) = gate_runs.run(str(base), str(head), [CASE], rounds=1, megabytes=8, cache=tmp_path / "k", tries=1)
        found[name] = word in verdict.word, verdict.note.endswith("same machine code")
    assert found == {"memory copy": (True, True), "worse cost": (True, True)}


def test_every_case_runs(tmp_path):
    cases.make_files(tmp_path, cases.CASES, 0.1)
    import jitlogit

    for name, case in cases.CASES.items():
        run = cases.prepare(jitlogit, case, tmp_path)
        cost = cases.cost_of(case, tmp_path, run)
        assert (cost is None) == (case.function != "train_logistic_regression"), name
        assert cost is None or 0 < cost < math.log(2) + 0.1, (name, cost)


def test_a_worker_refuses_another_jitlogit(tmp_path):
    command = [sys.executable, gate_worker.__file__, str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert f"not from {tmp_path}" in done.stderr


@pytest.mark.parametrize("plant", planted.PLANTS)
def test_plants_find_their_place_and_run(tmp_path, plant):
    copy = planted.copy_checkout(tmp_path / "copy")
    planted.PLANTS[plant][0](copy)
    script = "import jitlogit, numpy as np; jitlogit.train_logistic_regression(np.eye(20), np.arange(20) % 2, 0.1, 3)"
    environment = os.environ | {"PYTHONPATH": str(copy / "src"), "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)


def test_a_plant_that_finds_no_place_is_an_error(tmp_path):
    copy = planted.copy_checkout(tmp_path / "copy")
    path = copy / Path("src/jitlogit/training/loop.py")
    path.write_text(path.read_text().replace("cost = fit.run() / m", "cost = fit.run() / max(m, 1)"))
    with pytest.raises(RuntimeError, match="nothing can be planted"):
        planted.slowdown(copy)


def test_a_head_that_dies_fails(tmp_path):
    base, head = (planted.copy_checkout(tmp_path / side) for side in ("base", "head"))
    path = head / "src" / "jitlogit" / "textbook" / "binary.py"
    path.write_text(path.read_text() + "\nimport os\nos._exit(3)\n")
    names = ["forward_pass, n=100", "compute_gradients, n=100"]
    found = gate_runs.run(str(base), str(head), names, rounds=1, megabytes=1, cache=tmp_path / "kernels", tries=1)
    assert [(verdict.case, verdict.word) for verdict in found] == [(name, FAILS) for name in names]
    assert "ended with 3" in found[0].note


@pytest.mark.slow
def test_planted_cases_are_caught_and_nothing_else(capsys):
    counts = planted.count(20, 3)
    with capsys.disabled():
        print(*counts.lines(), sep="\n")
    assert counts.good(), counts.lines()
