"""Every benchmark runs, on few rows and through asv's own classes; asv accepts the suite."""

import importlib
import json
import math
import os
import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from asv_runner.discovery import disc_benchmarks, get_benchmark_from_name

SUITE = Path(__file__).parents[1] / "asv_benchmarks"
ROOT = str(SUITE / "benchmarks")
QUICK = {"number": 1, "repeat": 1, "rounds": 1, "warmup_time": 0, "min_run_count": 1}

sys.path[:0] = [str(SUITE), str(SUITE.parent / "tools")]
NAMES = [benchmark.name for benchmark in disc_benchmarks(ROOT)]


@pytest.fixture(scope="module")
def caches():
    """What the ``setup_cache`` functions returned: asv calls each once, too."""
    return {}


@pytest.fixture(autouse=True)
def little_work(monkeypatch):
    """Few rows; and the cold start finds the cache of the tests, which is not empty."""
    cache = os.environ.get("NUMBA_CACHE_DIR", "")
    cold_start = importlib.import_module("benchmarks.cold_start")
    monkeypatch.setattr(cold_start, "empty_cache", lambda: nullcontext(cache))
    monkeypatch.setattr(importlib.import_module("benchmarks.common"), "shrink", 100)


@pytest.mark.parametrize("name", NAMES)
def test_benchmark_runs(name, caches, tmp_path, monkeypatch):
    """For every combination of its parameters, once."""
    monkeypatch.chdir(tmp_path)
    for place in range(math.prod(map(len, get_benchmark_from_name(ROOT, name).params))):
        benchmark = get_benchmark_from_name(ROOT, name, QUICK)
        benchmark.set_param_idx(place)
        key = benchmark.setup_cache_key
        if key not in caches:
            caches[key] = benchmark.do_setup_cache()
        benchmark.set_cache(caches[key])
        assert not benchmark.do_setup()
        result = benchmark.do_run()
        benchmark.do_teardown()
        numbers = result["samples"] if isinstance(result, dict) else [result]
        assert numbers
        assert all(isinstance(number, int | float) for number in numbers)


@pytest.mark.parametrize("kind", ["time", "peakmem", "track"])
def test_every_kind_of_benchmark_is_there(kind):
    assert any(name.split(".")[-1].startswith(f"{kind}_") for name in NAMES)


def test_asv_accepts_the_suite():
    command = [sys.executable, "-m", "asv", "check", "--environment", "existing"]
    result = subprocess.run(command, cwd=SUITE, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_snapshot_has_results_for_every_topic_of_the_site():
    check_site = importlib.import_module("check_site")
    files = sorted((SUITE / "snapshot").glob("*/*-*.json"))
    assert len(files) >= 2  # a line needs two points
    for path in files:
        measured = json.loads(path.read_text())["results"]
        for topic, pattern in check_site.TOPICS.items():
            shown = [name for name in measured if re.search(pattern, name)]
            versions = [(name, get_benchmark_from_name(ROOT, name).version) for name in shown]
            known = [name for name, version in versions if version == measured[name][2]]
            assert known, (
                f"{path.name}: {topic} (results of a benchmark that changed are not shown)"
            )


def test_the_snapshot_is_unpacked_beside_other_results(tmp_path, monkeypatch):
    dashboard = importlib.import_module("dashboard")
    monkeypatch.setattr(dashboard, "RESULTS", tmp_path)
    (tmp_path / "benchmarks.json").write_text("mine")
    dashboard.unpack_snapshot()
    assert (tmp_path / "benchmarks.json").read_text() == "mine"
    kept = sorted(path.name for path in (SUITE / "snapshot" / "two-cores").iterdir())
    assert sorted(path.name for path in (tmp_path / "two-cores").iterdir()) == kept


def test_the_last_commits_are_found():
    dashboard = importlib.import_module("dashboard")
    if not (SUITE.parent / ".git").exists():
        pytest.skip("not a clone")
    (head,) = dashboard.commits(1, 0, "HEAD")
    assert re.fullmatch(r"[0-9a-f]{40}", head)
