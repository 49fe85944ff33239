"""What the gate says of measurements: verdicts on cases, tables of them, exit codes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from paired import of_processes

#: Least slowdown that counts.
MARGIN = 1.04
# More memory counts beyond these bytes, which the allocator may keep in one process only, and this part of X.
_LEAST_BYTES = 4_000_000
_LEAST_PART = 0.1
_LEAST_COST = 1e-4
SAME, FASTER, SLOWER, UNKNOWN = "same", "faster", "slower", "can't tell"
MEMORY, COST, FAILS, NOT_COMPARED = "more memory", "worse cost", "fails", "not compared"
#: Exit codes, and the one that makes `git bisect run` skip a revision.
GOOD, WORSE, NOTHING, BLIND, SKIP = 0, 1, 2, 3, 125


class Measured(NamedTuple):
    """All that was measured of one case; `add` takes more processes in."""

    errors: dict[str, str]  # of "base" and "head"
    peaks: dict[str, list[int]]  # bytes, by process
    costs: dict[str, list[float]]
    input_bytes: int
    ratios: list[list[float]]  # logs of HEAD's time / BASE's, by pair of processes and round
    same_code: bool | None = None

    def add(self, more: Measured) -> Measured:
        return more._replace(
            errors=self.errors | more.errors,
            peaks={side: self.peaks[side] + more.peaks[side] for side in self.peaks},
            costs={side: self.costs[side] + more.costs[side] for side in self.costs},
            ratios=self.ratios + more.ratios,
        )


class Verdict(NamedTuple):
    """What was found about one case."""

    case: str
    word: str  # "same", "faster", "can't tell", "not compared", "fails", or some of "slower, more memory, worse cost"
    ratio: float = math.nan  # median of HEAD's time / BASE's, and the ends of its interval
    low: float = math.nan
    high: float = math.nan
    sees: float = math.nan  # least slowdown that would have been seen
    note: str = ""

    @property
    def bad(self) -> bool:
        return self.word not in (SAME, FASTER, UNKNOWN, NOT_COMPARED)


def judge(case: str, measured: Measured) -> Verdict:
    """Judge a case.

    It is slower if all of the interval lies above 1, and its median beyond 4 %. It is the same only if all of the
    interval lies below a slowdown of 4 %. So a slowdown is seen if it is as large as the lower half of the interval.
    """
    if measured.errors.keys() == {"head"}:
        return Verdict(case, FAILS, note=measured.errors["head"])
    if measured.errors:
        return Verdict(case, NOT_COMPARED, note=f"BASE raises {measured.errors['base']}")
    ratio, low, high = map(math.exp, of_processes(measured.ratios))
    sees = max(MARGIN, ratio / low if low else math.inf)
    found = {
        SLOWER: "" if low > 1 and ratio > MARGIN else None,
        MEMORY: _memory(measured),
        COST: _cost(measured),
    }
    worse = [word for word, note in found.items() if note is not None]
    timed = FASTER if high < 1 and ratio < 1 / MARGIN else SAME if high < MARGIN else UNKNOWN
    notes = [*filter(None, found.values())]
    if not measured.peaks["base"] or not measured.peaks["head"]:
        notes.append("memory not measured")
    if measured.same_code:
        notes.append("same machine code")
    return Verdict(case, ", ".join(worse) or timed, ratio, low, high, sees, "; ".join(notes))


def _memory(measured: Measured) -> str | None:
    base, head = measured.peaks["base"], measured.peaks["head"]
    if not base or not head:
        return None
    noise = max(base) - min(base)
    if min(head) - max(base) <= max(_LEAST_BYTES, _LEAST_PART * measured.input_bytes, 2 * noise):
        return None
    return f"{min(head) / 1e6:.1f} MB beyond its input, {max(base) / 1e6:.1f} before"


def _cost(measured: Measured) -> str | None:
    base, head = measured.costs["base"], measured.costs["head"]
    if not base or not head or min(head) <= max(base) + max(_LEAST_COST, 2 * (max(base) - min(base))):
        return None
    return f"final cost {min(head):.6f}, before {max(base):.6f}"


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """0 good, 1 some case is worse, 2 nothing was compared, 3 nothing can be told of most cases."""
    compared = [verdict for verdict in verdicts if verdict.word != NOT_COMPARED]
    if any(verdict.bad for verdict in compared):
        return WORSE
    unknown = sum(verdict.word == UNKNOWN for verdict in compared)
    return NOTHING if not compared else BLIND if 2 * unknown > len(compared) else GOOD


def conclusion(verdicts: Sequence[Verdict]) -> str:
    """A sentence that names the worse cases, and one that names those of which nothing can be told."""
    worse = "; ".join(f"{verdict.case} ({verdict.word})" for verdict in verdicts if verdict.bad)
    unknown = [verdict for verdict in verdicts if verdict.word == UNKNOWN]
    code = exit_code(verdicts)
    words = {GOOD: "No case is worse.", WORSE: f"Worse: {worse}.", NOTHING: "Nothing was compared.", BLIND: ""}[code]
    if unknown:
        cases = "; ".join(f"{verdict.case} (sees {_factor(verdict.sees)})" for verdict in unknown)
        words += f" Can't tell: {cases}. The machine is too noisy; run again when it is quieter."
    return words.strip()


def _factor(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "nothing"


def _cells(verdict: Verdict) -> tuple[str, ...]:
    if math.isnan(verdict.ratio):
        figures = ("", "", "")
    else:
        v = verdict
        figures = f"{v.ratio:.3f}", f"{v.low:.3f} - {v.high:.3f}", _factor(v.sees)
    return verdict.case, *figures, verdict.word, verdict.note


_TITLES = ("case", "HEAD/BASE", "interval", "sees", "verdict", "note")


def table(verdicts: Sequence[Verdict]) -> str:
    rows = [_TITLES, *map(_cells, verdicts)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_TITLES))]
    return "\n".join("  ".join(f"{cell:{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def markdown(verdicts: Sequence[Verdict], base: str, head: str) -> str:
    """The table and the conclusion, for the description of a pull request."""
    lines = [f"**{conclusion(verdicts)}** ({head} against {base})", ""]
    lines += ["| " + " | ".join(_TITLES) + " |", "|---|--:|--:|--:|---|---|"]
    for verdict in verdicts:
        name, *figures, word, note = (cell.replace("|", "\\|").replace("\n", " ") for cell in _cells(verdict))
        word = f"**{word}**" if verdict.bad else word
        lines.append("| " + " | ".join([name, *figures, word, note]) + " |")
    return "\n".join([*lines, "", "*sees*: the least slowdown that would have been seen."])


def record(verdict: Verdict) -> dict[str, Any]:
    """A verdict for JSON, which has no NaN or infinity."""
    values = verdict._asdict()
    return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in values.items()}
