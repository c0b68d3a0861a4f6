"""Show that the benchmarks find a kernel that became 15% slower, and nothing where nothing did.

    python tools/regressions.py              ten times, in 75 minutes; leave the machine idle
    python tools/regressions.py --times 1

In a clone that is thrown away, commits follow the present one. One of them computes some distances
twice, so that an iteration takes 15% longer. The three before and the three after it change a
comment in the file of the passes, so that all kernels are compiled anew. ``asv continuous``
compares the slow commit and its two neighbours each with the one before. Then ``asv run`` measures
all in turns, as for a site, and ``asv publish`` lists regressions. The slow commit must be found
each time by both, the others never. What is measured are iterations in units of a loop that runs
in turns with them (``reference.py``), because a shared machine drifts by more than 15%.

The share of the tiles whose distances are computed twice is measured first. ``--tiles`` gives it
in percent instead. ``--folder`` keeps the clone and its environment for the next call.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PASSES = "fastgmm/kernels/passes.py"
ROW = "P 200000x16 K=16 full overlapping"
BENCHMARK = "reference.OverLoop.time_iterations"
FACTOR = 1.07  # half of what is looked for
IDENTITY = ("-c", "user.name=regressions", "-c", "user.email=regressions@localhost")
COMPARED = "comment", "slow", "after"
IN_TURNS = [
    "--interleave-rounds", "--bench", f"^{re.escape(BENCHMARK)}.*{re.escape(ROW)}",
    "--launch-method", "forkserver",
]  # fmt: skip
ONCE = """\
        distances(operands, work)
        if lazy:
            keep_bounds("""
TWICE = """\
        distances(operands, work)
        if t * 37 % 100 < {}:
            distances(operands, work)
        if lazy:
            keep_bounds("""
TIME = f"""
import sys
sys.path.insert(0, {str(ROOT / "asv_benchmarks")!r})
from benchmarks.reference import OverLoop
benchmark = OverLoop()
benchmark.setup({ROW!r})
for _ in range(8):
    benchmark.time_iterations({ROW!r})
print(benchmark.timer() / 8)
"""


def git(clone, *arguments):
    done = subprocess.run(
        ["git", *IDENTITY, *arguments], cwd=clone, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def asv(clone, *arguments, ok=(0,)):
    """Run asv in a clone; return its exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "asv", *arguments, "--config", "asv.conf.json"],
        cwd=clone / "asv_benchmarks", capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in ok:
        raise SystemExit(f"asv {arguments[0]} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.returncode, done.stdout


def slowed(source, percent):
    """Return the source of the passes with distances computed twice in some percent of tiles."""
    if source.count(ONCE) != 1:
        raise SystemExit(f"{PASSES} has changed; adapt this script to its present form")
    return source.replace(ONCE, TWICE.format(percent))


def iteration_time(clone, name, source):
    """Return the time of iterations, in loops, with this source of the passes."""
    (clone / PASSES).write_text(source)
    cache = clone / "kernels" / name
    environment = os.environ | {"PYTHONPATH": str(clone), "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", TIME], env=environment, cwd=clone, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return float(done.stdout)


def calibrate(clone, target, rounds=3):
    """Return the percentage of the tiles for which an iteration takes `target` times as long."""
    source = (clone / PASSES).read_text()
    all_tiles = slowed(source, 100)
    ratio = statistics.median(
        iteration_time(clone, "twice", all_tiles) / iteration_time(clone, "once", source)
        for _ in range(rounds)
    )
    git(clone, "checkout", PASSES)
    percent = round(100 * (target - 1) / (ratio - 1))
    print(f"all distances twice: {ratio:.2f} times as long; {percent}% of the tiles are slowed")
    if not 0 < percent <= 100:
        raise SystemExit(
            "computing distances twice does not reach the target; is the machine idle?"
        )
    return percent


def make_history(clone, percent):
    """Commit the changes; return the commits by name."""
    path = clone / PASSES
    commits = {"base": git(clone, "rev-parse", "HEAD")}
    source = path.read_text()
    slow = slowed(source, percent)
    before, later = ("first", "second", "comment"), ("slow", "after", "later", "last")
    for name, text in (*((name, source) for name in before), *((name, slow) for name in later)):
        path.write_text(f"{text}# {name}\n")
        git(clone, "commit", "--no-verify", "-qam", name)
        commits[name] = git(clone, "rev-parse", "HEAD")
    return commits


def stored(clone, commit):
    """Return the number that asv stored for a commit."""
    (path,) = (clone / "asv_benchmarks" / "results").glob(f"*/{commit[:8]}-*.json")
    values = json.loads(path.read_text())["results"][BENCHMARK][0]
    return next(value for value in values if value is not None and value > 0.0)


def compare(clone, base, commit):
    """Return what ``asv continuous`` says of a commit, and the ratio of both numbers."""
    _, printed = asv(
        clone, "continuous", "--factor", str(FACTOR), *IN_TURNS, base, commit, ok=(0, 1)
    )
    verdict = (
        "slower" if "PERFORMANCE DECREASED" in printed
        else "faster" if "PERFORMANCE INCREASED" in printed
        else "same"
    )  # fmt: skip
    return verdict, stored(clone, commit) / stored(clone, base)


def regressions(clone, commits):
    """Measure commits anew; return those that the site's page of regressions names."""
    first, *_, last = commits.values()
    asv(clone, "run", *IN_TURNS, f"{first}~1..{last}")
    asv(clone, "publish")
    html = clone / "asv_benchmarks" / "html"
    hashes = json.loads((html / "index.json").read_text())["revision_to_hash"]
    found = json.loads((html / "regressions.json").read_text())["regressions"]
    return {hashes[str(revision)] for entry in found for _, revision, *_ in entry[-1]}


def make_clone(folder):
    """Return a clone of the present commit in a folder, on a branch main of its own."""
    clone = folder / "clone"
    if not clone.exists():
        subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
    git(clone, "fetch", "-q", "origin")
    git(clone, "checkout", "-q", "-f", "-B", "main", git(ROOT, "rev-parse", "HEAD"))
    return clone


def show(clone, commits, times):
    """Compare and publish so many times, with a line each; return how often each was right."""
    names = list(commits)
    right = dict.fromkeys([*COMPARED, "page"], 0)
    print("time  comment        slow           after          on the page")
    for i in range(times):
        cells = []
        for name in COMPARED:
            base = names[names.index(name) - 1]
            verdict, ratio = compare(clone, commits[base], commits[name])
            right[name] += verdict == ("slower" if name == "slow" else "same")
            cells.append(f"{verdict:6} {ratio:6.3f}")
        listed = regressions(clone, commits)
        right["page"] += listed == {commits["slow"]}
        page = ", ".join(name for name in names if commits[name] in listed) or "none"
        print(f"{i + 1:4}  {'  '.join(cells)}  {page}", flush=True)
    return right


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=10, help="how often (default: 10)")
    parser.add_argument("--tiles", type=int, metavar="PERCENT", help="tiles that are slowed")
    parser.add_argument("--target", type=float, default=1.15, help="slowdown (default: 1.15)")
    parser.add_argument("--folder", type=Path, help="keep the clone here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        clone = make_clone(arguments.folder or Path(temporary))
        commits = make_history(clone, arguments.tiles or calibrate(clone, arguments.target))
        asv(clone, "machine", "--yes")
        right = show(clone, commits, arguments.times)
    print("right " + ", ".join(f"{name}: {n} of {arguments.times}" for name, n in right.items()))
    return 0 if all(n == arguments.times for n in right.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
