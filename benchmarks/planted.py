"""Count the planted regressions that the gate catches, and its false alarms.

`gate.py --short` compares this checkout with copies of it. Some are identical. In others a kernel takes 1.25 times as
long, X is copied, or training ends at a worse cost. Exits with 1 if there is more than one false alarm in 20, or fewer
than 9 catches in 10.

    python benchmarks/planted.py
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import gate

CHECKOUT = Path(__file__).parents[1]


def edit(folder: Path, name: str, old: str, new: str) -> None:
    path = folder / "src/jitlogit" / name
    text = path.read_text()
    if text.count(old) != 1:
        raise RuntimeError(f"{path} doesn't hold this line once, so nothing can be planted: {old!r}")
    path.write_text(text.replace(old, new))


def slowdown(folder: Path) -> None:
    edit(
        folder,
        "training/loop.py",
        "        cost = fit.run() / m\n",
        "        started = time.perf_counter()\n"
        "        cost = fit.run() / m\n"
        "        elapsed = time.perf_counter() - started\n"
        "        while fit._work.sums.shape[1] == 1 and time.perf_counter() < started + 1.25 * elapsed:\n"
        "            pass\n",
    )


def memory_copy(folder: Path) -> None:
    edit(
        folder,
        "training/dense.py",
        "rows, labels = as_rows(problem.X), problem.weighted_labels\n",
        'rows, labels = as_rows(problem.X.copy("A")), problem.weighted_labels\n',
    )


def worse_cost(folder: Path) -> None:
    edit(
        folder, "training/schedule.py", "= name, rate, n_epochs, n_batches\n", "= name, rate / 2, n_epochs, n_batches\n"
    )


def nothing(folder: Path) -> None:
    pass


#: What is planted, and the verdict that it must bring.
PLANTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "1.25x slowdown of one kernel": (slowdown, "slower"),
    "memory copy": (memory_copy, "more memory"),
    "worse cost": (worse_cost, "worse cost"),
}
_SLOWED = {"batch 32 of shuffled rows, n=100", "batch 256, n=28"}


def copy_checkout(folder: Path) -> Path:
    folder.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, folder)
    shutil.copytree(CHECKOUT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def trial(plant: Callable[[Path], None], cache: Path) -> list[gate.Verdict]:
    """One run of the gate on a copy of the checkout in which something is planted."""
    with tempfile.TemporaryDirectory() as temporary:
        base, head = (copy_checkout(Path(temporary) / side) for side in ("base", "head"))
        plant(head)
        return gate.run(str(base), str(head), gate.SHORT, rounds=gate.ROUNDS, megabytes=16, cache=cache)


def caught(name: str, verdicts: list[gate.Verdict]) -> bool:
    """Whether the verdicts hold what the plant must bring, and the slowdown is blamed on no case that it left alone."""
    _, word = PLANTS[name]
    bad = {verdict.case for verdict in verdicts if word in verdict.word}
    others = {verdict.case for verdict in verdicts if verdict.bad} - bad
    if name.startswith("1.25x"):
        return bool(bad) and bad <= _SLOWED and not others
    return bool(bad)


def count(identical: int, planted: int, say: Callable[[str], None] = print) -> dict[str, int]:
    """Return the number of false alarms under "false alarms", and of catches under the name of each plant."""
    counts = dict.fromkeys(["false alarms", *PLANTS], 0)
    with tempfile.TemporaryDirectory() as cache:
        for k in range(max(identical, planted)):
            start = time.perf_counter()
            if k < identical:
                verdicts = trial(nothing, Path(cache))
                counts["false alarms"] += gate.exit_code(verdicts) != 0
            for name, (plant, _) in PLANTS.items() if k < planted else ():
                verdicts = trial(plant, Path(cache))
                counts[name] += caught(name, verdicts)
            say(f"after {k + 1} rounds ({time.perf_counter() - start:.0f} s): {counts}")
    return counts


def good(counts: dict[str, int], identical: int, planted: int) -> bool:
    return counts["false alarms"] <= identical / 20 and all(counts[name] >= 0.9 * planted for name in PLANTS)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--identical", type=int, default=20)
    parser.add_argument("--planted", type=int, default=10)
    options = parser.parse_args()
    counts = count(options.identical, options.planted, lambda line: print(line, flush=True))
    print(f"false alarms on identical code: {counts['false alarms']} of {options.identical}")
    for name in PLANTS:
        print(f"{name}: caught {counts[name]} times of {options.planted}")
    return 0 if good(counts, options.identical, options.planted) else 1


if __name__ == "__main__":
    sys.exit(main())
