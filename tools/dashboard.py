"""Benchmark the last commits or tags and build the site that shows them.

    python tools/dashboard.py --commits 5      about ten minutes per commit
    python tools/dashboard.py --tags 3
    python tools/dashboard.py                  build the site from existing results
    python tools/dashboard.py --history        measure the snapshot anew, in about 40 minutes
    python tools/dashboard.py --refused        only those of its points that the check refuses

The site is written to ``asv_benchmarks/html``; ``--preview`` opens it in a browser. Commits that
have results are skipped unless ``--again`` is given. The first run copies the results of one
machine from ``asv_benchmarks/snapshot``, so that the site is never empty.

``--history`` runs what the library promises on the commits of ``asv_benchmarks/history.toml``,
writes the snapshot and checks it as ``tools/snapshot.py`` does. Leave the machine alone meanwhile.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import snapshot

SUITE = Path(__file__).parents[1] / "asv_benchmarks"
RESULTS, SNAPSHOT = SUITE / "results", SUITE / "snapshot"
# Forked processes need not import NumPy and scikit-learn again.
HISTORY_RUN = ["--machine", snapshot.MACHINE, "--launch-method", "forkserver"]
ONCE = ["repeat=1", "rounds=1", "number=1", "warmup_time=0"]


def git(*arguments):
    done = subprocess.run(
        ["git", *arguments], cwd=SUITE, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def asv(*arguments, ok=(0,)):
    done = subprocess.run([sys.executable, "-m", "asv", *arguments], cwd=SUITE, check=False)
    if done.returncode not in ok:
        raise SystemExit(f"asv {arguments[0]} ended with {done.returncode}")


def commits(n_commits, n_tags, branch):
    """Return the last commits of a branch and the commits of the last tags on it."""
    found = git("rev-list", "--first-parent", f"--max-count={n_commits}", branch)
    tags = git("tag", "--merged", branch, "--sort=-creatordate")[:n_tags]
    return list(dict.fromkeys(found + [git("rev-list", "-n1", tag)[0] for tag in tags]))


def unpack_snapshot():
    """Copy the snapshot to the folder that asv reads; keep results that exist."""
    for source in sorted(SNAPSHOT.rglob("*.json")):
        target = RESULTS / source.relative_to(SNAPSHOT)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def run(commits, *options):
    """Run asv on some commits, in this order."""
    with tempfile.TemporaryDirectory() as folder:
        hashes = Path(folder) / "commits"
        hashes.write_text("\n".join(commits) + "\n")
        # asv returns 2 where a benchmark failed. The rest is kept; the site shows what is missing.
        asv("run", *options, f"HASHFILE:{hashes}", ok=(0, 2))


def attributes(brief):
    """Return the options that make asv run each benchmark once, if brief."""
    return [part for once in ONCE if brief for part in ("--attribute", once)]


def measure_history(brief):
    """Measure what the library promises on the commits of the history."""
    shutil.rmtree(RESULTS / snapshot.MACHINE, ignore_errors=True)
    commits = [git("rev-parse", table["hash"])[0] for table in snapshot.history()]
    patterns = [part for promise in snapshot.PROMISES for part in ("--bench", promise)]
    run(commits, *HISTORY_RUN, "--interleave-rounds", *patterns, *attributes(brief))


def measure_refused():
    """Measure the points again that failed or that lie apart from both neighbours."""
    _, faults = snapshot.check()
    again = {}
    for fault in faults:
        if fault.kind != "jump":
            again.setdefault(fault.commits[0], []).append(fault.series)
    for commit, names in again.items():
        options = [part for name in names for part in ("--bench", f"^{re.escape(name)}$")]
        run(git("rev-parse", commit), *HISTORY_RUN, *options)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--commits", type=int, default=0, metavar="N", help="the last N commits")
    parser.add_argument("--tags", type=int, default=0, metavar="N", help="the last N tags")
    parser.add_argument("--branch", default="main", help="branch to take them from (default: main)")
    parser.add_argument("--history", action="store_true", help="measure the snapshot anew")
    parser.add_argument("--refused", action="store_true", help="only its points that are refused")
    parser.add_argument("--bench", metavar="REGEX", help="only benchmarks whose name matches")
    parser.add_argument(
        "--brief", action="store_true", help="run each benchmark once: quick, but noisy"
    )
    parser.add_argument("--again", action="store_true", help="also run commits that have results")
    parser.add_argument("--preview", action="store_true", help="open the site in a browser")
    arguments = parser.parse_args()
    unpack_snapshot()
    chosen = commits(arguments.commits, arguments.tags, arguments.branch)
    if chosen:
        options = [] if arguments.again else ["--skip-existing-successful"]
        options += ["--bench", arguments.bench] if arguments.bench else []
        asv("machine", "--yes")
        run(chosen, *options, *attributes(arguments.brief))
    if arguments.history or arguments.refused:
        asv("machine", "--machine", snapshot.MACHINE, "--yes")
        measure_history(arguments.brief) if arguments.history else measure_refused()
        snapshot.pack(RESULTS)
    asv("publish")
    print(f"the site is in {SUITE / 'html'}")
    if arguments.preview:
        asv("preview", "--browser")
    return 1 if (arguments.history or arguments.refused) and snapshot.report() else 0


if __name__ == "__main__":
    sys.exit(main())
