"""Benchmark the last commits or tags and build the site that shows them.

    python asv_benchmarks/dashboard.py --commits 5      some ten minutes a commit
    python asv_benchmarks/dashboard.py --tags 3
    python asv_benchmarks/dashboard.py                  only the site, from what is there

The site goes to ``asv_benchmarks/html``; ``--preview`` shows it in a browser. Commits that have
results are left out, unless ``--again`` is said. A first run starts from ``snapshot/``, the
results of one machine that lie in the repository, so that there is something to look at.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
RESULTS, SNAPSHOT = HERE / "results", HERE / "snapshot"
ONCE = ["repeat=1", "rounds=1", "number=1", "warmup_time=0"]


def git(*arguments):
    done = subprocess.run(["git", *arguments], cwd=HERE, capture_output=True, text=True, check=True)
    return done.stdout.split()


def asv(*arguments):
    subprocess.run([sys.executable, "-m", "asv", *arguments], cwd=HERE, check=True)


def commits(n_commits, n_tags, branch):
    """The last commits of a branch, and the commits of the last tags on it."""
    found = git("rev-list", "--first-parent", f"--max-count={n_commits}", branch)
    tags = git("tag", "--merged", branch, "--sort=-creatordate")[:n_tags]
    return list(dict.fromkeys(found + [git("rev-list", "-n1", tag)[0] for tag in tags]))


def unpack_snapshot():
    """Put the snapshot where asv looks, without touching results that are there."""
    for source in sorted(SNAPSHOT.rglob("*.json")):
        target = RESULTS / source.relative_to(SNAPSHOT)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--commits", type=int, default=0, metavar="N", help="the last N commits")
    parser.add_argument("--tags", type=int, default=0, metavar="N", help="the last N tags")
    parser.add_argument("--branch", default="main", help="of this branch (default: main)")
    parser.add_argument("--bench", metavar="REGEX", help="only benchmarks whose name matches")
    parser.add_argument("--brief", action="store_true", help="run each once: quick, and noisy")
    parser.add_argument("--again", action="store_true", help="also where there are results")
    parser.add_argument("--preview", action="store_true", help="show the site when it is built")
    arguments = parser.parse_args()
    unpack_snapshot()
    chosen = commits(arguments.commits, arguments.tags, arguments.branch)
    if chosen:
        options = [] if arguments.again else ["--skip-existing-successful"]
        options += ["--bench", arguments.bench] if arguments.bench else []
        options += [part for once in ONCE if arguments.brief for part in ("--attribute", once)]
        asv("machine", "--yes")
        with tempfile.TemporaryDirectory() as folder:
            hashes = Path(folder) / "commits"
            hashes.write_text("\n".join(chosen) + "\n")
            asv("run", *options, f"HASHFILE:{hashes}")
    asv("publish")
    print(f"the site is in {HERE / 'html'}")
    if arguments.preview:
        asv("preview", "--browser")


if __name__ == "__main__":
    main()
