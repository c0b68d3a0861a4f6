"""Track the performance of your own change: compare your last commit with `main` by asv.

    python examples/track_your_change.py                      whole fits, some minutes
    python examples/track_your_change.py --bench em           the kernels alone
    python examples/track_your_change.py --base v0.1.0 --bench .

asv builds both commits in an environment of its own, runs them in turns, and lists what became
slower or faster by more than `--factor`. The exit code is 1 if something became slower.
"""

import argparse
import subprocess
import sys
from pathlib import Path

SUITE = Path(__file__).parents[1] / "asv_benchmarks"

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--base", default="main", help="what to compare with (default: main)")
parser.add_argument("--commit", default="HEAD", help="your change (default: HEAD)")
parser.add_argument("--bench", default="whole_fits", help="regular expression of benchmarks")
parser.add_argument("--factor", default="1.1", help="what counts as a change (default: 1.1)")
arguments = parser.parse_args()

asv = [sys.executable, "-m", "asv"]
subprocess.run([*asv, "machine", "--yes"], cwd=SUITE, check=True)
done = subprocess.run(
    [*asv, "continuous", "--factor", arguments.factor, "--bench", arguments.bench,
     "--interleave-rounds", arguments.base, arguments.commit],
    cwd=SUITE, check=False,
)  # fmt: skip
sys.exit(done.returncode)
