"""Install revisions, and time them in processes that run in turn."""

from __future__ import annotations

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
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import cases
from paired import FEWEST_ROUNDS
from verdicts import FASTER, NOT_COMPARED, SAME, Measured, Verdict, judge

CHECKOUT = Path(__file__).parents[1]
PAIRS, ROUNDS, TRIES = 4, 50, 3
# A try stops timing after these seconds, so that the gate ends in time on a busy machine, too.
_SECONDS_PER_CASE, _MOST_SECONDS = 12, 75
# Pairs of processes that measure memory and costs as well.
_WATCHED_PAIRS = 2
_SIDES = ("base", "head")


class CantCompare(Exception):
    """The comparison itself failed, which says nothing about a revision."""


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
            self._process.stdin.write(json.dumps([do, case]) + "\n")
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


def git(*arguments: str, folder: Path = CHECKOUT) -> str:
    """Output of a git command."""
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CantCompare(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def install(revision: str, folder: Path) -> Path:
    """Build and install a revision, or the checkout in a folder, into `folder`; return where."""
    command = ["git", "archive", "--format=tar", revision]
    archive = subprocess.run(command, cwd=CHECKOUT, capture_output=True, check=False)
    source = Path(revision).resolve()
    if archive.returncode == 0:
        source = folder / "source"
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            tar.extractall(source, filter="data")
    elif not (source / "pyproject.toml").exists():
        raise CantCompare(f"{revision} is neither a revision nor a checkout: {archive.stderr.decode().strip()}")
    installed = folder / "installed"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--disable-pip-version-check"]
    done = subprocess.run([*command, "--target", installed, source], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CantCompare(f"{revision} can't be installed:\n{done.stderr}")
    return installed


class Comparison(NamedTuple):
    """How two installed revisions are compared."""

    data: Path
    cache: Path
    rounds: int = ROUNDS
    pairs: int = PAIRS

    def measure(self, base: Path, head: Path, names: Sequence[str]) -> dict[str, Measured]:
        """Measure the cases in new pairs of processes, which run in turn."""
        with contextlib.ExitStack() as stack, ThreadPoolExecutor(2) as pool:
            pairs = [
                [stack.enter_context(Worker(side, self.data, self.cache)) for side in (base, head)]
                for _ in range(self.pairs)
            ]
            # The first pair compiles, each its own kernels. The others find them in the cache.
            answers = [
                list(pool.map(lambda worker, watch=k < _WATCHED_PAIRS: _prepare(worker, names, watch), pair))
                for k, pair in enumerate(pairs)
            ]
            measured = {name: _measured([[side[name] for side in pair] for pair in answers]) for name in names}
            timed = [name for name in names if not measured[name].errors]
            ratios, errors = self._time(pairs, timed)
            for name in timed:
                if name in errors:
                    measured[name] = measured[name]._replace(errors=errors[name])
                    continue
                codes = [worker.ask("code", name).get("code") for worker in pairs[0]]
                same_code = None if None in codes else codes[0] == codes[1]
                measured[name] = measured[name]._replace(ratios=ratios[name], same_code=same_code)
        return measured

    def _time(
        self, pairs: list[list[Worker]], names: Sequence[str]
    ) -> tuple[dict[str, list[list[float]]], dict[str, dict[str, str]]]:
        """Logs of HEAD's time / BASE's, by case, pair and round; and errors of cases that failed after they had run."""
        shuffled = random.Random(0)
        ratios: dict[str, list[list[float]]] = {name: [[] for _ in pairs] for name in names}
        errors: dict[str, dict[str, str]] = {}
        end = time.monotonic() + min(_MOST_SECONDS, _SECONDS_PER_CASE * len(names))
        for done in range(self.rounds):
            if done >= FEWEST_ROUNDS and time.monotonic() > end:
                break
            for name in names:
                for k in shuffled.sample(range(len(pairs)), len(pairs)):
                    if name in errors:
                        break
                    # The two of a pair run one after the other, so that both meet the same state of the machine.
                    answers = {side: pairs[k][side].ask("time", name) for side in shuffled.sample((0, 1), 2)}
                    failed = {_SIDES[side]: found["error"] for side, found in answers.items() if "error" in found}
                    if failed:
                        errors[name] = failed
                    else:
                        ratios[name][k].append(math.log(answers[1]["seconds"] / answers[0]["seconds"]))
        return ratios, errors


def _prepare(worker: Worker, names: Iterable[str], watch: bool) -> dict[str, dict[str, Any]]:
    answers = {}
    for name in names:
        answers[name] = worker.ask("prepare", name)
        if watch and "error" not in answers[name]:
            answers[name] = worker.ask("measure", name)
    return answers


def _measured(answers: list[list[dict[str, Any]]]) -> Measured:
    """What the answers of all pairs to the preparation of a case say."""
    by_side = {side: [pair[k] for pair in answers] for k, side in enumerate(_SIDES)}
    errors = {side: a["error"] for side, found in by_side.items() for a in found if "error" in a}

    def known(word: str) -> dict[str, list[Any]]:
        return {side: [a[word] for a in found if a.get(word) is not None] for side, found in by_side.items()}

    sizes = [size for found in known("input").values() for size in found]
    return Measured(errors, known("peak"), known("cost"), max(sizes, default=0), [])


def is_settled(verdict: Verdict, before: Verdict | None) -> bool:
    """Whether no more has to be measured: a case isn't worse, or it was found so twice, with other processes."""
    if verdict.bad:
        return before is not None and before.word == verdict.word
    return verdict.word in (SAME, FASTER, NOT_COMPARED)


@contextlib.contextmanager
def prepared(
    names: Iterable[str], rounds: int = ROUNDS, megabytes: float = 16, cache: Path | None = None
) -> Iterator[tuple[Comparison, Path]]:
    """A comparison whose data are made, and a temporary folder for revisions."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "data").mkdir()
        cases.make_files(folder / "data", {name: cases.CASES[name] for name in names}, megabytes)
        yield Comparison(folder / "data", cache or folder / "kernels", rounds), folder


def compare(
    comparison: Comparison,
    base: Path,
    head: Path,
    names: Iterable[str],
    tries: int = TRIES,
    is_settled: Callable[[Verdict, Verdict | None], bool] = is_settled,
) -> list[Verdict]:
    """Compare installed revisions. Cases that aren't settled are measured again, and all processes are judged."""
    measured: dict[str, Measured] = {}
    verdicts: dict[str, Verdict] = {}
    doubtful = list(names)
    for _ in range(tries):
        before = dict(verdicts)
        for name, more in comparison.measure(base, head, doubtful).items():
            measured[name] = measured[name].add(more) if name in measured else more
            verdicts[name] = judge(name, measured[name])
        doubtful = [name for name in doubtful if not is_settled(verdicts[name], before.get(name))]
        if not doubtful:
            break
    return list(verdicts.values())


def run(
    base: str,
    head: str,
    names: Sequence[str],
    *,
    rounds: int = ROUNDS,
    megabytes: float = 16,
    cache: Path | None = None,
    tries: int = TRIES,
) -> list[Verdict]:
    """Install and compare two revisions or checkouts."""
    with prepared(names, rounds, megabytes, cache) as (comparison, folder):
        return compare(comparison, install(base, folder / "base"), install(head, folder / "head"), names, tries)
