"""The snapshot of the benchmarks shows commits, and the check refuses series that show noise."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import snapshot  # noqa: E402
from snapshot import Point  # noqa: E402

NAME = "yardstick.Iteration.time_iteration('A 1000000x2 K=3 full')"
RATIO = "yardstick.Iteration.track_speedup_over_sklearn('A 1000000x2 K=3 full')"
TABLES = [
    {"hash": "a"},
    {"hash": "b", "change": [{"better": ["^yardstick.*K=3"], "worse": ["^memory"]}]},
    {"hash": "c"},
    {"hash": "d"},
]


def faults(values, name=NAME, unit="seconds", commits="abcd"):
    points = [Point(commit, value) for commit, value in zip(commits, values, strict=False)]
    return [(fault.kind, fault.commits) for fault in snapshot.faults_of(name, points, TABLES, unit)]


def test_the_snapshot_shows_commits_and_not_noise():
    _, found = snapshot.check()
    assert not found


def test_the_snapshot_holds_the_commits_of_the_history():
    commits = [table["hash"] for table in snapshot.history()]
    files = snapshot.result_files(snapshot.SNAPSHOT / snapshot.MACHINE, commits)
    assert [commit for commit, _ in files] == commits
    assert len(list((snapshot.SNAPSHOT / snapshot.MACHINE).glob("*-*.json"))) == len(commits)


def test_the_history_has_twelve_commits_and_names_changes_between_them():
    tables = snapshot.history()
    assert len(tables) >= 12
    log = subprocess.run(
        ["git", "log", "--format=%h %s", tables[-1]["hash"]],
        cwd=ROOT, capture_output=True, text=True, check=False,
    ).stdout.splitlines()  # fmt: skip
    messages = dict(line.split(" ", 1) for line in log)
    if tables[0]["hash"] not in messages:
        pytest.skip("not a clone of the whole history")
    for before, table in itertools.pairwise(tables):
        span = [f"{before['hash']}..{table['hash']}"]
        done = subprocess.run(
            ["git", "log", "--format=%h", *span], cwd=ROOT, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        for change in table.get("change", []):
            assert change["by"] in done.stdout.split(), f"{change['by']} is not in {span}"
            assert change["says"] == messages[change["by"]]


def test_a_level_series_passes():
    assert not faults([1.0, 1.1, 1.0, 1.2])


def test_a_fall_that_a_change_explains_passes():
    assert not faults([1.0, 0.5, 0.5, 0.5])


def test_a_fall_that_no_change_explains_is_refused():
    assert faults([1.0, 1.0, 0.5, 0.5]) == [("jump", ("b", "c"))]


def test_a_change_explains_one_direction_only():
    assert faults([1.0, 2.0, 2.0, 2.0]) == [("jump", ("a", "b"))]
    assert not faults([1.0, 2.0, 2.0, 2.0], RATIO, "times")  # a ratio that rises is better
    assert faults([2.5, 1.0, 1.0, 1.0], RATIO, "times") == [("jump", ("a", "b"))]


def test_a_change_explains_the_series_it_names_only():
    name = "yardstick.Iteration.time_iteration('B 1000000x10 K=10 full')"
    assert faults([1.0, 0.5, 0.5, 0.5], name) == [("jump", ("a", "b"))]
    assert not faults([50.0, 90.0, 90.0], "memory.Memory.peakmem_fit('full')", "MiB")


def test_a_change_explains_a_jump_over_commits_that_lack_the_benchmark():
    assert not faults([1.0, 0.5, 0.5], commits="acd")
    assert faults([1.0, 0.5, 0.5], commits="bcd") == [("jump", ("b", "c"))]


@pytest.mark.parametrize("values", [(0.05, 1.6, 0.05), (1.6, 0.05, 1.6)])
def test_a_point_apart_from_both_neighbours_is_refused_although_a_change_explains_it(values):
    """A first run that compiled inside the clock took 1,600 ms among 50."""
    assert faults(values) == [("spike", ("b",))]


def test_a_benchmark_that_failed_is_refused():
    assert faults([1.0, None, 1.0]) == [("failed", ("b",))]


def test_small_differences_of_a_share_mean_nothing():
    name = "optimum.Cigars.track_log_likelihood_missed"
    assert not faults([1e-9, 1e-3, 1e-9], name, "nats")
    assert faults([0.5, 0.0, 0.5], name, "nats") == [("spike", ("b",))]


def test_left_out_is_no_fault_and_failed_is_one(tmp_path):
    columns = {
        "one.time_left_out": [[float("nan")], []],
        "one.time_failed": [None, []],
        "one.time_two": [[1.0, float("nan")], [["'x'", "'y'"]]],
    }
    (tmp_path / "0123456789-env.json").write_text(json.dumps({"results": columns}))
    series = snapshot.read_series(tmp_path, ["0123456"])
    assert series == {
        "one.time_failed": [Point("0123456", None)],
        "one.time_two('x')": [Point("0123456", 1.0)],
    }


def test_packed_results_keep_medians_and_quartiles_only():
    names = ["result", "params", "version", "stats_q_25", "samples", "profile"]
    row = [[0.123456789], [], "v", [0.1], [[0.1, 0.2]], None]
    data = {"result_columns": names, "results": {"one": row}, "params": {"machine": "mine"}}
    packed = snapshot.packed(data)
    assert packed["results"]["one"] == [[0.12346], [], "v", [0.1]]
    assert packed["params"]["machine"] == snapshot.MACHINE
