"""SVG pictures of histories: a line beside a row of a table, and a chart with whiskers and steps."""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Callable, Iterable, Sequence

from past import History, Level, Paired

#: Slowdowns from which a step is coloured. The first is of paired ratios, which know no other noise than the moment's.
#: The second is that from which `asv continuous` speaks of a regression.
PAIRED_SLOWDOWN, SLOWDOWN = 1.05, 1.1
#: Of machines.
COLOURS = ("#0b57a4", "#8a5a00", "#6b3fa0", "#00766c")
SLOWER, FASTER = "#b00020", "#1a7f37"
# Largest and least end of the scale of sparklines, as a ratio to the first value.
_LARGEST, _LEAST = 4.0, 1.25
_WIDTH, _HEIGHT = 360, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 20, 22
# From 1 outwards, so that near ones are left out first.
_TICKS = (1, 1.02, 0.98, 1.05, 0.95, 1.1, 0.9, 1.2, 0.8, 1.5, 0.7, 2, 0.5, 3, 0.3, 5, 0.2, 10, 0.1, 30, 0.03, 100, 0.01)


def scale_of(histories: Iterable[History]) -> float:
    """Ratio to the first value at which the scale of all sparklines ends."""
    ends = (abs(math.log(_over(value, each.values[0]))) for each in histories for value in each.values)
    return min(_LARGEST, max([_LEAST, *map(math.exp, ends)]))


def _over(value: float, first: float) -> float:
    """Ratio, kept between limits that no scale reaches: what asv tracks may be zero."""
    return min(1e6, max(1e-6, value / first)) if first else 1.0


def sparkline(values: Sequence[float], end: float, colour: str = COLOURS[0], width: int = 160, height: int = 28) -> str:
    """Line through the values as ratios to the first, from 1 / `end` to `end`; a grey line is at the first.

    What lies beyond the scale is drawn at its edge.
    """
    step = (width - 8) / max(1, len(values) - 1)
    middle = height / 2
    heights = [math.log(_over(value, values[0])) / math.log(end) for value in values]
    points = [(4 + k * step, middle - min(1.0, max(-1.0, y)) * (middle - 4)) for k, y in enumerate(heights)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    return (
        f'<svg class="spark" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        'aria-label="history">'
        f'<line x1="0" x2="{width}" y1="{middle}" y2="{middle}" stroke="#d5dbe1"/>'
        f'<polyline points="{line}" fill="none" stroke="#0b57a4" stroke-width="1.5"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/></svg>'
    )


def steps(levels: Sequence[Level], least: float = PAIRED_SLOWDOWN) -> list[tuple[int, float]]:
    """First index after each step of at least that ratio, up or down, and its ratio."""
    found = [(after.first, after.value / before.value) for before, after in itertools.pairwise(levels)]
    return [(first, ratio) for first, ratio in found if abs(math.log(ratio)) >= math.log(least)]


def colour_of(ratio: float) -> str:
    return SLOWER if ratio > 1 else FASTER


def whiskers(history: Paired, levels: Sequence[Level], machines: Sequence[str]) -> str:
    """Chart of a case: a dot and an interval for each revision and machine, levels as lines, numbered steps."""
    place = {revision: k for k, revision in enumerate(history.revisions())}
    low, high = _ends(history)
    span = math.log(high / low)

    def across(k: float) -> float:
        return _LEFT + (k + 0.5) / len(place) * (_WIDTH - _LEFT - _RIGHT)

    def up(ratio: float) -> float:
        part = math.log(min(high, max(low, ratio)) / low) / span
        return _HEIGHT - _BOTTOM - part * (_HEIGHT - _TOP - _BOTTOM)

    drawn = [_axes(history, up, low, high)]
    for number, (first, ratio) in enumerate(steps(levels), 1):
        x = across(first - 0.5)
        drawn.append(
            f'<g class="step" stroke="{colour_of(ratio)}"><line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" '
            f'y2="{_HEIGHT - _BOTTOM}" stroke-dasharray="3 3"/><text x="{x:.1f}" y="{_TOP - 6}" stroke="none" '
            f'fill="{colour_of(ratio)}" text-anchor="middle" font-weight="bold">{number}</text></g>'
        )
    for first, end, value in levels:
        x, y = (across(first - 0.4), across(end - 0.6)), up(value)
        drawn.append(f'<line x1="{x[0]:.1f}" x2="{x[1]:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="#9aa5b1"/>')
    for point in history.points:
        which = machines.index(point.machine)
        colour = COLOURS[which % len(COLOURS)]
        x = across(place[point.revision] + 0.2 * (which - (len(machines) - 1) / 2) / len(machines))
        title = (
            f"{point.revision[:10]}, {point.date:%Y-%m-%d}, {point.machine}: {point.ratio:.3f} "
            f"[{point.low:.3f} to {point.high:.3f}]"
        )
        drawn.append(
            f'<g class="whisker"><title>{html.escape(title)}</title><line x1="{x:.1f}" x2="{x:.1f}" '
            f'y1="{up(point.low):.1f}" y2="{up(point.high):.1f}" stroke="{colour}" stroke-width="1.5"/>'
            f'<circle cx="{x:.1f}" cy="{up(point.ratio):.1f}" r="2.8" fill="{colour}"/></g>'
        )
    return (
        f'<svg class="whiskers" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{html.escape(history.case)}">{"".join(drawn)}</svg>'
    )


def _ends(history: Paired) -> tuple[float, float]:
    """Ends of a chart's axis. Twice the ratios' own range is enough for whiskers: one that is longer is cut."""
    ratios = [point.ratio for point in history.points]
    middle = math.sqrt(min(ratios) * max(ratios))
    most = max(1.12, (max(ratios) / min(ratios)))
    reach = max(max(p.high / middle, middle / p.low if p.low > 0 else math.inf) for p in history.points)
    end = 1.03 * min(most, max(1.12, reach))
    return middle / end, middle * end


def _axes(history: Paired, up: Callable[[float], float], low: float, high: float) -> str:
    kept: list[float] = []
    for tick in _TICKS:
        if low <= tick <= high and all(abs(up(tick) - up(other)) >= 16 for other in kept):
            kept.append(tick)
    if len(kept) < 2:
        kept = [low, math.sqrt(low * high), high]
    lines = [
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{up(tick):.1f}" y2="{up(tick):.1f}" '
        f'stroke="{"#8795a3" if tick == 1 else "#e3e7eb"}"/>'
        f'<text x="{_LEFT - 5}" y="{up(tick) + 4:.1f}" text-anchor="end">{tick:.3g}</text>'
        for tick in kept
    ]
    first, last = history.points[0], history.points[-1]
    lines += [
        f'<text x="{x}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{point.revision[:7]}, {point.date:%Y-%m-%d}</text>'
        for x, anchor, point in ((_LEFT, "start", first), (_WIDTH - _RIGHT, "end", last))
    ]
    return "".join(lines[: len(lines) if first.revision != last.revision else -1])
