"""Draw the README's picture, throughput over batch size beside rivals and the read bandwidth, and make its short table.

The rivals are those of `grid`, which says how they are measured and checked.

    python -m benchmarks picture --readme README.md
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import grid
from checkout import provenance
from compete import bandwidth_of, draw_throughput, in_c_order, pyplot, rates_of, row_bytes_of
from options import CHECKOUT, Parser, replace_table, write_json

_FEATURES = (28, 784)
_BATCH_SIZES = (1, 32, 256, 4096, None)


def table(cells: list[dict[str, Any]]) -> str:
    """Markdown: a row for each cell; rivals that are as fast are in bold."""
    lines = [
        "| features | batch size | jitlogit, GB/s | read bandwidth, GB/s | fastest rival | its GB/s | speed-up |",
        "|---|---|---|---|---|---|---|",
    ]
    for cell in cells:
        rates = {name: rate * row_bytes_of(cell) / 1e9 for name, rate in rates_of(cell).items()}
        ours = rates.pop("jitlogit")
        rates.pop("jitlogit, one thread")
        facts = [str(cell["n"]), str(cell["batch_size"] or "all"), f"{ours:.3g}", f"{bandwidth_of(cell):.3g}"]
        if rates:
            rival = max(rates, key=lambda name: rates[name])
            shown = [rival, f"{rates[rival]:.3g}", f"{ours / rates[rival]:.1f}"]
            facts += [f"**{fact}**" for fact in shown] if rates[rival] >= ours else shown
        lines.append("| " + " | ".join(facts + [""] * (7 - len(facts))) + " |")
    return "\n".join(lines)


def draw(cells: list[dict[str, Any]], path: Path) -> None:
    plt = pyplot()
    plt.rcParams["svg.hashsalt"] = "jitlogit"  # so that equal figures make equal files
    features = list(dict.fromkeys(cell["n"] for cell in cells))
    figure, panels = plt.subplots(1, len(features), figsize=(9, 3.8), layout="constrained", sharey=True, squeeze=False)
    for axes, n in zip(panels[0], features, strict=True):
        draw_throughput(axes, [cell for cell in cells if cell["n"] == n])
        axes.grid(alpha=0.3)
    panels[0, -1].set_ylabel("")
    lines = {label: line for axes in panels[0] for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=4, fontsize="small")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


QUICK = ("--size 0.02 --rounds 1 --features 10 --out {folder}/picture.svg --json {folder}/picture.json",)


def add_options(parser: Parser) -> None:
    parser.add_size(f"{grid.MEGABYTES} MB of X")
    parser.add_features(_FEATURES)
    parser.add_rounds(3)
    parser.add_threads()
    parser.add_earlier()
    parser.add_json()
    parser.add_readme()
    path = CHECKOUT / "benchmarks" / "throughput.svg"
    parser.add_argument("--out", type=Path, default=path, metavar="FILE", help="the picture, SVG or PNG")


def run(given: Namespace) -> int:
    if given.earlier:
        result = grid.joined(given.earlier)
    else:
        result = {"megabytes": grid.MEGABYTES * given.size, "machine": grid.machine(), **provenance()}
        result["cells"] = grid.measure(in_c_order(given, _BATCH_SIZES))
    machine = result["machine"]
    size = f"{machine['threads']} threads, {result['megabytes']:g} MB of X."
    text = f"{table(result['cells'])}\n\n{result['date'][:10]}, {machine['processor']}, {size}"
    print(f"\n{text}")
    write_json(given.json, result)
    draw(result["cells"], given.out)
    replace_table(given.readme, "picture: made by python -m benchmarks picture", "picture: end", text)
    return 0
