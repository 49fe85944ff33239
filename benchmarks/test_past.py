"""Tests of the histories: what is read of asv and of the gate, the steps that are found, and how they are drawn."""

from __future__ import annotations

import json
import math
import random
import re

import drawing
import past
import pytest

COMMITS = [f"{k:x}" * 40 for k in range(16)]


def needs_asv():
    pytest.importorskip("asv", reason="needs the extra track")


def record(k, ratio, width=0.01, machine="AMD EPYC", **cases):
    """What the gate appends for a commit."""
    values = {"ratio": ratio, "low": ratio * math.exp(-width), "high": ratio * math.exp(width)}
    return {
        "revision": COMMITS[k],
        "date": f"2026-01-{k + 1:02d}T12:00:00+01:00",
        "measured": "2026-03-01T00:00:00+00:00",
        "machine": machine,
        "cases": {"batch 256, n=28": values, **cases},
    }


def write_history(folder, records, name="amd.json"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps({"anchor": COMMITS[0], "records": records}))
    return folder


def ratios(step=1.2, at=8, noise=0.005):
    rng = random.Random(0)
    return [(step if k >= at else 1.0) * math.exp(rng.gauss(0, noise)) for k in range(16)]


def write_results(folder, values, **changes):
    """Results of asv: a benchmark over some commits."""
    (folder / "here").mkdir(parents=True)
    (folder / "here" / "machine.json").write_text('{"cpu": "AMD EPYC"}')
    listed = {"version": "new", "unit": "seconds", "param_names": ["n"]}
    (folder / "benchmarks.json").write_text(json.dumps({"training.Training.time_fit": listed, "version": 2}))
    for k, value in enumerate(values):
        run = {
            "commit_hash": COMMITS[k],
            "date": 1000 * k,
            "result_columns": ["result", "params", "version"],
            "results": {
                "training.Training.time_fit": [[value, None], [["28", "784"]], "new"],
                "training.Training.track_accuracy": [[0.9], [], "old"],
            },
            **changes,
        }
        (folder / "here" / f"{k}-env.json").write_text(json.dumps(run))
    return folder


def test_what_asv_measured_of_benchmarks_that_are_no_more_is_left_out(tmp_path):
    (found,) = past.histories(write_results(tmp_path, [0.5, 0.375]))
    assert found == ("training.Training.time_fit", "n=28", "seconds", [0, 1000], COMMITS[:2], [0.5, 0.375])


def test_the_gates_history_follows_the_commits_over_machines(tmp_path):
    later = [record(1, 1.0) | {"date": "2026-01-03T23:00:00-05:00"}, record(2, 1.0)]  # 1 is later than 2
    blind = {"ratio": math.nan, "low": -math.inf, "high": math.inf}
    write_history(tmp_path, later)
    write_history(tmp_path, [record(2, 1.1, machine="Intel", blind=blind)], "intel.json")
    (found,) = past.paired(tmp_path)
    assert found.case == "batch 256, n=28"
    assert found.anchor == COMMITS[0]
    assert found.revisions() == [COMMITS[2], COMMITS[1]]
    assert [point.machine for point in found.points] == ["AMD EPYC", "Intel", "AMD EPYC"]
    assert past.paired(tmp_path / "nothing") == []


def test_a_step_is_found_at_its_commit(tmp_path):
    needs_asv()
    (slower,) = past.paired(write_history(tmp_path, [record(k, ratio) for k, ratio in enumerate(ratios())]))
    ((first, ratio),) = drawing.steps(slower.levels())
    assert slower.revisions()[first] == COMMITS[8]
    assert ratio == pytest.approx(1.2, rel=0.02)
    for even in (ratios(step=1.0), ratios(step=1.03)):  # nothing, and less than counts
        (quiet,) = past.paired(write_history(tmp_path, [record(k, ratio) for k, ratio in enumerate(even)]))
        assert drawing.steps(quiet.levels()) == []


def test_a_wide_interval_makes_no_step(tmp_path):
    needs_asv()
    values = [[record(k, 3.0 if k == 5 else 1.0 + k % 2 / 100, width) for k in range(16)] for width in (0.01, 3.0)]
    values[1] = [*values[0][:5], values[1][5], *values[0][6:]]
    found = [past.paired(write_history(tmp_path, records))[0] for records in values]
    assert [len(drawing.steps(each.levels())) for each in found] == [2, 0]


def test_a_chart_has_a_whisker_for_each_figure_and_a_mark_for_each_step(tmp_path):
    needs_asv()
    records = [record(k, ratio) for k, ratio in enumerate(ratios())]
    records.append(record(3, 1.0, machine="<Intel>"))
    (history,) = past.paired(write_history(tmp_path, records))
    text = drawing.whiskers(history, history.levels(), ["AMD EPYC", "<Intel>"])
    assert text.count('class="whisker"') == 17
    assert text.count(drawing.COLOURS[1]) == 2
    assert text.count('class="step"') == 1
    assert f'fill="{drawing.SLOWER}"' in text
    assert "&lt;Intel&gt;" in text
    assert f"{COMMITS[8][:10]}, 2026-01-09" in text


def test_a_whisker_without_an_end_stays_in_the_chart(tmp_path):
    needs_asv()
    records = [record(k, 1.0) for k in range(6)]
    records[2]["cases"]["batch 256, n=28"] |= {"low": 0.0, "high": math.inf}
    (history,) = past.paired(write_history(tmp_path, records))
    text = drawing.whiskers(history, history.levels(), ["AMD EPYC"])
    heights = [float(y) for y in re.findall(r'[y][12]?="([\d.e+-]+|nan|inf)"', text)]
    assert heights
    assert all(0 <= y <= 190 for y in heights)


def history(*values):
    return past.History("b", "", "seconds", list(range(len(values))), COMMITS[: len(values)], list(values))


def heights(line):
    return [float(y) for y in re.findall(r",([\d.]+)", re.search(r'points="([^"]*)"', line).group(1))]


def test_sparklines_have_one_scale():
    quiet, slower = history(1.0, 1.01), history(100.0, 200.0)
    end = drawing.scale_of([quiet, slower])
    assert end == pytest.approx(2.0)
    falls = [heights(drawing.sparkline(each.values, end)) for each in (quiet, slower)]
    assert falls[0][0] == falls[1][0] == 14
    assert falls[1][1] == 4  # at the edge, and more is at the top
    assert 13.5 < falls[0][1] < 14
    assert drawing.scale_of([quiet, history(1.0, 1e9)]) == 4.0
    assert heights(drawing.sparkline([1.0, 1e9], 4.0)) == [14, 4]
    assert heights(drawing.sparkline([0.0, 0.0], drawing.scale_of([history(0.0, 0.0)]))) == [14, 14]


@pytest.mark.parametrize(
    "content",
    ["[]", '{"anchor": "a"}', '{"anchor": "a", "records": [{}]}', '{"anchor": "a", "records": [{"date": 1}]}', "{"],
)
def test_a_file_that_is_no_history_is_a_short_error(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(past.Unreadable, match=r"x\.json is not .*gate\.py --append") as error:
        past.paired(tmp_path)
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_result_of_asv_is_a_short_error(tmp_path):
    with pytest.raises(past.Unreadable, match=r"0-env\.json is not a result of asv"):
        past.histories(write_results(tmp_path, [1.0], results={"training.Training.time_fit": 3}))
