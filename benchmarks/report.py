"""Write a static page about throughput, without outside requests: bandwidth shares, speed-ups, history, losing cells.

    python -m benchmarks grid --json grid.json
    asv run --steps 5 NEW; asv publish
    python -m benchmarks report --grid grid.json --out report

The page is report/index.html. Its history links to asv's own pages, which are copied beside it with the libraries that
they need. That takes npm, and without it they are left out.
"""

from __future__ import annotations

import argparse
import html
import itertools
import json
import math
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import asv_pages
import grid

CHECKOUT = Path(__file__).parents[1]
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #1c2733; }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem; }
th, td { padding: 0.3rem 0.6rem; text-align: right; border: 1px solid #d5dbe1; }
th:first-child, td:first-child { text-align: left; }
.losing { font-weight: bold; color: #b00020; }
.note { color: #5b6773; max-width: 50rem; }
svg.spark { vertical-align: middle; }
a { color: #0b57a4; }
"""


class History(NamedTuple):
    """One asv benchmark with one combination of its params."""

    benchmark: str
    params: str
    dates: list[int]  # of the commits, in milliseconds since 1970, rising
    commits: list[str]
    values: list[float]


def histories(results: Path) -> list[History]:
    """What asv has measured; of several machines or environments, the one with the most results."""
    machines = [folder for folder in results.glob("*") if (folder / "machine.json").exists()]
    if not machines:
        return []
    folder = max(machines, key=lambda folder: len(list(folder.glob("*.json"))))
    points: dict[tuple[str, str], dict[str, tuple[int, str, float]]] = {}
    versions = _versions(results)
    runs = [json.loads(path.read_text()) for path in folder.glob("*.json") if path.name != "machine.json"]
    environments = [run.get("env_name", "") for run in runs]
    usual = max(environments, key=environments.count, default="")
    for run in runs:
        if run.get("env_name", "") != usual:
            continue
        for name, row in run["results"].items():
            columns = dict(zip(run["result_columns"], row, strict=False))
            if columns.get("version") != versions.get(name, columns.get("version")):
                continue  # of an earlier version of the benchmark
            combinations = itertools.product(*(columns.get("params") or []))
            for params, value in zip(combinations, columns["result"] or [], strict=False):
                if value is not None and math.isfinite(value):
                    key = name, ", ".join(param.strip("'") for param in params)
                    points.setdefault(key, {})[run["commit_hash"]] = (run["date"], run["commit_hash"], value)
    found = []
    for (name, params), rows in sorted(points.items()):
        dates, commits, values = zip(*sorted(rows.values()), strict=True)
        found.append(History(name, params, list(dates), list(commits), list(values)))
    return found


def _versions(results: Path) -> dict[str, str]:
    """Of the benchmarks as they are now."""
    path = results / "benchmarks.json"
    listed = json.loads(path.read_text()) if path.exists() else {}
    return {name: about["version"] for name, about in listed.items() if isinstance(about, dict) and "version" in about}


def heat_map(cells: list[dict[str, Any]], order: str) -> str:
    """HTML table of the share of bandwidth that all threads reach."""
    chosen = {(c["n"], c["dtype"], c["batch_size"]): c for c in cells if c["order"] == order}
    sizes = list(dict.fromkeys(size for _, _, size in chosen))
    rows = []
    for n, dtype in dict.fromkeys((n, dtype) for n, dtype, _ in chosen):
        shown = [_shade(chosen.get((n, dtype, size))) for size in sizes]
        rows.append(f"<tr><td>{n} {dtype}</td>{''.join(shown)}</tr>")
    heads = "".join(f"<th>{size or 'm'}</th>" for size in sizes)
    return f'<table class="heat"><tr><th>n, batch size:</th>{heads}</tr>{"".join(rows)}</table>'


def _shade(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return "<td></td>"
    share = cell["all_share"]
    lightness = 97 - 52 * min(1.0, max(0.0, share))
    colour = "#fff" if lightness < 60 else "#1c2733"
    rates = f"{cell['all_rows_per_second'] / 1e6:.1f} million rows/s"
    return f'<td style="background: hsl(205 70% {lightness:.0f}%); color: {colour}" title="{rates}">{share:.0%}</td>'


def speedup_table(cells: list[dict[str, Any]], order: str) -> str:
    """HTML table of speed-ups over the fastest rival."""
    chosen = {(c["n"], c["dtype"], c["batch_size"]): c for c in cells if c["order"] == order and "speedup" in c}
    sizes = list(dict.fromkeys(size for _, _, size in chosen))
    rows = []
    for n, dtype in dict.fromkeys((n, dtype) for n, dtype, _ in chosen):
        shown = []
        for size in sizes:
            cell = chosen.get((n, dtype, size))
            kind = ' class="losing"' if cell and cell["speedup"] < 1 else ""
            text = f"{cell['speedup']:.1f}x {html.escape(cell['best_rival'])}" if cell else ""
            shown.append(f"<td{kind}>{text}</td>")
        rows.append(f"<tr><td>{n} {dtype}</td>{''.join(shown)}</tr>")
    heads = "".join(f"<th>{size or 'm'}</th>" for size in sizes)
    return f"<table><tr><th>n, batch size:</th>{heads}</tr>{''.join(rows)}</table>"


def losing(cells: list[dict[str, Any]]) -> str:
    lines = [f"<li>{html.escape(grid.line(cell))}</li>" for cell in cells if "speedup" in cell and cell["speedup"] < 1]
    return f'<ul class="losing">{"".join(lines)}</ul>' if lines else "<p>None: no rival wins a cell.</p>"


def sparkline(values: list[float], width: int = 160, height: int = 28) -> str:
    """SVG line through the values, lowest at the bottom; one value is a dot."""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = (width - 6) / max(1, len(values) - 1)
    points = [(3 + k * step, height - 3 - (value - low) / span * (height - 6)) for k, value in enumerate(values)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    return (
        f'<svg class="spark" width="{width}" height="{height}" role="img" aria-label="history">'
        f'<polyline points="{line}" fill="none" stroke="#0b57a4" stroke-width="1.5"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="#b00020"/></svg>'
    )


def history_table(found: list[History], linked: bool) -> str:
    rows = []
    for each in found:
        name = html.escape(each.benchmark)
        title = f'<a href="asv/index.html#{name}">{name}</a>' if linked else name
        first, last = each.values[0], each.values[-1]
        change = f"{last / first:.2f}x" if first else ""
        rows.append(
            f"<tr><td>{title}</td><td>{html.escape(each.params)}</td><td>{sparkline(each.values)}</td>"
            f"<td>{last:.4g}</td><td>{change}</td><td>{len(each.values)}</td></tr>"
        )
    heads = (
        "<tr><th>benchmark</th><th>params</th><th>history</th><th>last</th><th>of the first</th><th>commits</th></tr>"
    )
    return f'<table class="history">{heads}{"".join(rows)}</table>'


def reference_table(found: list[History]) -> str:
    """Last measured speed-ups over the NumPy reference, by asv."""
    rows = [
        f"<tr><td>{html.escape(each.benchmark)}</td><td>{html.escape(each.params)}</td><td>{each.values[-1]:.1f}x</td></tr>"
        for each in found
        if each.benchmark.endswith("track_speedup")
    ]
    if not rows:
        return "<p>Not measured: asv's results hold no speed-up.</p>"
    return f"<table><tr><th>benchmark</th><th>params</th><th>speed-up</th></tr>{''.join(rows)}</table>"


def page(result: dict[str, Any], found: list[History], linked: bool) -> str:
    cells = result["cells"]
    orders = list(dict.fromkeys(cell["order"] for cell in cells))
    shares = "".join(f"<h3>{order} order</h3>{heat_map(cells, order)}" for order in orders)
    speedups = "".join(f"<h3>{order} order</h3>{speedup_table(cells, order)}" for order in orders)
    asv = '<p><a href="asv/index.html">All of asv\'s graphs</a></p>' if linked else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>jitlogit: throughput</title>
<link rel="icon" href="data:,"><style>{_STYLE}</style></head><body>
<h1>jitlogit: throughput</h1>
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
<h2>History</h2>
<p class="note">A line for each benchmark and its params, commit after commit: seconds for <code>time_</code>, bytes for
<code>peakmem_</code>. A click on a name opens its graph.</p>
{asv}{history_table(found, linked)}
</body></html>
"""


def write(out: Path, result: dict[str, Any], results: Path, published: Path | None) -> Path:
    """Write the page, and asv's pages beside it; return the path of the page."""
    out.mkdir(parents=True, exist_ok=True)
    linked = published is not None and published.is_dir() and asv_pages.can_fetch()
    if linked:
        shutil.copytree(published, out / "asv", dirs_exist_ok=True)
        asv_pages.make_self_contained(out / "asv")
    path = out / "index.html"
    path.write_text(page(result, histories(results), linked))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", type=Path, nargs="+", required=True, help="JSON files of grid.py")
    parser.add_argument("--results", type=Path, default=CHECKOUT / ".asv" / "results", help="folder of asv's results")
    parser.add_argument("--asv", type=Path, default=CHECKOUT / ".asv" / "html", help="folder of asv's published pages")
    parser.add_argument("--out", type=Path, default=Path("report"))
    options = parser.parse_args()
    print(write(options.out, grid.joined(options.grid), options.results, options.asv))


if __name__ == "__main__":
    main()
