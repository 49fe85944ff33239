"""Measure how throughput depends on compact dtypes, shuffling, packing, threads, size, estimators and other processes.

Prediction is measured too. Each figure is the median of ratios of alternating runs in one process. Results are compared
before anything is timed.

    python -m benchmarks regimes
"""

from __future__ import annotations

import functools
import math
import multiprocessing
import statistics
import time
from argparse import Namespace
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from cases import arguments, check_equal, make_data
from options import Parser, write_json
from roofline import read_bandwidth

import jitlogit
import jitlogit.training.packing

Run = Callable[[], Any]


def rates(runs: dict[str, tuple[Run, float]], rounds: int) -> dict[str, float]:
    """Units per second of runs, each (function, units), in turn; medians."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, (run, _) in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: units / statistics.median(seconds[name]) for name, (_, units) in runs.items()}


def fit(X: np.ndarray, Y: np.ndarray, batch_size: int | None, shuffle: bool | str = False, **options: Any) -> Run:
    settings = arguments(batch_size, shuffle=False) | {"shuffle": shuffle} | options
    return lambda: jitlogit.train_logistic_regression(X, Y, **settings)


def fit_classes(
    X: np.ndarray, _: np.ndarray, batch_size: int | None, shuffle: bool | str, *, y: np.ndarray, **options: Any
) -> Run:
    settings = {"num_iterations": options["num_iterations"], "batch_size": batch_size, "shuffle": shuffle}
    return lambda: jitlogit.train_softmax_regression(X, y, 0.01, **settings)


def compact(megabytes: float, rounds: int) -> dict[str, float]:
    """Rows per second, n = 784, of uint8 and float16 in multiples of those of float32."""
    X, Y = make_data(784, "float32", megabytes)
    pixels = np.clip(X * 40 + 128, 0, 255).astype(np.uint8)
    scaled = pixels.astype(np.float32) / 255
    half = X.astype(np.float16)
    W, _, _ = jitlogit.train_logistic_regression(scaled, Y, 0.01, 1, batch_size=256, shuffle=False)
    same, _, _ = jitlogit.train_logistic_regression(pixels, Y, 0.01, 1, batch_size=256, shuffle=False, scale=255)
    if not np.max(np.abs(W - same)) <= 1e-4 * np.max(np.abs(W)):
        raise AssertionError("bytes and their float copy give different weights")
    found = {}
    for batch_size in (256, 4096, None):
        label = batch_size or "m"
        runs = {
            "float32": (fit(X, Y, batch_size), 1.0),
            "uint8": (fit(pixels, Y, batch_size, scale=255), 1.0),
            "float16": (fit(half, Y, batch_size), 1.0),
        }
        rate = rates(runs, rounds)
        found[f"uint8 / float32, batch {label}"] = rate["uint8"] / rate["float32"]
        found[f"float16 / float32, batch {label}"] = rate["float16"] / rate["float32"]
    return found


def shuffling(megabytes: float, rounds: int) -> dict[str, float]:
    """Rows per second with a shuffle, of those without."""
    found = {}
    for n in (28, 100, 784):
        X, Y = make_data(n, "float32", megabytes)
        check_equal(X, Y, 256, shuffle=True)
        for batch_size in (32, 256, 4096):
            runs = {str(kind): (fit(X, Y, batch_size, kind), 1.0) for kind in (False, True, "blocks")}
            rate = rates(runs, rounds)
            found[f"by rows / in order, n={n}, batch {batch_size}"] = rate["True"] / rate["False"]
            found[f"blocks / in order, n={n}, batch {batch_size}"] = rate["blocks"] / rate["False"]
    return found


def packing(megabytes: float, rounds: int) -> dict[str, float]:
    """Passes per second of narrow data on packed blocks, of those on X itself; passes until packing has paid."""
    found = {}
    module = jitlogit.training.packing
    decide = module.pays, module.fits
    for n, order in ((2, "C"), (5, "C"), (8, "C"), (10, "C"), (16, "C"), (16, "F"), (28, "F")):
        X, Y = make_data(n, "float32", megabytes, order)
        for batch_size in (32, 256, None):
            runs = {str(k): (fit(X, Y, batch_size, num_iterations=k, record_every=k), 1.0) for k in (2, 12)}
            seconds = {}
            for packed in (False, True):
                module.pays, module.fits = lambda *_, packed=packed: packed, lambda _: True
                try:
                    rate = rates(runs, rounds + 1)
                finally:
                    module.pays, module.fits = decide
                a_pass = (1 / rate["12"] - 1 / rate["2"]) / 10
                seconds[packed] = a_pass, 1 / rate["2"] - 2 * a_pass
            gain = seconds[False][0] - seconds[True][0]
            name = f"n={n} {order}, batch {batch_size or 'm'}"
            found[f"packed / own, {name}"] = seconds[False][0] / seconds[True][0]
            found[f"passes to pay, {name}"] = (
                max(0.0, seconds[True][1] - seconds[False][1]) / gain if gain > 0 else math.inf
            )
    return found


def turning(megabytes: float, rounds: int) -> dict[str, float]:
    """Passes per second of F-ordered data on a copy in C order, of those on X itself; passes until turning has paid."""
    found = {}
    module = jitlogit.training.packing
    decide = module.turning_pays, module.pays
    module.pays = lambda *_: False
    cases = list(product((10, 40, 500), ("float32", "float64"), (None, 10)))
    for n, dtype, classes in cases if megabytes > 10 else cases[:1]:  # each compiles kernels of its own
        X, Y = make_data(n, dtype, megabytes, "F")
        y = np.arange(Y.size) % classes if classes else None
        train = fit if classes is None else functools.partial(fit_classes, y=y)
        for batch_size, shuffle, scale in product((32, 256, 4096, None), (False, True), (None, 1.0)):
            if (classes and scale is None) or (shuffle and batch_size is None):
                continue
            seconds = {}
            runs = {
                str(k): (train(X, Y, batch_size, shuffle, num_iterations=k, record_every=k, scale=scale), 1.0)
                for k in (2, 6)
            }
            for turned in (False, True):
                module.turning_pays = lambda *_, turned=turned: turned
                rate = rates(runs, rounds + 1)
                a_pass = (1 / rate["6"] - 1 / rate["2"]) / 4
                seconds[turned] = a_pass, 1 / rate["2"] - 2 * a_pass
            gain = seconds[False][0] - seconds[True][0]
            name = f"n={n} {dtype}, {classes or 2} classes, batch {batch_size or 'm'}"
            name += ", shuffled" * shuffle + ", scaled" * bool(scale)
            found[f"turned / own, {name}"] = seconds[False][0] / seconds[True][0]
            found[f"passes to pay, {name}"] = (
                max(0.0, seconds[True][1] - seconds[False][1]) / gain if gain > 0 else math.inf
            )
            print(
                f"{name}: {found[f'turned / own, {name}']:.2f}, pays after {found[f'passes to pay, {name}']:.1f}",
                flush=True,
            )
    module.turning_pays, module.pays = decide
    return found


def threads(megabytes: float, rounds: int) -> dict[str, float]:
    """Rows per second with all threads, of those with one; the same of the bandwidths in between."""
    found = {}
    for n, dtype in ((10, "float32"), (28, "float32"), (100, "float32"), (784, "float32"), (784, "uint8")):
        X, Y = make_data(n, "float32", megabytes if dtype == "float32" else 4 * megabytes)
        reference = X
        if dtype == "uint8":
            X = np.clip(X * 40 + 128, 0, 255).astype(np.uint8)
        for batch_size in (1024, 4096, None):
            options = {"scale": 255} if dtype == "uint8" else {}
            one = fit(X, Y, batch_size, n_threads=1, **options)
            every = fit(X, Y, batch_size, **options)
            every()
            ratios, bandwidths = [], []
            for _ in range(rounds):
                bandwidths.append(read_bandwidth(reference, repeats=1) / read_bandwidth(reference, 1, repeats=1))
                rate = rates({"one": (one, 1.0), "every": (every, 1.0)}, 1)
                ratios.append(rate["every"] / rate["one"])
            name = f"n={n} {dtype}, batch {batch_size or 'm'}"
            found[f"all / one, {name}"] = statistics.median(ratios)
            found[f"bandwidths, {name}"] = statistics.median(bandwidths)
    return found


def prediction(megabytes: float, rounds: int) -> dict[str, float]:
    """Rate at which forward_pass and predict read X, of the read bandwidth of all threads."""
    found = {}
    for n in (10, 28, 100, 784):
        X, _ = make_data(n, "float32", megabytes)
        W = np.linspace(-1, 1, n, dtype=np.float32)
        expected = 1 / (1 + np.exp(-(X[:1000] @ W + 0.5)))
        if not np.max(np.abs(jitlogit.forward_pass(X, W, 0.5)[0, :1000] - expected)) <= 1e-5:
            raise AssertionError("probabilities differ from NumPy's")
        runs = {
            "forward_pass": (lambda X=X, W=W: jitlogit.forward_pass(X, W, 0.5), X.nbytes),
            "predict": (lambda X=X, W=W: jitlogit.predict(X, W, 0.5), X.nbytes),
        }
        bandwidth = read_bandwidth(X)
        for name, rate in rates(runs, rounds).items():
            found[f"{name} / bandwidth, n={n}"] = rate / bandwidth
    return found


def sizes(megabytes: float, rounds: int) -> dict[str, float]:
    """Seconds per byte and epoch of X of ten times the size, in those of X."""
    found = {}
    for n, batch_size in ((28, 256), (100, 4096), (784, None)):
        small = make_data(n, "float32", megabytes)
        large = tuple(np.concatenate([part] * 10, axis=axis) for axis, part in enumerate(small))
        runs = {"small": (fit(*small, batch_size), 1.0), "large": (fit(*large, batch_size), 10.0)}
        rate = rates(runs, rounds)
        found[f"ten times the bytes, n={n}, batch {batch_size or 'm'}"] = rate["small"] / rate["large"]
    return found


def estimator(megabytes: float, rounds: int) -> dict[str, float]:
    """Seconds of an epoch of MiniBatchLogisticRegression, from fits of 11 and of 1, by those of the bare kernel."""
    from jitlogit import MiniBatchLogisticRegression

    found = {}
    for n, batch_size in ((28, 256), (100, 64), (784, 256)):
        X, Y = make_data(n, "float32", megabytes)
        shared: dict[str, Any] = {
            "optimizer": "nesterov",
            "schedule": "cosine",
            "alpha": 1e-4,
            "batch_size": batch_size,
        }
        shared |= {"shuffle": "blocks", "random_state": 0}
        bare = shared | {"record_every": 1, "offset": X.mean(axis=0), "scale": X.std(axis=0)}
        runs: dict[str, Run] = {}
        for epochs in (1, 11):
            model = MiniBatchLogisticRegression(max_iter=epochs, learning_rate=0.01, **shared)
            runs[f"estimator {epochs}"] = functools.partial(model.fit, X, Y[0])
            runs[f"kernel {epochs}"] = functools.partial(jitlogit.train_logistic_regression, X, Y, 0.01, epochs, **bare)
        rates({name: (run, 1.0) for name, run in runs.items()}, 1)
        rate = rates({name: (run, 1.0) for name, run in runs.items()}, rounds)
        seconds = {name: 1 / rate[f"{name} 11"] - 1 / rate[f"{name} 1"] for name in ("estimator", "kernel")}
        found[f"estimator / kernel, n={n}, batch {batch_size}"] = seconds["estimator"] / seconds["kernel"]
    return found


def spin(stop: Any) -> None:
    while not stop.is_set():
        for _ in range(10_000):
            pass


def busy(megabytes: float, rounds: int) -> dict[str, float]:
    """Rows per second while another process keeps each core busy, of those without."""
    found = {}
    context = multiprocessing.get_context("spawn")
    for n in (28, 100, 784):
        X, Y = make_data(n, "float32", megabytes)
        runs = {str(size or "m"): (fit(X, Y, size), 1.0) for size in (32, 256, 1024, 4096, None)}
        rates(runs, 1)
        idle = rates(runs, rounds)
        stop = context.Event()
        others = [context.Process(target=spin, args=(stop,)) for _ in range(multiprocessing.cpu_count())]
        for other in others:
            other.start()
        time.sleep(1)
        try:
            loaded = rates(runs, rounds)
        finally:
            stop.set()
            for other in others:
                other.join()
        for name in runs:
            found[f"busy / idle, n={n}, batch {name}"] = loaded[name] / idle[name]
    return found


PARTS = {
    "compact": compact,
    "shuffling": shuffling,
    "packing": packing,
    "turning": turning,
    "threads": threads,
    "prediction": prediction,
    "sizes": sizes,
    "estimator": estimator,
    "busy": busy,
}


QUICK = ("--size 0.02 --rounds 1",)


def add_options(parser: Parser) -> None:
    parser.add_parts(PARTS)
    parser.add_size("200 MB of X")
    parser.add_rounds(5)
    parser.add_threads()
    parser.add_json()


def run(given: Namespace) -> int:
    result = {}
    for part in given.parts or PARTS:
        print(PARTS[part].__doc__)
        result[part] = PARTS[part](200 * given.size, given.rounds)
        for name, value in result[part].items():
            print(f"  {name:45s} {value:6.2f}", flush=True)
    write_json(given.json, result)
    return 0
