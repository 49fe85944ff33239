"""Tests that figures say which code they are of, and that another code than the checkout's is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import checkout
import pytest


def test_another_jitlogit_than_the_checkouts_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("pytest_benchmark", reason="needs the extra track")
    shutil.copytree(checkout.CHECKOUT / "src", tmp_path, dirs_exist_ok=True)
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--collect-only",
            str(checkout.CHECKOUT / "benchmarks/test_throughput.py"),
        ],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert run.returncode != 0
    assert f"jitlogit is imported from {tmp_path / 'jitlogit'}, not from" in run.stdout
    assert "pip install -e" in run.stdout
    assert "Traceback" not in run.stdout
    monkeypatch.setattr(checkout.jitlogit, "__file__", str(tmp_path / "jitlogit" / "__init__.py"))
    assert checkout.provenance()["revision"] is None  # git says nothing about that code


def test_figures_say_of_which_revision_they_are(tmp_path, monkeypatch):
    package = tmp_path / "src" / "jitlogit" / "__init__.py"
    package.parent.mkdir(parents=True)
    package.touch()
    monkeypatch.setattr(checkout, "CHECKOUT", tmp_path)
    monkeypatch.setattr(checkout.jitlogit, "__file__", str(package))
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    assert checkout.why_another_is_measured() is None
    found = checkout.provenance()
    assert found["revision"] == checkout.git("rev-parse", "HEAD").strip()
    assert not found["dirty"]
    package.write_text("changed = True\n")
    assert checkout.provenance()["dirty"]
