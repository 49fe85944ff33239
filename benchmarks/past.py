"""What was measured at earlier commits: asv's results, the gate's history, and the commits at which a level changed."""

from __future__ import annotations

import datetime
import itertools
import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Unreadable(Exception):
    """A file isn't what it should be. The message is one line, and says what to do."""


class Level(NamedTuple):
    """A part of a history without steps."""

    first: int
    end: int  # exclusive
    value: float


class History(NamedTuple):
    """One asv benchmark with one combination of its params. All figures are costs: lower is better."""

    benchmark: str
    params: str
    unit: str
    dates: list[int]  # of the commits, in milliseconds since 1970, rising
    commits: list[str]
    values: list[float]


class Point(NamedTuple):
    """What the gate measured of one case: its time at a revision over that at the anchor, and an interval's ends."""

    revision: str
    date: datetime.datetime  # of the commit
    machine: str
    ratio: float
    low: float
    high: float


class Paired(NamedTuple):
    """The gate's history of one case, against one anchor."""

    case: str
    anchor: str
    points: list[Point]  # by date of the commit

    def revisions(self) -> list[str]:
        return list(dict.fromkeys(point.revision for point in self.points))

    def levels(self) -> list[Level]:
        """Over the revisions. One that several machines measured counts once, by its median."""
        found = [[p for p in self.points if p.revision == revision] for revision in self.revisions()]
        widths = [min(math.log(p.high / p.low) if p.low > 0 else math.inf for p in points) for points in found]
        return levels([statistics.median(point.ratio for point in points) for points in found], widths)


def levels(values: Sequence[float], widths: Sequence[float] | None = None) -> list[Level]:
    """Constant parts of a history, as asv's step detection finds them.

    Logarithms are given to it, because a change is a ratio. A value with a wide interval has little weight.
    """
    try:
        from asv import step_detect
    except ImportError:
        raise Unreadable("asv finds the steps of a history: python -m pip install -e '.[track]'") from None
    least = 1e-6 * max(values) or 1.0  # what asv tracks may be zero, say a part of errors
    weights = None if widths is None else [1 / max(width, 1e-6) for width in widths]
    steps = step_detect.detect_steps([math.log(max(value, least)) for value in values], weights)
    return [Level(first, end, math.exp(value)) for first, end, value, *_ in steps]


def read(path: Path, made_by: str) -> Any:
    """What a JSON file holds."""
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise Unreadable(f"{path} can't be read: {error.strerror}; make it by {made_by}") from None
    except ValueError as error:
        raise Unreadable(f"{path} is not JSON ({error}): make it anew by {made_by}") from None


def paired(folder: Path) -> list[Paired]:
    """The gate's histories. Files with the same anchor, say of several machines, are joined."""
    found: dict[tuple[str, str], list[Point]] = {}
    for path in sorted(folder.glob("*.json")):
        content = read(path, "benchmarks/gate.py --append")
        try:
            for record in content["records"]:
                date = datetime.datetime.fromisoformat(record["date"])
                date = date if date.tzinfo else date.replace(tzinfo=datetime.UTC)
                for case, value in record["cases"].items():
                    point = Point(
                        record["revision"],
                        date,
                        record["machine"],
                        *(float(value[k]) for k in ("ratio", "low", "high")),
                    )
                    if math.isfinite(point.ratio) and point.ratio > 0:
                        found.setdefault((content["anchor"], case), []).append(point)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise Unreadable(f"{path} is not a history of benchmarks/gate.py --append: {error!r}") from None
    return [
        Paired(case, anchor, sorted(points, key=lambda point: (point.date, point.revision, point.machine)))
        for (anchor, case), points in sorted(found.items())
    ]


def machine_folder(results: Path) -> Path | None:
    """Folder of the machine of which asv has the most results."""
    machines = [folder for folder in results.glob("*") if (folder / "machine.json").exists()]
    return max(machines, key=lambda folder: len(list(folder.glob("*.json"))), default=None)


def histories(results: Path) -> list[History]:
    """What asv has measured; of several machines or environments, the one with the most results."""
    folder = machine_folder(results)
    if folder is None:
        return []
    listed = _benchmarks(results)
    paths = [path for path in folder.glob("*.json") if path.name != "machine.json"]
    runs = [read(path, "asv run") for path in paths]
    environments = [run.get("env_name", "") for run in runs]
    usual = max(environments, key=environments.count, default="")
    points: dict[tuple[str, str], dict[str, tuple[int, str, float]]] = {}
    for path, run in zip(paths, runs, strict=True):
        if run.get("env_name", "") != usual:
            continue
        try:
            _collect(run, listed, points)
        except (KeyError, TypeError) as error:
            raise Unreadable(f"{path} is not a result of asv: {error!r}; remove it, or run asv again") from None
    found = []
    for (name, params), rows in sorted(points.items()):
        dates, commits, values = zip(*sorted(rows.values()), strict=True)
        unit = listed.get(name, {}).get("unit", "")
        found.append(History(name, params, unit, list(dates), list(commits), list(values)))
    return found


def _collect(run: dict[str, Any], listed: dict[str, Any], points: dict[Any, dict[str, tuple[int, str, float]]]) -> None:
    for name, row in run["results"].items():
        columns = dict(zip(run["result_columns"], row, strict=False))
        if listed and columns.get("version") != listed.get(name, {}).get("version"):
            continue  # of a benchmark that is no more, or of an earlier version
        combinations = itertools.product(*(columns.get("params") or []))
        for params, value in zip(combinations, columns["result"] or [], strict=False):
            if value is not None and math.isfinite(value):
                names = listed.get(name, {}).get("param_names") or [""] * len(params)
                words = zip(names, (param.strip("'") for param in params), strict=True)
                key = name, ", ".join(f"{name}={param}" if name else param for name, param in words)
                points.setdefault(key, {})[run["commit_hash"]] = (run["date"], run["commit_hash"], value)


def _benchmarks(results: Path) -> dict[str, Any]:
    """What asv knows of the benchmarks as they are now."""
    path = results / "benchmarks.json"
    listed = read(path, "asv run") if path.exists() else {}
    return {name: about for name, about in listed.items() if isinstance(about, dict) and "version" in about}
