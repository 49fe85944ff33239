"""Tests of the page and asv's pages in a browser: plots are drawn, a click opens a history, nothing is fetched."""

from __future__ import annotations

import functools
import http.server
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import threading

import asv_pages
import past
import pytest
import report
import test_past

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
browser = pytest.mark.browser
COMMITS = [str(k) * 40 for k in range(1, 4)]
RATIOS = test_past.ratios()


def cell(**changes):
    return {
        "n": 28,
        "dtype": "float32",
        "order": "C",
        "batch_size": 256,
        "all_rows_per_second": 2e6,
        "one_rows_per_second": 1e6,
        "all_share": 0.5,
        "one_share": 0.5,
        "best_rival": "JAX",
        "speedup": 2.0,
        **changes,
    }


RESULT = {
    "megabytes": 200,
    "machine": {"threads": 2, "versions": {"numpy": "2"}},
    "cells": [cell(), cell(batch_size=None, speedup=0.5), cell(n=784, order="F", all_share=1.2)],
}


def write_results(folder):
    """Results of three commits as asv keeps them."""
    machine = folder / "here"
    machine.mkdir(parents=True)
    (machine / "machine.json").write_text("{}")
    for k, commit in enumerate(COMMITS):
        run = {
            "commit_hash": commit,
            "date": 1000 * k,
            "result_columns": ["result", "params"],
            "results": {
                "training.Training.time_fit": [[0.5 - 0.125 * k, None], [["28", "784"]]],
                "training.TrainingBeside.track_part_of_reference": [[0.0625 * (k + 2)], []],
            },
        }
        (machine / f"{commit[:8]}-env.json").write_text(json.dumps(run))
    return folder


def test_histories_follow_the_commits(tmp_path):
    fit, part = past.histories(write_results(tmp_path))
    assert fit == ("training.Training.time_fit", "28", "", [0, 1000, 2000], COMMITS, [0.5, 0.375, 0.25])
    assert part.values == [0.125, 0.1875, 0.25]
    assert past.histories(tmp_path / "here") == []


def test_the_page_shows_shares_rivals_and_what_is_lost(tmp_path):
    text = report.write(tmp_path / "out", RESULT, write_results(tmp_path / "results"), None).read_text()
    assert ">50%</td>" in text
    assert ">120%</td>" in text
    assert '<td class="losing">0.5x JAX</td>' in text
    (lost,) = re.findall(r'<table class="lost">.*?</table>', text)
    assert lost.count("<tr>") == 2  # the heads, and the one cell that JAX wins
    assert "<td>4.0x</td>" in text
    assert text.count("<polyline") == 2
    assert "http://" not in text
    assert "https://" not in text
    assert "None: no rival wins" in report.page(RESULT | {"cells": [cell()]}, [], False)


def test_the_page_says_of_which_code_and_machine_its_figures_are(tmp_path):
    pytest.importorskip("asv", reason="needs the extra track")
    about = {"revision": "f" * 40, "dirty": True, "date": "2026-05-01T12:00:00+00:00"}
    machine = RESULT["machine"] | {"processor": "Toy <1>", "cores": 8, "python": "3.11"}
    paths = [tmp_path / "clean.json", tmp_path / "dirty.json"]
    paths[0].write_text(json.dumps(RESULT))
    paths[1].write_text(json.dumps(RESULT | about | {"machine": machine}))
    results = test_past.write_results(tmp_path / "results", [0.2, 0.4])
    history = test_past.write_history(tmp_path / "history", [test_past.record(k, r) for k, r in enumerate(RATIOS)])
    text = report.write(tmp_path / "out", report.read_grid(paths), results, None, history).read_text()
    assert "unknown revision" in text
    assert '<code>ffffffffff</code> <b class="slower">with uncommitted changes</b>, 2026-05-01 12:00 UTC' in text
    assert "Toy &lt;1&gt;, 8 cores, 2 threads, Python 3.11" in text
    assert "asv</td><td>up to 1111111111, 1970-01-01 00:00 UTC; AMD EPYC" in text
    assert "16 revisions, 2026-01-01 to 2026-01-16; AMD EPYC" in text
    assert re.search(r'<b class="slower">1\.\d\dx</b> the time at <code>8888888888</code>.*before.*7777777777', text)
    assert text.count('class="whisker"') == 16
    assert "400 ms" in text
    assert text.count(">2.00x</td>") == 2  # of the first, and of the best
    assert text.count('<td class="slower">') == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file or directory; make it by python -m benchmarks grid --json"),
        ("{", "is not JSON"),
        ("[]", "is not a result of benchmarks/grid.py --json: it has no cells, machine"),
        (json.dumps(RESULT | {"cells": [{"n": 3}]}), "it has no all_rows_per_second, all_share, batch_size, dtype"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, content, said):
    if content is not None:
        (tmp_path / "grid.json").write_text(content)
    command = [sys.executable, report.__file__, "--grid", "grid.json", "--results", "none", "--out", "out"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert line.startswith("report.py: grid.json")
    assert said in line


def test_that_npm_fails_is_said_in_one_line(tmp_path, monkeypatch):
    (tmp_path / "npm").write_text("#!/bin/sh\necho first >&2\necho no network >&2\nexit 1\n")
    (tmp_path / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "index.html").write_text('<script src="https://code.jquery.com/jquery-3.3.1.min.js"></script>')
    with pytest.raises(asv_pages.Incomplete, match=r"^npm doesn't bring jquery@3\.3\.1.*: no network; to leave"):
        asv_pages.make_self_contained(tmp_path)


@pytest.fixture
def site(tmp_path):
    """The page over results of asv's own, published by asv, behind a server on this machine."""
    if not any(name.lower() == "asv" for name in importlib.metadata.packages_distributions().get("asv", [])):
        pytest.skip("needs the extra track")
    results = published(tmp_path)
    records = [test_past.record(k, ratio) for k, ratio in enumerate(RATIOS)]
    for each in records:
        each["cases"] |= {f"case {k}": each["cases"]["batch 256, n=28"] for k in range(3)}
    history = test_past.write_history(tmp_path / "history", records)
    wide = [cell(batch_size=size, n=n) for n in (10, 28, 784) for size in (1, 32, 64, 256, 1024, 4096, None)]
    result = RESULT | {"cells": [*RESULT["cells"], *wide]}
    report.write(tmp_path / "site", result, results, tmp_path / "html", history)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def published(folder):
    """Let asv measure a toy benchmark over three commits of a toy repository, and publish it; return its results."""
    project = folder / "toy"
    (project / "benchmarks").mkdir(parents=True)
    (project / "benchmarks" / "__init__.py").touch()
    (project / "benchmarks" / "toy.py").write_text("def track_answer():\n    return 42\n")
    settings = {
        "version": 1,
        "project": "toy",
        "project_url": "about:blank",
        "repo": ".",
        "branches": ["main"],
        "environment_type": "existing",
        "results_dir": str(folder / "results"),
        "html_dir": str(folder / "html"),
    }
    (project / "asv.conf.json").write_text(json.dumps(settings))
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "init", "-q", "-b", "main"], cwd=project, check=True)
    asv = [sys.executable, "-m", "asv"]
    machine = ["--machine", "here", "--os", "any", "--arch", "any", "--cpu", "any", "--ram", "1", "--num_cpu", "2"]
    environment = os.environ | {"HOME": str(folder)}
    subprocess.run([*asv, "machine", *machine], cwd=project, check=True, env=environment, capture_output=True)
    for k in range(3):
        (project / "count").write_text(str(k))
        subprocess.run([*git, "add", "-A"], cwd=project, check=True)
        subprocess.run([*git, "commit", "-q", "-m", f"number {k}"], cwd=project, check=True)
        command = [*asv, "run", "--machine", "here", "--set-commit-hash", "HEAD", "-E", f"existing:{sys.executable}"]
        subprocess.run(command, cwd=project, check=True, env=environment, capture_output=True)
    subprocess.run([*asv, "publish"], cwd=project, check=True, env=environment, capture_output=True)
    return folder / "results"


@browser
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
@pytest.mark.skipif(not asv_pages.can_fetch(), reason="no npm is installed, which brings what asv's pages need")
def test_in_a_browser(site, tmp_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra browser")
    said, fetched = [], []
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        tab = chromium.new_page()
        tab.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("request", lambda request: fetched.append(request.url))
        tab.goto(f"{site}/index.html")
        assert tab.locator("td.heat").count() > 20
        assert tab.locator(".losing").first.is_visible()
        for width, least in ((1280, 350), (400, 340)):
            tab.set_viewport_size({"width": width, "height": 900})
            assert tab.evaluate("document.documentElement.scrollWidth") <= width  # tables scroll, the page doesn't
            charts = [chart.bounding_box() for chart in tab.locator("svg.whiskers").all()]
            assert len(charts) == 4
            assert all(chart["width"] >= least and chart["x"] + chart["width"] <= width for chart in charts)
            sizes = "nodes => nodes.map(node => node.getBoundingClientRect().height)"
            assert min(tab.locator("svg.whiskers text").evaluate_all(sizes)) >= 11  # pixels, or it can't be read
            tab.screenshot(path=tmp_path / f"page-{width}.png", full_page=True)
        assert tab.locator("svg.whiskers .step").count() == 4
        tab.set_viewport_size({"width": 1280, "height": 900})
        spark = tab.locator("svg.spark").first
        box = spark.bounding_box()
        assert box["width"] > 100
        assert box["height"] > 20
        tab.locator("table.history a").first.click()
        tab.wait_for_selector("#main-graph canvas", state="attached")
        assert "toy.track_answer" in tab.url
        tab.wait_for_function(
            """() => [...document.querySelectorAll('#main-graph canvas')].some(canvas => {
                const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
                let coloured = 0;  // as lines and points of data are, unlike axes and grid
                for (let k = 0; k < pixels.length; k += 4)
                    coloured += pixels[k + 3] > 0 && Math.abs(pixels[k] - pixels[k + 2]) > 40;
                return coloured > 50;
            })"""
        )
        tab.goto(f"{site}/asv/index.html")
        tab.locator("text=track_answer").first.click()
        tab.wait_for_selector("#main-graph canvas", state="attached")
        chromium.close()
    assert said == []
    assert all(url.startswith((site, "data:", "blob:")) for url in fetched), fetched


def test_a_library_that_is_not_known_is_an_error(tmp_path):
    (tmp_path / "index.html").write_text('<script src="https://elsewhere.invalid/new-1.0.0.js"></script>')
    with pytest.raises(ValueError, match="doesn't know"):
        asv_pages.make_self_contained(tmp_path)
