"""Tests of the gate's arithmetic and verdicts, and that it catches planted regressions."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import gate
import gate_worker
import numpy as np
import planted
import pytest

READY = {"peak": 1_000_000, "cost": 0.5}
ROUNDS = 100


@pytest.fixture
def comparison(tmp_path):
    cases = {"batch 256, n=28": gate.CASES["batch 256, n=28"]}
    gate_worker.make_files(tmp_path, cases, 1)
    return gate.Comparison(tmp_path, tmp_path, tmp_path, tmp_path, ROUNDS)


def judge(comparison, slower=1.0, noise=0.01, bias=1.0, **head):
    rng = np.random.default_rng(0)
    seconds = {
        who: list(factor * np.exp(noise * rng.standard_normal(ROUNDS)))
        for who, factor in (("base", 1.0), ("base again", bias), ("head", slower))
    }
    ready = {"base": READY, "base again": READY, "head": READY | head}
    return comparison._judge("batch 256, n=28", ready, seconds)


def test_intervals_cover_what_is_true():
    rng = np.random.default_rng(0)
    outside = 0
    for _ in range(300):
        times = {who: list(np.exp(0.1 * rng.standard_normal(60))) for who in ("base", "base again", "head")}
        times["head"] = [1.1 * value for value in times["head"]]
        for (middle, low, high), true in zip(gate.compare_times(times), (np.log(1.1), 0.0), strict=True):
            assert low <= middle <= high
            outside += not low <= true <= high
    assert outside <= 24  # of 600, where 6 are expected; bootstrap intervals are a little short


def test_verdicts(comparison):
    assert judge(comparison).word == "same"
    assert judge(comparison, slower=1.03).word == "same"
    assert judge(comparison, slower=1.25).word == "slower"
    assert judge(comparison, slower=1.25, noise=0.05).word == "slower"
    assert judge(comparison, slower=0.7).word == "faster"
    # Identical code differed by more in the same comparison.
    assert judge(comparison, slower=1.25, bias=1.4).word == "too noisy"
    assert judge(comparison, peak=20_000_000).word == "more memory"
    assert judge(comparison, peak=1_500_000).word == "same"
    assert judge(comparison, cost=0.51).word == "worse cost"
    assert judge(comparison, cost=0.49).word == "same"
    assert judge(comparison, slower=1.25, cost=0.51).word == "slower, worse cost"
    assert judge(comparison, peak=None)[1:2] + judge(comparison, peak=None)[-1:] == ("same", "memory not measured")


def test_a_case_that_only_head_fails_is_bad(comparison):
    error = {"error": "ValueError: no"}
    assert comparison._judge("x", {"base": READY, "base again": READY, "head": error}, None).word == "fails"
    assert comparison._judge("x", {"base": error, "base again": error, "head": READY}, None).word == "not compared"
    assert comparison._judge("x", {"base": error, "base again": error, "head": error}, None).word == "not compared"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], 2),
        (["not compared"], 2),
        (["same", "not compared", "faster", "too noisy"], 0),
        (["same", "slower"], 1),
        (["more memory"], 1),
        (["worse cost"], 1),
        (["fails"], 1),
    ],
)
def test_exit_codes(words, code):
    verdicts = [gate.Verdict("a case", word, 1.0, 0.9, 1.1, 1.0, "why") for word in words]
    assert gate.exit_code(verdicts) == code
    assert gate.report(verdicts).count("\n") == len(words)


def test_a_revision_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(SystemExit, match="neither a revision nor a checkout"):
        gate.install("no-such-revision", tmp_path)


def test_copies_and_worse_costs_are_seen(tmp_path):
    """From end to end, on toy data, where times say nothing."""
    found = {}
    for name in ("memory copy", "worse cost"):
        base, head = (planted.copy_checkout(tmp_path / f"{side} of {name}") for side in ("base", "head"))
        plant, word = planted.PLANTS[name]
        plant(head)
        verdicts = gate.run(
            str(base), str(head), ["batch 256, n=28"], rounds=1, megabytes=8, cache=tmp_path / "kernels"
        )
        found[name] = [word in verdict.word for verdict in verdicts]
    assert found == {"memory copy": [True], "worse cost": [True]}


def test_every_case_runs(tmp_path):
    gate_worker.make_files(tmp_path, gate.CASES, 0.1)
    import jitlogit

    for name, case in gate.CASES.items():
        run = gate_worker.prepare(jitlogit, case, tmp_path)
        cost = gate_worker.cost_of(case, tmp_path, run)
        assert (cost is None) == (case.function != "train_logistic_regression"), name
        assert cost is None or 0 < cost < math.log(2) + 0.1, (name, cost)


def test_a_worker_refuses_another_jitlogit(tmp_path):
    command = [sys.executable, gate_worker.__file__, str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert f"not from {tmp_path}" in done.stderr


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
    verdicts = gate.run(str(base), str(head), names, rounds=1, megabytes=1, cache=tmp_path / "kernels")
    assert [(verdict.case, verdict.word) for verdict in verdicts] == [(name, "fails") for name in names]
    assert "ended with 3" in verdicts[0].note


@pytest.mark.slow
def test_planted_cases_are_caught_and_nothing_else(capsys):
    counts = planted.count(20, 10)
    with capsys.disabled():
        print(counts)
    assert planted.good(counts, 20, 10)
