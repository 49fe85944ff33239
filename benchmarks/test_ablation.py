"""The verdicts of `ablation`, on made-up times, and its check that an optimisation is used, and isn't without it."""

from __future__ import annotations

import math

import ablation
import numpy as np
import paired
import pytest
from beside import Cell
from paired import GAIN, LITTLE, LOSS, UNKNOWN
from ways import Way, ways

ROUNDS = 25
WAY = Way("float32", False, "epoch", 1, 2, 8, frozenset(), [0.5, 1.0])


def judged(without=1.0, noise=0.01, again=1.0, rounds=ROUNDS, drift=0.0):
    rng = np.random.default_rng(0)
    shared = np.exp(drift * rng.standard_normal(rounds))  # what slows all fits of a round
    times = [factor * shared * np.exp(noise * rng.standard_normal(rounds)) for factor in (1.0, again, without)]
    return paired.judge(*map(list, times))


def test_words():
    assert judged().word == LITTLE
    assert judged(without=1.2).word == GAIN
    assert judged(without=0.8).word == LOSS
    assert judged(without=1.03).word == LITTLE
    assert judged(without=0.97).word == LITTLE
    assert judged(without=1.05).word == UNKNOWN  # on the border
    # Times that scatter, and equal code whose two processes differ.
    assert judged(noise=0.5).word == UNKNOWN
    assert judged(without=1.2, noise=0.5).word == UNKNOWN
    assert judged(without=1.4, again=1.5).word == UNKNOWN
    assert judged(without=0.9, again=1.4).word == UNKNOWN
    assert judged(again=1.1).word == UNKNOWN
    # What slows whole rounds doesn't matter.
    assert judged(without=1.2, drift=0.5).word == GAIN
    assert judged(drift=0.5).word == LITTLE


@pytest.mark.parametrize("rounds", [1, 2, 7])
def test_few_rounds_tell_nothing(rounds):
    assert judged(without=3.0, noise=0.0, rounds=rounds).word == UNKNOWN
    assert judged(noise=0.0, rounds=rounds).word == UNKNOWN
    assert judged(without=3.0, noise=0.0, rounds=8).word == GAIN


def test_intervals_cover_the_median():
    rng = np.random.default_rng(0)
    for rounds in (8, 9, 25, 60):
        outside = 0
        for _ in range(1000):
            middle, low, high = paired.median_interval(list(rng.exponential(size=rounds)))
            assert low <= middle <= high
            outside += not low <= math.log(2) <= high
        assert outside <= 22  # of 1000, where 10 are expected at most


@pytest.mark.parametrize(
    ("words", "switch", "size"),
    [
        ([GAIN, UNKNOWN, LITTLE], 0, 0),
        ([GAIN, LOSS], 0, 0),
        ([LITTLE, LITTLE], 1, 0),
        ([LITTLE, LOSS], 1, 1),
        ([LITTLE, UNKNOWN], 2, 2),
        ([UNKNOWN, LOSS], 2, 1),
        ([UNKNOWN], 2, 2),
        ([], 2, 2),
    ],
)
def test_conclusions(words, switch, size):
    assert paired.conclusion(words, tuned=False)[1] == switch
    assert paired.conclusion(words, tuned=True)[1] == size


def test_the_exit_code_is_that_of_the_worst(capsys):
    unknown, little, gain = judged(noise=0.5), judged(), judged(without=1.2)
    cell = Cell(4, 32)
    assert ablation.report({"eights": {cell: gain}, "pairs": {cell: gain}}) == 0
    assert ablation.report({"eights": {cell: gain}, "pairs": {cell: unknown}}) == 2
    assert ablation.report({"eights": {cell: little}, "pairs": {cell: unknown}}) == 1
    assert "pairs" in capsys.readouterr().out


def test_problems_of_cells():
    packed = WAY._replace(packed=True)
    assert ablation.problem("packing", packed, WAY) is None
    assert "doesn't use packing" in ablation.problem("packing", WAY, WAY)
    assert "doesn't use packing" in ablation.problem("packing", WAY, packed)
    assert "the same way" in ablation.problem("packing", packed, packed)
    for parameters in ([0.5, 1.001], [0.5, math.nan], [0.5], [0.0, math.inf]):
        assert "results differ" in ablation.problem("packing", packed, WAY._replace(parameters=parameters))
    assert "the same way" in ablation.problem("chunks of half the size", WAY, WAY)
    assert ablation.problem("chunks of half the size", WAY, WAY._replace(n_chunks=4)) is None


def test_cells_of_another_way_are_errors(tmp_path, monkeypatch):
    """Rows of ten features are too long to be packed."""
    packing = ablation.OPTIMISATIONS["packing"]
    good = [Cell(4, 32, epochs=50), Cell(4, 32, epochs=50, n_threads=2)]
    monkeypatch.setitem(ablation.OPTIMISATIONS, "packing", packing._replace(cells=good))
    [(source, cells)] = ablation.check(["packing"], tmp_path / "good").values()
    assert cells == good[:1]  # the batch is one chunk
    monkeypatch.setitem(ablation.OPTIMISATIONS, "packing", packing._replace(cells=[Cell(10, 32, epochs=50)]))
    with pytest.raises(RuntimeError, match="10 float32 C batch 32, 1 thread: the fit doesn't use packing"):
        ablation.check(["packing"], tmp_path / "bad")
    judgements = ablation.measure(source, [good[0]._replace(megabytes=0.1)], 1, tmp_path / "kernels")
    assert [judgement.word for judgement in judgements.values()] == [UNKNOWN]


def test_ways_are_those_of_whole_batches():
    cells = [Cell(100, 4096), Cell(28, 32, order="F"), Cell(784, 64, order="F"), Cell(100, 1), Cell(16, 64, epochs=50)]
    found = ways(ablation.CHECKOUT / "src", cells)
    assert [way.n_chunks for way in found.values()] == [16, 1, 1, 1, 1]
    assert [way.n_parts > 1 for way in found.values()] == [False, False, True, False, False]
    names = ["WorkSpace", "TurnedWorkSpace", "FeatureWorkSpace", "SmallWorkSpace", "SmallWorkSpace"]
    assert [way.work for way in found.values()] == names
    assert ["small_walk._single_row" in way.calls for way in found.values()] == [False, False, False, True, False]
