"""Write the snapshot of the benchmarks, and check that its series show commits and not noise.

    python tools/snapshot.py      check asv_benchmarks/snapshot

`asv_benchmarks/history.toml` lists the commits of the snapshot and what explains its jumps. The
check refuses

- a point that failed;
- a point that lies apart from both its neighbours in the same direction, unless changes explain
  both jumps: noise, or a clock that ran during compilation;
- a jump between neighbours that no change in the history explains, in that direction.

Two values lie apart if one is more than FACTOR times the other. `tools/dashboard.py --history`
measures the commits and writes the snapshot.
"""

import itertools
import json
import math
import re
import subprocess
import sys
import tomllib
from collections import namedtuple
from pathlib import Path

SUITE = Path(__file__).parents[1] / "asv_benchmarks"
SNAPSHOT, HISTORY = SUITE / "snapshot", SUITE / "history.toml"
MACHINE = "two-cores"

# What the library promises; other benchmarks are for those who change the code behind them.
PROMISES = (
    r"^(yardstick|whole_fits|small_fits|cold_start|memory|optimum\.Cigars)\.",
    r"^inference\.Inference\.(time|track)_.*\('?predict_proba",
    r"^starts\.Start\.(time|track)_.*kmeans.*100000",
)

FACTOR = 1.25
RATIO_FACTOR = 2.0  # of ratios: the time of scikit-learn's BLAS varies by nearly as much
# Added to both values, by file or unit: smaller differences mean nothing.
FLOORS = {"cold_start": 0.1, "share": 0.1, "nats": 0.02, "MiB": 4.0, "us": 2.0}
RISING_IS_BETTER = re.compile(r"\.track_(speedup|share_found|times_fewer)")

Point = namedtuple("Point", "commit value")
Fault = namedtuple("Fault", "kind series commits says")


def history():
    """Return the commits of the snapshot, oldest first, as tables of `history.toml`."""
    return tomllib.loads(HISTORY.read_text())["commit"]


def result_files(folder, commits):
    """Return the results of each commit in a folder of one machine, in the order given."""
    found = {path.name.split("-")[0]: path for path in folder.glob("*-*.json")}
    chosen = {commit[:7]: path for commit in commits for name, path in found.items()
              if name.startswith(commit[:7])}  # fmt: skip
    return [(commit, chosen[commit[:7]]) for commit in commits if commit[:7] in chosen]


def read_series(folder, commits):
    """Return ``{name: [Point, ...]}``; a value is None where it failed, NaN is left out."""
    series = {}
    for commit, path in result_files(folder, commits):
        data = json.loads(path.read_text())
        for name, columns in data["results"].items():
            values, params = columns[0], columns[1]
            cells = list(itertools.product(*params))
            for cell, value in zip(cells, values or [None] * len(cells), strict=True):
                label = f"{name}({', '.join(cell)})" if cell else name
                if value is None or math.isfinite(value):
                    series.setdefault(label, []).append(Point(commit, value))
    return series


def units(folder):
    """Return the unit of each benchmark of a folder of results."""
    benchmarks = json.loads((folder / "benchmarks.json").read_text())
    return {name: entry["unit"] for name, entry in benchmarks.items() if name != "version"}


def jump(before, after, name, unit):
    """Return 1, -1 or 0: the value rose, fell or stayed about the same."""
    floor = FLOORS.get(name.partition(".")[0], FLOORS.get(unit, 0.0))
    factor = RATIO_FACTOR if ".track_speedup" in name else FACTOR
    ratio = (after + floor) / (before + floor)
    return 1 if ratio > factor else -1 if ratio < 1 / factor else 0


def is_explained(name, a, b, direction, tables):
    """Tell whether a change after commit a and up to commit b explains a jump of a series."""
    side = "better" if (direction > 0) == bool(RISING_IS_BETTER.search(name)) else "worse"
    hashes = [table["hash"] for table in tables]
    between = tables[hashes.index(a) + 1 : hashes.index(b) + 1]
    changes = itertools.chain.from_iterable(table.get("change", []) for table in between)
    return any(re.search(part, name) for change in changes for part in change.get(side, []))


def faults_of(name, points, tables, unit):
    """Yield what is wrong with one series."""
    for point in points:
        if point.value is None:
            yield Fault("failed", name, (point.commit,), "the benchmark failed")
    points = [point for point in points if point.value is not None]
    pairs = list(itertools.pairwise(points))
    jumps = [jump(a.value, b.value, name, unit) for a, b in pairs]
    known = [
        is_explained(name, a.commit, b.commit, direction, tables)
        for (a, b), direction in zip(pairs, jumps, strict=True)
    ]
    spikes = set()
    for i, (rise, fall) in enumerate(itertools.pairwise(jumps), 1):
        if rise * fall < 0 and not (known[i - 1] and known[i]):
            values = " -> ".join(f"{point.value:.4g}" for point in points[i - 1 : i + 2])
            spikes |= {i - 1, i}
            yield Fault("spike", name, (points[i].commit,), f"alone: {values} {unit}")
    for i, (a, b) in enumerate(pairs):
        if jumps[i] and i not in spikes and not known[i]:
            says = f"unexplained: {a.value:.4g} -> {b.value:.4g} {unit}"
            yield Fault("jump", name, (a.commit, b.commit), says)


def find_faults(series, tables, units):
    """Return all faults of some series; `tables` are those of the history."""
    return [
        fault
        for name, points in sorted(series.items())
        for fault in faults_of(name, points, tables, units[name.partition("(")[0]])
    ]


def check(folder=SNAPSHOT):
    """Return the series and the faults of a snapshot."""
    tables = history()
    series = read_series(folder / MACHINE, [table["hash"] for table in tables])
    return series, find_faults(series, tables, units(folder))


def subjects(before, after):
    """Return the first lines of the messages between two commits, or nothing without git."""
    done = subprocess.run(
        ["git", "log", "--first-parent", "--format=    %h %s", f"{before}..{after}"],
        cwd=SUITE, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout


def rounded(value):
    """Round all floats in lists of lists to five digits."""
    if isinstance(value, list):
        return [rounded(entry) for entry in value]
    return float(f"{value:.5g}") if isinstance(value, float) and math.isfinite(value) else value


def packed(data):
    """Return the results of a commit without samples, profiles and the name of the machine."""
    columns = data["result_columns"]
    dropped = [columns.index(name) for name in ("samples", "profile")]
    for name, row in data["results"].items():
        kept = [None if i in dropped else entry for i, entry in enumerate(row)]
        while kept and kept[-1] is None:
            kept.pop()
        version = columns.index("version")
        data["results"][name] = [
            entry if i == version else rounded(entry) for i, entry in enumerate(kept)
        ]
    data["params"] |= {"machine": MACHINE, "os": "Linux", "ram": ""}
    data.pop("durations", None)
    return data


def pack(results):
    """Replace the snapshot by the results of the commits of the history."""
    folder = SNAPSHOT / MACHINE
    for path in folder.glob("*-*.json"):
        path.unlink()
    commits = [table["hash"] for table in history()]
    for _, path in result_files(results / MACHINE, commits):
        data = packed(json.loads(path.read_text()))
        (folder / path.name).write_text(json.dumps(data))
    description = json.loads((results / MACHINE / "machine.json").read_text())
    description |= {"machine": MACHINE, "os": "Linux", "ram": ""}
    (folder / "machine.json").write_text(json.dumps(description, indent=4) + "\n")
    (SNAPSHOT / "benchmarks.json").write_text((results / "benchmarks.json").read_text())


def report():
    """Print what is wrong with the snapshot; return the faults."""
    series, faults = check()
    groups = {}
    for fault in faults:
        groups.setdefault(fault.commits, []).append(fault)
    for commits, group in groups.items():
        print(" to ".join(commits))
        for fault in group:
            print(f"  {fault.series}\n      {fault.says}")
        if len(commits) == 2:
            print("  the commits in between:")
            print(subjects(*commits), end="")
    n_points = sum(map(len, series.values()))
    print(f"{len(series)} series with {n_points} points: {len(faults)} refused")
    return faults


if __name__ == "__main__":
    sys.exit(1 if report() else 0)
