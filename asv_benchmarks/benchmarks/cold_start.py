"""What a new process waits for: imports, and compilation where no cache is filled yet."""

import json
import os
import subprocess
import sys
from statistics import median
from tempfile import TemporaryDirectory

from . import common

PROGRAM = """
import json
import time

now = [time.perf_counter()]
import fastgmm

now.append(time.perf_counter())
import numba
import numpy

now.append(time.perf_counter())
X = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [8.0, 8.0], [8.0, 9.0], [9.0, 8.0]]
fastgmm.fit(X, 2, covariance_type="full")
now.append(time.perf_counter())
fastgmm.fit(X, 2, covariance_type="diag")
now.append(time.perf_counter())
names = ("import fastgmm", "import numba", "first fit", "further type")
print(json.dumps(dict(zip(names, (b - a for a, b in zip(now, now[1:]))))))
"""


empty_cache = TemporaryDirectory  # the tests fill it beforehand


def run(cache):
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, check=True
    )
    return json.loads(result.stdout)


class ColdStart:
    """The faster of two processes with an empty cache, the median of four with a filled one."""

    unit = "seconds"
    timeout = 300

    def setup_cache(self):
        cold, warm = [], []
        for _ in range(max(1, 2 // common.shrink)):
            with empty_cache() as cache:
                cold.append(run(cache))
                warm += [run(cache) for _ in range(max(1, 2 // common.shrink))]
        return {
            "cold": {name: min(times[name] for times in cold) for name in cold[0]},
            "warm": {name: median(times[name] for times in warm) for name in cold[0]},
        }

    setup_cache.timeout = 300

    def track_first_fit(self, measured):
        return measured["cold"]["import numba"] + measured["cold"]["first fit"]

    def track_further_covariance_type(self, measured):
        return measured["cold"]["further type"]

    def track_first_fit_with_warm_cache_over_import_numba(self, measured):
        return measured["warm"]["import fastgmm"] + measured["warm"]["first fit"]

    def track_import(self, measured):
        return measured["warm"]["import fastgmm"]
