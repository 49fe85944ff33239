"""Keep how fast commits are in a file of JSON, as ratios to a fixed anchor commit, measured side by side.

A time is true of one machine on one day. A ratio to a commit that runs beside it stays true for longer, so it can be
kept in the repository and compared with later ones. The file holds

    {"anchor": commit, "records": [{"revision": commit, "date": of the commit, "measured": when, "machine": processor,
     "cases": {case: {"ratio": time / the anchor's, "low": and "high": ends of its interval}}}]}

in the order of the commits' dates. A case that the anchor or the commit can't run is left out.
"""

from __future__ import annotations

import datetime
import json
import math
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gate_runs import CHECKOUT, CantCompare, git
from verdicts import Verdict

FOLDER = CHECKOUT / "benchmarks" / "history"
DEFAULT = FOLDER / "ratios.json"


def commit_of(revision: str) -> str:
    return git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")


def machine() -> str:
    """Name of the processor."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def load(path: Path, anchor: str) -> dict[str, Any]:
    """The history in a file, or an empty one; its ratios are to `anchor`, a commit."""
    if not path.exists():
        return {"anchor": anchor, "records": []}
    found: dict[str, Any] = json.loads(path.read_text())
    if found["anchor"] != anchor:
        raise CantCompare(f"{path} holds ratios to {found['anchor']}, not to {anchor}: give that one as BASE")
    return found


def record(revision: str, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """What is kept of a commit. Cases without an interval are left out: the anchor or the commit lacks a feature."""
    known = [verdict for verdict in verdicts if math.isfinite(verdict.low) and math.isfinite(verdict.high)]
    ends = {v.case: {"ratio": round(v.ratio, 4), "low": round(v.low, 4), "high": round(v.high, 4)} for v in known}
    return {
        "revision": revision,
        "date": git("show", "-s", "--format=%cI", revision),
        "measured": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "cases": ends,
    }


def append(path: Path, anchor: str, new: dict[str, Any]) -> None:
    """Add a record; an older one of the same commit and machine is replaced, case by case."""
    history = load(path, anchor)
    for old in history["records"]:
        if (old["revision"], old["machine"]) == (new["revision"], new["machine"]):
            new = new | {"cases": old["cases"] | new["cases"]}
            history["records"].remove(old)
            break
    history["records"].append(new)
    history["records"].sort(key=lambda one: datetime.datetime.fromisoformat(one["date"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(history, indent=1) + "\n")
