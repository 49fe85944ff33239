"""Tests of the gate's statistics, verdicts, exit codes and history, and that it catches planted regressions."""

from __future__ import annotations

import json
import math
import re

import gate
import gate_runs
import halving
import history
import numpy as np
import paired
import planted
import pytest
import verdicts
from verdicts import COST, FAILS, FASTER, MEMORY, NOT_COMPARED, SAME, SLOWER, UNKNOWN, Measured, Verdict

CASE = "batch 256, n=28"


def ratios(rng, slower=1.0, layout=0.005, noise=0.02, pairs=4, rounds=20):
    """Logs of ratios of times, where each pair of processes errs by itself and each round too."""
    return [list(rng.normal(math.log(slower) + layout * rng.normal(), noise, rounds)) for _ in range(pairs)]


def measured(found, head_peak=1_000_000, head_cost=0.5, same_code=None):
    peaks = {"base": [1_000_000] * 2, "head": [] if head_peak is None else [head_peak] * 2}
    return Measured({}, peaks, {"base": [0.5] * 2, "head": [head_cost] * 2}, 16_000_000, found, same_code)


def judge(slower=1.0, layout=0.005, noise=0.02, **others):
    found = ratios(np.random.default_rng(0), slower, layout, noise)
    return verdicts.judge(CASE, measured(found, **others))


@pytest.mark.parametrize(("pairs", "most"), [(4, 20), (12, 8)])
def test_intervals_cover_what_is_true(pairs, most):
    rng, outside = np.random.default_rng(0), 0
    for _ in range(100):
        middle, low, high = paired.of_processes(ratios(rng, 1.1, 0.02, 0.02, pairs))
        assert low <= middle <= high
        outside += not low <= math.log(1.1) <= high
    assert outside <= most


def test_rounds_of_one_process_are_not_independent():
    """Many rounds of few processes don't make the interval narrow, since the lay-out of memory is one sample each."""
    rng = np.random.default_rng(0)
    width = [np.ptp(paired.of_processes(ratios(rng, 1, 0.05, 0.01, rounds=rounds))) for rounds in (10, 200)]
    assert min(width) > 0.02


def test_too_few_processes_or_rounds_tell_nothing():
    assert paired.of_processes([[0.0] * 50] * 2)[1:] == (-math.inf, math.inf)
    assert paired.of_processes([[0.0] * 4] * 4)[1:] == (-math.inf, math.inf)
    assert paired.of_processes([[0.0] * 5] * 3) == (0, 0, 0)
    assert verdicts.judge(CASE, measured([[0.3]])).word == UNKNOWN


def test_verdicts():
    assert judge().word == SAME
    assert judge(slower=1.01).word == SAME
    assert judge(slower=1.25).word == SLOWER
    assert judge(slower=1.25, noise=0.1).word == SLOWER
    assert judge(slower=0.7).word == FASTER
    assert judge(slower=1.25, layout=0.4).word == UNKNOWN
    assert judge(head_peak=20_000_000).word == MEMORY
    assert judge(head_peak=1_500_000).word == SAME
    assert judge(head_cost=0.51).word == COST
    assert judge(head_cost=0.49).word == SAME
    assert judge(slower=1.25, head_cost=0.51).word == "slower, worse cost"
    assert judge(head_peak=None).note == "memory not measured"
    assert judge(same_code=True).note == "same machine code"
    assert judge(same_code=False).note == ""


def test_same_is_said_only_if_a_slowdown_is_excluded():
    rng, words = np.random.default_rng(1), []
    for layout in (0.001, 0.01, 0.03, 0.1):
        for slower in (0.9, 0.98, 1, 1.02, 1.05, 1.2):
            found = verdicts.judge(CASE, measured(ratios(rng, slower, layout)))
            words.append(found.word)
            assert (found.word == SAME) <= (found.high < verdicts.MARGIN)
            assert (found.word == SLOWER) == (found.low > 1 and found.ratio > verdicts.MARGIN)
            assert (found.word == UNKNOWN) <= (found.high >= verdicts.MARGIN)
            assert found.sees >= verdicts.MARGIN
    assert {SAME, SLOWER, FASTER, UNKNOWN} == set(words)


def test_sees_is_the_least_slowdown_that_is_seen():
    for layout in (0.001, 0.02, 0.05):
        found = ratios(np.random.default_rng(3), 1.0, layout)
        middle = np.median(found)
        found = [[value - middle for value in pair] for pair in found]
        sees = verdicts.judge(CASE, measured(found)).sees
        for factor, seen in ((1.002, True), (0.998, False)):
            slowed = planted.slowed(measured(found), factor * sees)
            assert (verdicts.judge(CASE, slowed).word == SLOWER) == seen


def test_how_often_slowdowns_are_seen():
    """Of 40 comparisons by lay-outs that differ by 2 %: as `planted.py`, without a machine's noise."""
    rng, counts = np.random.default_rng(0), planted.Counts()
    for _ in range(20):
        counts.add_identical(lambda: {name: measured(ratios(rng, layout=0.02)) for name in planted.QUICK})
    assert counts.seen(1.0) <= 1
    assert counts.seen(1.1) >= 36
    assert counts.seen(1.25) == 40
    counts.by_plant["memory copy"] = [Verdict(CASE, MEMORY)]
    assert counts.good()
    counts.by_plant["memory copy"] = [Verdict(CASE, SAME)]
    assert not counts.good()


def test_errors():
    broken = Measured({"head": "ValueError: no"}, {}, {}, 0, [])
    assert verdicts.judge("x", broken)[:2] == ("x", FAILS)
    both = broken._replace(errors={"base": "TypeError: no", "head": "TypeError: no"})
    assert verdicts.judge("x", both).word == NOT_COMPARED
    assert "BASE raises TypeError" in verdicts.judge("x", both).note


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], 2),
        ([NOT_COMPARED], 2),
        ([SAME, NOT_COMPARED, FASTER, UNKNOWN], 0),
        ([UNKNOWN], 3),
        ([UNKNOWN, NOT_COMPARED], 3),
        ([UNKNOWN, UNKNOWN, SAME], 3),
        ([SAME, SLOWER], 1),
        ([UNKNOWN, UNKNOWN, SLOWER], 1),
        ([MEMORY], 1),
        ([COST], 1),
        ([FAILS], 1),
    ],
)
def test_exit_codes(words, code):
    found = [Verdict(f"case {k}", word, 1.0, 0.9, 1.1, 1.1, "why") for k, word in enumerate(words)]
    assert verdicts.exit_code(found) == code
    assert verdicts.table(found).count("\n") == len(words)
    said = verdicts.conclusion(found)
    for k, word in enumerate(words):
        assert (f"case {k} ({word})" in said) == found[k].bad
        assert (f"case {k} (sees 1.100)" in said) == (word == UNKNOWN)
    rows = verdicts.markdown(found, "main", "HEAD").splitlines()[2:-2]
    assert len(rows) == 2 + len(words)
    assert {row.count("|") for row in rows} == {7}


class FakeWorker:
    """A worker of HEAD, or of BASE, that answers with synthetic figures; `spread` and `slower` are those of a test."""

    spread, slower, fails = 0.01, 1.0, None
    rng = np.random.default_rng(0)

    def __init__(self, installed, data, cache):
        self._is_head = installed.name == "head"
        self._seconds = math.exp(self.spread * self.rng.normal()) * (self.slower if self._is_head else 1)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def ask(self, do, case):
        if do == "time" and case == self.fails and self._is_head:
            return {"error": "the process ended with -11"}
        return {
            "prepare": {},
            "measure": {"peak": 1_000_000, "cost": 0.5, "input": 1_000_000},
            "time": {"seconds": self._seconds * math.exp(0.01 * self.rng.normal())},
            "code": {"code": None},
        }[do]


@pytest.fixture
def gate_of_fakes(monkeypatch, capsys):
    """The gate's own decisions and exit code, over figures of that spread among processes."""

    def run(spread, slower, *options):
        monkeypatch.setattr(FakeWorker, "rng", np.random.default_rng(0))
        monkeypatch.setattr(FakeWorker, "spread", spread)
        monkeypatch.setattr(FakeWorker, "slower", slower)
        monkeypatch.setattr(gate_runs, "Worker", FakeWorker)
        monkeypatch.setattr(gate_runs, "install", lambda revision, folder: folder)
        code = gate.main(["base", "head", "--cases", CASE, "forward_pass, n=100", "--megabytes", "0.1", *options])
        return code, capsys.readouterr().out

    return run


def test_a_blind_gate_does_not_pass(gate_of_fakes):
    code, said = gate_of_fakes(0.5, 1.0)
    assert code == 3
    assert re.search(r"Can't tell: batch 256, n=28 \(sees [12]\.\d+\)", said)
    assert "No case is worse" not in said
    assert gate_of_fakes(0.5, 1.0, "--bisect-run")[0] == 125


def test_the_gate_passes_and_fails(gate_of_fakes, tmp_path):
    code, said = gate_of_fakes(0.002, 1.0, "--json", str(tmp_path / "found.json"))
    assert (code, said.splitlines()[-1]) == (0, "No case is worse.")
    assert [found["word"] for found in json.loads((tmp_path / "found.json").read_text())] == [SAME, SAME]
    code, said = gate_of_fakes(0.002, 1.2)
    assert code == 1
    assert said.splitlines()[-1] == "Worse: batch 256, n=28 (slower); forward_pass, n=100 (slower)."
    assert gate_of_fakes(0.002, 1.2, "--bisect-run")[0] == 1
    assert gate_of_fakes(0.002, 1.0, "--bisect-run")[0] == 0
    said = gate_of_fakes(0.002, 1.2, "--markdown")[1]
    assert "| forward_pass, n=100 | 1.2" in said
    assert "**slower**" in said


def test_a_case_that_fails_after_it_had_run_is_worse(gate_of_fakes, monkeypatch):
    monkeypatch.setattr(FakeWorker, "fails", CASE)
    code, said = gate_of_fakes(0.002, 1.0)
    assert code == 1
    assert said.splitlines()[-1] == "Worse: batch 256, n=28 (fails)."
    assert "the process ended with -11" in said


def test_what_can_not_be_installed_is_not_worse(tmp_path, capsys):
    for options, code in (((), 2), (("--bisect-run",), 125)):
        arguments = ["no-such-revision", "--case", CASE, "--megabytes", "0.1", *options]
        assert gate.main(arguments) == code
        assert "neither a revision nor a checkout" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--bisect", "a", "b"], ["a", "--bisect", "a", "b", "--case", CASE]])
def test_wrong_arguments_are_refused(arguments):
    with pytest.raises(SystemExit, match="2"):
        gate.main(arguments)


def slow_at(ratio, low, high):
    word = SLOWER if low > 1 and ratio > 1.04 else SAME
    return Verdict(CASE, word, ratio, low, high, 1.04)


def test_halves_are_told_by_half_the_slowdown():
    last = slow_at(1.44, 1.4, 1.5)
    assert halving.is_worse(slow_at(1.43, 1.38, 1.5), last) is True
    assert halving.is_worse(slow_at(1.1, 1.05, 1.15), last) is False  # slower, too, but by another commit
    assert halving.is_worse(slow_at(1.2, 1.1, 1.3), last) is None
    assert halving.is_worse(Verdict(CASE, NOT_COMPARED), last) is None
    assert halving.is_worse(Verdict(CASE, FAILS), last) is None
    assert halving.is_worse(Verdict(CASE, FAILS), Verdict(CASE, FAILS)) is True
    assert halving.is_worse(slow_at(1, 0.99, 1.01), Verdict(CASE, MEMORY)) is False
    assert halving.is_worse(Verdict(CASE, f"{MEMORY}, {COST}"), Verdict(CASE, MEMORY)) is True


@pytest.mark.parametrize("unknown", [(), (3,), (4, 5), (6,)])
def test_halving_finds_each_commit(unknown):
    commits = [f"commit {k}" for k in range(8)]
    for first in range(8):
        asked = []

        def is_bad(commit, first=first, asked=asked):
            asked.append(commit)
            k = commits.index(commit)
            return None if k in unknown else k >= first

        found = halving.first_worse(commits, is_bad, lambda line: None)
        assert commits[first] in found
        assert set(found) <= {commits[first], *(commits[k] for k in (*unknown, *(k + 1 for k in unknown)))}
        assert len(asked) <= 3 + 2 * len(unknown)


def test_equal_ends_name_no_commit():
    with pytest.raises(halving.SameEnds, match="judged 'same'"):
        halving.find(["a", "b"], lambda commit, last: slow_at(1.01, 0.99, 1.02))
    with pytest.raises(halving.SameEnds, match="no commit between"):
        halving.find([], lambda commit, last: slow_at(1.5, 1.4, 1.6))


def test_history(tmp_path, monkeypatch):
    dates = {"b": "2026-02-01T12:00:00+00:00", "c": "2026-01-01T00:00:00-05:00"}
    monkeypatch.setattr(history, "git", lambda *words: dates[words[-1]])
    monkeypatch.setattr(history, "machine", lambda: "Processor 1")
    path = tmp_path / "folder" / "ratios.json"
    found = [
        Verdict("x", SLOWER, 1.23456, 1.2, 1.3, 1.04),
        Verdict("y", NOT_COMPARED),
        Verdict("z", UNKNOWN, 1, 0, math.inf),
    ]
    history.append(path, "a", history.record("b", found))
    history.append(path, "a", history.record("c", found))
    history.append(path, "a", history.record("b", [Verdict("v", SAME, 1.0, 0.99, 1.01, 1.04)]))
    kept = json.loads(path.read_text())
    assert kept["anchor"] == "a"
    assert [record["revision"] for record in kept["records"]] == ["c", "b"]  # in the order of the commits
    record = kept["records"][1]
    assert record["cases"] == {
        "x": {"ratio": 1.2346, "low": 1.2, "high": 1.3},
        "v": {"ratio": 1.0, "low": 0.99, "high": 1.01},
    }
    assert (record["date"], record["machine"]) == (dates["b"], "Processor 1")
    with pytest.raises(gate_runs.CantCompare, match="holds ratios to a, not to b"):
        history.load(path, "b")
