"""Compare the speed, memory and final cost of two revisions; exit with 1 where the second is worse.

    python benchmarks/gate.py BASE [HEAD]

BASE and HEAD (by default the working tree) are revisions, or folders that hold a checkout. Both are installed and run
in turn on the same data. BASE runs in two processes, whose difference on identical code is the noise. A
case is worse if it is slower beyond that noise and beyond 4 %, and slower again in new processes. It is also worse if
it needs more memory, or ends at a worse cost.

Exit codes: 0 no case is worse, 1 some are or fail, 2 nothing was compared.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import os
import random
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from gate_worker import CASES, data_name, make_files

# Quantile of the times that is compared, and number of bootstrap samples of the rounds.
_QUANTILE = 0.25
_RESAMPLES = 1000
# Log of the least slowdown that counts, however quiet the machine is.
_LEAST_SLOWDOWN = math.log(1.04)
# Log of the noise above which a case isn't judged.
_MOST_NOISE = math.log(1.2)
_NOISY = "too noisy"
# More memory counts beyond these bytes, which the allocator may keep in one process only, and this part of X.
_LEAST_BYTES = 4_000_000
_LEAST_PART = 0.1
_LEAST_COST = 1e-4
SHORT = ("batch 32 of shuffled rows, n=100", "batch 256, n=28", "batch 4096, n=784", "forward_pass, n=100")
_TRIES = 3
ROUNDS = 200
_BASE, _AGAIN, _HEAD = "base", "base again", "head"


class Verdict(NamedTuple):
    """What was found about one case."""

    case: str
    word: str  # "same", "faster", "too noisy", "not compared", "fails" or "slower", "more memory", ...
    ratio: float = math.nan  # time of HEAD / BASE, its interval's ends, and the ratio above which it is slower
    low: float = math.nan
    high: float = math.nan
    margin: float = math.nan
    note: str = ""

    @property
    def bad(self) -> bool:
        return self.word not in ("same", "faster", _NOISY, "not compared")


class Worker:
    """A process that runs the cases of one installed revision."""

    def __init__(self, installed: Path, data: Path, cache: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("gate_worker.py")), str(installed), str(data)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"NUMBA_CACHE_DIR": str(cache)},
        )

    def ask(self, do: str, case: str) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps({"do": do, "case": case}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            return {"error": f"the process ended with {self._process.wait()}"}
        return json.loads(line)  # type: ignore[no-any-return]

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin
        assert self._process.stdout
        with contextlib.suppress(BrokenPipeError):  # the worker died, which an earlier answer reported
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def install(revision: str, folder: Path) -> Path:
    """Build and install a revision, or the checkout in a folder, into `folder`; return where."""
    command = ["git", "archive", "--format=tar", revision]
    archive = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, check=False)
    source = Path(revision).resolve()
    if archive.returncode == 0:
        source = folder / "source"
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            tar.extractall(source, filter="data")
    elif not (source / "pyproject.toml").exists():
        raise SystemExit(f"{revision} is neither a revision nor a checkout: {archive.stderr.decode().strip()}")
    installed = folder / "installed"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--disable-pip-version-check"]
    done = subprocess.run([*command, "--target", installed, source], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{revision} can't be installed:\n{done.stderr}")
    return installed


def compare_times(seconds: dict[str, list[float]]) -> tuple[list[float], list[float]]:
    """Logs of the ratios HEAD / BASE and BASE again / BASE, each with the ends of its 99 % interval.

    Times are compared by their lower quartile, which is much steadier than the median where threads now and then start
    late or a neighbour takes the memory; the intervals are bootstrapped over rounds (Efron and Tibshirani, "An
    Introduction to the Bootstrap", 1993, percentile method).
    """
    logs = np.log([seconds[_BASE], seconds[_AGAIN], seconds[_HEAD]])
    rounds = logs.shape[1]
    drawn = np.random.default_rng(0).integers(rounds, size=(_RESAMPLES, rounds))
    drawn[0] = np.arange(rounds)
    base, again, head = np.quantile(logs[:, drawn], _QUANTILE, axis=2)

    def summary(difference: np.ndarray) -> list[float]:
        return [float(difference[0]), *map(float, np.quantile(difference, [0.005, 0.995]))]

    return summary(head - (base + again) / 2), summary(again - base)


class Comparison:
    """Installed revisions, and rounds of their cases."""

    def __init__(self, base: Path, head: Path, data: Path, cache: Path, rounds: int) -> None:
        self._installed = {_BASE: base, _AGAIN: base, _HEAD: head}
        self._data = data
        self._cache = cache
        self._rounds = rounds

    def compare(self, names: Iterable[str]) -> list[Verdict]:
        """Time the cases in new processes, in turn and in random order."""
        names = list(names)
        workers = {who: Worker(path, self._data, self._cache) for who, path in self._installed.items()}
        with workers[_BASE], workers[_AGAIN], workers[_HEAD]:
            # Two workers may compile, so they start at the same time. The third finds every kernel in the cache.
            with ThreadPoolExecutor() as pool:
                first = {who: pool.submit(_prepare, workers[who], names) for who in (_BASE, _HEAD)}
            ready = {who: answers.result() for who, answers in first.items()}
            ready[_AGAIN] = _prepare(workers[_AGAIN], names)
            timed = [name for name in names if not any("error" in ready[who][name] for who in ready)]
            seconds: dict[str, dict[str, list[float]]] = {name: {who: [] for who in workers} for name in timed}
            shuffled = random.Random(0)
            for _ in range(self._rounds):
                for name in timed:
                    for who in shuffled.sample(list(workers), len(workers)):
                        answer = workers[who].ask("run", name)
                        if "error" in answer:
                            raise SystemExit(f"{name} failed in {who} after it had run: {answer['error']}")
                        seconds[name][who].append(answer["seconds"])
        return [self._judge(name, {who: ready[who][name] for who in ready}, seconds.get(name)) for name in names]

    def _judge(self, name: str, ready: dict[str, dict[str, Any]], seconds: dict[str, list[float]] | None) -> Verdict:
        errors = {who: answer["error"] for who, answer in ready.items() if "error" in answer}
        if errors.keys() == {_HEAD}:
            return Verdict(name, "fails", note=errors[_HEAD])
        if seconds is None:
            return Verdict(name, "not compared", note=f"BASE raises {next(iter(errors.values()))}")
        (ratio, low, high), (_, *ends) = compare_times(seconds)
        margin = max(_LEAST_SLOWDOWN, *map(abs, ends))
        found = {
            "slower": "" if low > margin else None,
            "more memory": self._memory(name, ready),
            "worse cost": _cost(ready),
        }
        worse = [word for word, note in found.items() if note is not None]
        word = ", ".join(worse) or ("faster" if high < -margin else "same" if margin <= _MOST_NOISE else _NOISY)
        notes = [*filter(None, found.values())]
        if None in (answer["peak"] for answer in ready.values()):
            notes.append("memory not measured")
        return Verdict(name, word, *map(math.exp, (ratio, low, high, margin)), "; ".join(notes))

    def _memory(self, name: str, ready: dict[str, dict[str, Any]]) -> str | None:
        peaks = {who: ready[who]["peak"] for who in ready}
        if None in peaks.values():
            return None
        usual = max(peaks[_BASE], peaks[_AGAIN])
        noise = abs(peaks[_BASE] - peaks[_AGAIN])
        x_bytes = (self._data / f"{data_name(CASES[name])}.npy").stat().st_size
        if peaks[_HEAD] - usual <= max(_LEAST_BYTES, _LEAST_PART * x_bytes, 2 * noise):
            return None
        return f"{peaks[_HEAD] / 1e6:.1f} MB beyond its input, {usual / 1e6:.1f} before"


def _prepare(worker: Worker, names: list[str]) -> dict[str, dict[str, Any]]:
    return {name: worker.ask("prepare", name) for name in names}


def _cost(ready: dict[str, dict[str, Any]]) -> str | None:
    costs = {who: ready[who]["cost"] for who in ready}
    if costs[_BASE] is None:
        return None
    if costs[_HEAD] <= costs[_BASE] + max(_LEAST_COST, 2 * abs(costs[_BASE] - costs[_AGAIN])):
        return None
    return f"final cost {costs[_HEAD]:.6f}, before {costs[_BASE]:.6f}"


def run(
    base: str, head: str, names: Iterable[str], *, rounds: int, megabytes: float, cache: Path | None = None
) -> list[Verdict]:
    """Compare two revisions; a case that seems worse or is too noisy is compared again, in new processes, twice."""
    names = list(names)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "data").mkdir()
        make_files(folder / "data", {name: CASES[name] for name in names}, megabytes)
        installed = [install(revision, folder / side) for revision, side in ((base, "base"), (head, "head"))]
        comparison = Comparison(*installed, folder / "data", cache or folder / "kernels", rounds)
        found = {verdict.case: verdict for verdict in comparison.compare(names)}
        for _ in range(_TRIES - 1):
            doubtful = [name for name, verdict in found.items() if verdict.bad or verdict.word == _NOISY]
            if doubtful:
                found |= {verdict.case: verdict for verdict in comparison.compare(doubtful)}
    return list(found.values())


def report(verdicts: list[Verdict]) -> str:
    lines = [f"{'case':34s} {'HEAD/BASE':>9s}  {'99 % interval':>15s}  {'margin':>6s}  verdict"]
    for v in verdicts:
        figures = f"{v.ratio:9.3f}  {v.low:6.3f} - {v.high:6.3f}  {v.margin:6.3f}" if v.ratio == v.ratio else " " * 34
        note = f" ({v.note})" if v.note else ""
        lines.append(f"{v.case:34s} {figures}  {v.word}{note}")
    return "\n".join(lines)


def exit_code(verdicts: list[Verdict]) -> int:
    if all(verdict.word == "not compared" for verdict in verdicts):
        return 2  # also if there are no verdicts
    return int(any(verdict.bad for verdict in verdicts))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", metavar="BASE")
    parser.add_argument("head", metavar="HEAD", nargs="?", default=str(Path(__file__).parent.parent))
    parser.add_argument("--short", action="store_true", help=f"only: {'; '.join(SHORT)}")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), metavar="CASE", help="; ".join(CASES))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--megabytes", type=float, default=16, help="size of X")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    names = options.cases or (SHORT if options.short else CASES)
    verdicts = run(options.base, options.head, names, rounds=options.rounds, megabytes=options.megabytes)
    print(report(verdicts))
    code = exit_code(verdicts)
    noisy = sum(verdict.word == _NOISY for verdict in verdicts)
    print({0: "No case is worse.", 1: "Worse: see above.", 2: "Nothing was compared."}[code])
    if noisy:
        print(
            f"{noisy} too noisy to tell: a slowdown of less than 1.2 would not be seen; run again on a quieter machine."
        )
    if options.json:
        options.json.write_text(json.dumps([verdict._asdict() for verdict in verdicts], indent=1) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
