"""Write a static page about throughput, without outside requests: shares, speed-ups, losing cells, and the history.

    python -m pip install -e '.[track]'
    python -m benchmarks grid --json grid.json
    asv run --steps 5 NEW; asv publish
    python -m benchmarks report --grid grid.json --out report

The page is report/index.html. It draws the gate's history with its intervals, and marks the commits at which a level
changed. Its table of asv's benchmarks links to asv's own pages, which are copied beside it with the libraries that they
need. That takes npm, and without it they are left out.
"""

from __future__ import annotations

import argparse
import datetime
import html
import math
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import asv_pages
import drawing
import grid
import past
from checkout import CHECKOUT, git, provenance

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 75rem; padding: 0 1rem; color: #1c2733; }
table { border-collapse: collapse; }
th, td { padding: 0.3rem 0.6rem; text-align: right; border: 1px solid #d5dbe1; }
th:first-child, td:first-child { text-align: left; }
.wide { overflow-x: auto; margin: 0.5rem 0 1.5rem; }
.facts th, .facts td { text-align: left; vertical-align: top; overflow-wrap: anywhere; }
.facts td:first-child { overflow-wrap: normal; white-space: nowrap; }
.history td:first-child { overflow-wrap: anywhere; min-width: 7rem; }
.losing, .slower { font-weight: bold; color: #b00020; }
td.slower { background: #fdecee; }
.faster { color: #1a7f37; }
td.faster { background: #e9f6ec; }
.note { color: #5b6773; max-width: 50rem; }
svg.spark { vertical-align: middle; }
svg.whiskers { width: 100%; height: auto; font: 12px system-ui, sans-serif; fill: #1c2733; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); gap: 1rem; }
.charts figure { margin: 0; padding: 0.5rem; border: 1px solid #d5dbe1; }
.charts ol { margin: 0.3rem 0; padding-left: 1.6rem; font-size: 13px; overflow-wrap: anywhere; }
a { color: #0b57a4; }
@media (max-width: 40rem) {
  body { font-size: 14px; padding: 0 0.6rem; } th, td { padding: 0.2rem 0.35rem; } svg.spark { width: 90px; }
}
"""


def table(heads: Iterable[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """HTML table, which scrolls where the page is narrow; a cell may be a whole `<td>`."""
    lines = ["".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in row) for row in rows]
    return (
        f'<div class="wide"><table class="{kind}"><tr>{"".join(f"<th>{head}</th>" for head in heads)}</tr>'
        f"{''.join(f'<tr>{line}</tr>' for line in lines)}</table></div>"
    )


def by_shape(cells: list[dict[str, Any]], order: str, show: Any) -> str:
    """Table of the cells of one memory order: a row for each n and dtype, a column for each batch size."""
    chosen = {(c["n"], c["dtype"], c["batch_size"]): c for c in cells if c["order"] == order}
    sizes = sorted({size for _, _, size in chosen}, key=lambda size: size or math.inf)  # None stands for all rows
    rows = [
        [f"{n} {dtype}", *(show(chosen.get((n, dtype, size))) for size in sizes)]
        for n, dtype in sorted({(n, dtype) for n, dtype, _ in chosen})
    ]
    return table(["n, batch size:", *(str(size or "m") for size in sizes)], rows)


def share(cell: dict[str, Any] | None) -> str:
    """Cell of the heat map: dark is near the bandwidth."""
    if cell is None:
        return ""
    lightness = 97 - 52 * min(1.0, max(0.0, cell["all_share"]))
    colour = "#fff" if lightness < 60 else "#1c2733"
    rates = f"{cell['all_rows_per_second'] / 1e6:.1f} million rows/s"
    style = f"background: hsl(205 70% {lightness:.0f}%); color: {colour}"
    return f'<td class="heat" style="{style}" title="{rates}">{cell["all_share"]:.0%}</td>'


def speedup(cell: dict[str, Any] | None) -> str:
    if cell is None or "speedup" not in cell:
        return ""
    kind = ' class="losing"' if cell["speedup"] < 1 else ""
    return f"<td{kind}>{short(cell['speedup'])}x {html.escape(cell['best_rival'])}</td>"


def short(value: float) -> str:
    """Three digits, and more only before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def losing(cells: list[dict[str, Any]]) -> str:
    """Table of the cells that a rival wins, the worst first."""
    lost = sorted((c for c in cells if c.get("speedup", 1) < 1), key=lambda c: c["speedup"])
    if not lost:
        return "<p>None: no rival wins a cell.</p>"
    rows = [
        [
            f"{c['n']} {c['dtype']}",
            c["order"],
            str(c["batch_size"] or "m"),
            html.escape(c["best_rival"]),
            f'<td class="losing">{short(c["speedup"])}x</td>',
            short(c["all_rows_per_second"] / 1e6),
            f"{short(100 * c['all_share'])} %",
        ]
        for c in lost
    ]
    heads = ["n, dtype", "order", "batch size", "rival", "speed-up", "million rows/s", "share of bandwidth"]
    return table(heads, rows, "lost")


def changes(history: past.History) -> tuple[float, float]:
    """Ratios of the last level to the first, and to the lowest."""
    found = [level.value for level in past.levels(history.values)]
    return found[-1] / found[0], found[-1] / min(found)


def ratio_cell(ratio: float, words: tuple[str, str] = ("slower", "faster")) -> str:
    """A ratio of costs, coloured where it is beyond the threshold."""
    kind = words[0] if ratio > drawing.SLOWDOWN else words[1] if ratio < 1 / drawing.SLOWDOWN else ""
    return f'<td class="{kind}">{ratio:.2f}x</td>'


def last_value(history: past.History) -> str:
    value, unit = history.values[-1], history.unit
    if unit == "seconds":
        return f"{value * 1e3:.4g} ms"
    if unit == "bytes":
        return f"{value / 1e6:.4g} MB"
    return html.escape(f"{value:.4g} {unit}".strip())


def history_table(found: list[past.History], linked: bool) -> str:
    """What asv measured, slowdowns first."""
    if not found:
        return "<p>Not measured: asv has no results. <code>asv run</code> makes them.</p>"
    end = drawing.scale_of(found)
    ratios = [changes(each) for each in found]
    slow = sum(of_best > drawing.SLOWDOWN for _, of_best in ratios)
    rows = []
    for (of_first, of_best), each in sorted(
        zip(ratios, found, strict=True), key=lambda row: -row[0][1] if row[0][1] > drawing.SLOWDOWN else 0
    ):
        name = html.escape(each.benchmark)
        title = f'<a href="asv/index.html#{name}">{name}</a>' if linked else name
        colour = drawing.SLOWER if of_best > drawing.SLOWDOWN else drawing.COLOURS[0]
        title = f"{title}<br><small>{html.escape(each.params)}</small>"
        cells = [ratio_cell(of_first), ratio_cell(of_best), last_value(each), str(len(each.values))]
        rows.append([title, drawing.sparkline(each.values, end, colour), *cells])
    heads = ["benchmark, params", "history", "of the first", "of the best", "last", "commits"]
    return (
        f'<p class="note">A line for each benchmark and its params, commit after commit. All are costs: lower is '
        "better. "
        f"All lines have one scale, from {1 / end:.2f} to {end:.2f} times the first value, at which the grey line is. "
        f'"Of the best" compares the last level with the lowest; beyond {drawing.SLOWDOWN:g} it is a slowdown: '
        f"{slow} of {len(found)}.</p>{table(heads, rows, 'history')}"
    )


def reference_table(found: list[past.History]) -> str:
    """Last measured speed-ups over the NumPy reference, by asv, which tracks their reciprocals."""
    rows = [
        [html.escape(each.benchmark.rpartition(".")[0]), html.escape(each.params), f"{1 / each.values[-1]:.1f}x"]
        for each in found
        if each.benchmark.endswith("track_part_of_reference")
    ]
    if not rows:
        return "<p>Not measured: asv's results hold no part of the reference.</p>"
    return table(["benchmark", "params", "speed-up"], rows)


def gate_charts(found: list[past.Paired], subjects: dict[str, str]) -> str:
    """The gate's history: a chart for each case, and under it the commits at which its level changed."""
    if not found:
        return "<p>Not measured: <code>python -m benchmarks gate --append</code> keeps a history.</p>"
    machines = list(dict.fromkeys(point.machine for each in found for point in each.points))
    figures = []
    for each in found:
        levels, revisions = each.levels(), each.revisions()
        lines = []
        for first, ratio in drawing.steps(levels):
            before, after = revisions[first - 1 : first + 1]
            kind = "slower" if ratio > 1 else "faster"
            lines.append(
                f'<li><b class="{kind}">{ratio:.2f}x</b> the time at <code>{after[:10]}</code> '
                f"{html.escape(subjects.get(after, ''))} (before: <code>{before[:10]}</code>)</li>"
            )
        steps = f"<ol>{''.join(lines)}</ol>" if lines else '<p class="note">No step.</p>'
        title = f"<figcaption><b>{html.escape(each.case)}</b>, of <code>{each.anchor[:10]}</code></figcaption>"
        figures.append(f"<figure>{title}{drawing.whiskers(each, levels, machines)}{steps}</figure>")
    legend = ", ".join(
        f'<span style="color: {drawing.COLOURS[k % len(drawing.COLOURS)]}">&#9679;</span> {html.escape(machine)}'
        for k, machine in enumerate(machines)
    )
    return (
        '<p class="note">Time at each commit over that at the anchor, measured in turn, so figures of several machines '
        f"and days can stand together; below 1 is faster. Whiskers are the gate's intervals: {legend}. "
        f"A number marks a step of {drawing.PAIRED_SLOWDOWN - 1:.0%} or more that asv's step detection finds. It lies "
        "between the commit that is named and the one measured before it. Each chart has a scale of its own.</p>"
        f'<div class="charts">{"".join(figures)}</div>'
    )


def subjects() -> dict[str, str]:
    """First lines of this repository's commits."""
    lines = (git("log", "--all", "--format=%H %s") or "").splitlines()
    return {revision: subject for revision, _, subject in (line.partition(" ") for line in lines)}


def code(about: dict[str, Any]) -> str:
    """Which code and when, for a reader."""
    revision = about.get("revision")
    words = f"<code>{revision[:10]}</code>" if revision else "unknown revision: an installed package, or no git"
    if about.get("dirty"):
        words += ' <b class="slower">with uncommitted changes</b>'
    return f"{words}, {moment(about['date']) if 'date' in about else 'no date'}"


def moment(date: str) -> str:
    return f"{datetime.datetime.fromisoformat(date).astimezone(datetime.UTC):%Y-%m-%d %H:%M} UTC"


# What the machine's description says: its key, and words around the value.
_GRID_FACTS = (("processor", "", ""), ("cores", "", " cores"), ("threads", "", " threads"), ("python", "Python ", ""))
_ASV_FACTS = (("cpu", ""), ("num_cpu", "cores: "), ("os", ""))


def facts(
    parts: list[dict[str, Any]],
    asv_machine: dict[str, Any] | None,
    histories: list[past.History],
    found: list[past.Paired],
) -> str:
    """What a reader must know about the figures: code, date, processor, units."""
    rows = [["this page", code(provenance())]]
    for part in parts:
        machine = part["machine"]
        where = [f"{word}{machine[key]}{unit}" for key, word, unit in _GRID_FACTS if key in machine]
        rows.append(["grid", f"{code(part)}; {html.escape(', '.join(where))}"])
    if asv_machine is not None:
        known = [f"{word}{asv_machine[key]}" for key, word in _ASV_FACTS if asv_machine.get(key)]
        if histories:
            date, commit = max((each.dates[-1], each.commits[-1]) for each in histories)
            known.insert(0, f"up to {commit[:10]}, {moment(datetime.datetime.fromtimestamp(date / 1e3).isoformat())}")
        rows.append(["asv", html.escape("; ".join(known) or "no results")])
    if found:
        points = [point for each in found for point in each.points]
        dates = sorted(point.date for point in points)
        machines = ", ".join(dict.fromkeys(point.machine for point in points))
        count = len({point.revision for point in points})
        rows.append(
            ["gate", html.escape(f"{count} revisions, {dates[0]:%Y-%m-%d} to {dates[-1]:%Y-%m-%d}; {machines}")]
        )
    rows.append(["units", "shares: of the read bandwidth; rates: million rows of X a second; ratios: of times"])
    return table(["figures", "of which code, when and where"], rows, "facts")


def page(
    result: dict[str, Any],
    found: list[past.History],
    linked: bool,
    gate: Sequence[past.Paired] = (),
    asv_machine: dict[str, Any] | None = None,
) -> str:
    cells = result["cells"]
    orders = list(dict.fromkeys(cell["order"] for cell in cells))
    shares = "".join(f"<h3>{order} order</h3>{by_shape(cells, order, share)}" for order in orders)
    speedups = "".join(f"<h3>{order} order</h3>{by_shape(cells, order, speedup)}" for order in orders)
    asv = '<p><a href="asv/index.html">All of asv\'s graphs</a></p>' if linked else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>jitlogit: throughput</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><style>{_STYLE}</style></head><body>
<h1>jitlogit: throughput</h1>
{facts(result.get("parts", [result]), asv_machine, found, list(gate))}
<p class="note">{html.escape(grid.summary(result))}</p>
<h2>Share of the read bandwidth, all threads</h2>
<p class="note">The rate at which a ten-epoch fit reads X, of the rate at which the machine can. On a shared machine
both change within seconds, hence shares above 100 %.</p>
{shares}
<h2>Speed-up over the fastest rival</h2>
{speedups}
<h2>Cells that a rival wins</h2>
{losing(cells)}
<h2>Speed-up over the NumPy reference</h2>
{reference_table(found)}
<h2>The gate's history</h2>
{gate_charts(list(gate), subjects())}
<h2>asv's history</h2>
{asv}{history_table(found, linked)}
</body></html>
"""


def read_grid(paths: Sequence[Path]) -> dict[str, Any]:
    """One result with the cells of several, and what each says of its code and machine."""
    needed = {"n", "dtype", "order", "batch_size", "all_share", "all_rows_per_second"}
    parts = []
    for path in paths:
        part = past.read(path, f"python -m benchmarks grid --json {path}")
        try:
            missing = {"threads", "versions"} - part["machine"].keys() | {"megabytes"} - part.keys()
            for cell in part["cells"]:
                missing |= needed - cell.keys()
        except (AttributeError, KeyError, TypeError):
            missing = {"machine", "cells"}
        if missing:
            words = ", ".join(sorted(missing))
            raise past.Unreadable(f"{path} is not a result of benchmarks/grid.py --json: it has no {words}")
        parts.append(part)
    return grid.joined(paths) | {"parts": parts}


def write(
    out: Path, result: dict[str, Any], results: Path, published: Path | None, history: Path | None = None
) -> Path:
    """Write the page, and asv's pages beside it; return the path of the page."""
    out.mkdir(parents=True, exist_ok=True)
    linked = published is not None and published.is_dir() and asv_pages.can_fetch()
    if linked:
        shutil.copytree(published, out / "asv", dirs_exist_ok=True)
        asv_pages.make_self_contained(out / "asv")
    machine = past.machine_folder(results)
    about = past.read(machine / "machine.json", "asv machine --yes") if machine else None
    gate = past.paired(history) if history else []
    path = out / "index.html"
    path.write_text(page(result, past.histories(results), linked, gate, about))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", type=Path, nargs="+", required=True, help="JSON files of grid.py")
    parser.add_argument("--results", type=Path, default=CHECKOUT / ".asv" / "results", help="folder of asv's results")
    parser.add_argument("--asv", type=Path, default=CHECKOUT / ".asv" / "html", help="folder of asv's published pages")
    parser.add_argument(
        "--history", type=Path, default=CHECKOUT / "benchmarks" / "history", help="folder of the gate's histories"
    )
    parser.add_argument("--out", type=Path, default=Path("report"))
    options = parser.parse_args()
    try:
        print(write(options.out, read_grid(options.grid), options.results, options.asv, options.history))
    except (past.Unreadable, asv_pages.Incomplete, OSError) as error:
        raise SystemExit(f"report.py: {error}") from None


if __name__ == "__main__":
    main()
