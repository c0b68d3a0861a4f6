"""Print what new processes wait for while the cache of machine code is empty, and once it is full.

    python tools/first_fit.py [CASE ...]     about two minutes for all cases

Each case runs in a process of its own and begins with an empty cache:

- fit: the first `fit` of 900 rows with 5 features, 4 components, all other arguments left alone;
- further: the same, and then a fit of another covariance type in the same process;
- select: ``fastgmm select`` of 36 candidates on ``examples/old_faithful.csv``;
- warmup: ``fastgmm warmup``.

The first table has the seconds of the whole process: by the clock; of processors, with those of
processes that it started; and of processors for the process alone. A second run of the same case
finds the cache full. The second table has the entry points that the process itself compiled:
seconds until LLVM gets the code (Numba types and lowers it), and seconds of LLVM. On a busy machine
look at the seconds of processors; with idle cores its own seconds are nearly those by the clock.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]

FIT = """
import numpy as np
import fastgmm
draw = np.random.default_rng(0)
X = draw.normal(size=(900, 5)) + 6 * draw.integers(4, size=900)[:, None]
fastgmm.fit(X, 4, random_state=0)
"""
CLI = "import sys; from fastgmm.__main__ import main; sys.argv = ['fastgmm', {}]; main()"
CASES = {
    "import": "import fastgmm.api.fit",
    "fit": FIT,
    "further": FIT + "fastgmm.fit(X, 4, covariance_type='diag', random_state=0)\n",
    "select": CLI.format(f"'select', {str(ROOT / 'examples/old_faithful.csv')!r}, '--seed', '0'"),
    "warmup": CLI.format("'warmup'"),
}

# Written in front of each case: notes how long each entry point takes, and writes it at the end.
NOTE = """
import atexit, json, sys, time
from fastgmm.jit import numba_internals as internals
spent, begun = [], []
def note(owner, name, key):
    plain = getattr(owner, name)
    def timed(self, *args):
        begin = time.thread_time()
        if key == "whole":
            begun.append({"llvm": 0.0})
        try:
            return plain(self, *args)
        finally:
            now = time.thread_time() - begin
            if key == "whole":
                spent.append((args[0].__qualname__, now, begun.pop()["llvm"]))
            elif begun:
                begun[-1]["llvm"] += now
    setattr(owner, name, timed)
note(internals.EntryCompiler, "compile_extra", "whole")
note(internals.EntryLibrary, "finalize", "llvm")
atexit.register(lambda: open(FILE, "w").write(json.dumps([time.process_time(), spent])))
"""


def run(case, cache):
    """Return seconds by the clock, of processors, of them its own, and (name, seconds, of LLVM)."""
    with tempfile.TemporaryDirectory() as folder:
        noted = Path(folder, "spent.json")
        program = f"FILE = {str(noted)!r}\n{NOTE}\n{CASES[case]}"
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
        begin = time.perf_counter()
        child = subprocess.Popen(
            [sys.executable, "-c", program], env=environment, stdout=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - begin
        assert status == 0, f"{case} ended with {status}"
        return wall, usage.ru_utime + usage.ru_stime, *json.loads(noted.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"among {', '.join(CASES)}")
    cases = parser.parse_args().cases or list(CASES)
    if unknown := set(cases) - set(CASES):
        parser.error(f"no case is called {', '.join(unknown)}; cases are {', '.join(CASES)}.")
    rows, compiled = [], []
    for case in cases:
        with tempfile.TemporaryDirectory() as cache:
            cold, warm = run(case, cache), run(case, cache)
            rows.append((case, *cold[:3], *warm[:2]))
            compiled += [(case, *entry) for entry in cold[3]]
    print("case      empty: clock, processors, its own   full: clock, processors")
    for case, *seconds in rows:
        print(f"{case:9}" + "".join(f"{one:12.2f}" for one in seconds))
    print("\ncase      entry point                                  until LLVM        LLVM")
    for case, name, whole, llvm in compiled:
        print(f"{case:9} {name:42.42} {whole - llvm:12.2f}{llvm:12.2f}")


if __name__ == "__main__":
    main()
