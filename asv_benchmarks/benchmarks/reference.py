"""EM iterations on one thread, in units of a loop that no commit changes.

A shared machine drifts by 15 to 40% within minutes, and so does every time that asv stores. Here
the loop and the iterations run in turns in one process. The ratio of the fastest times of both
repeats to 2% in most processes; a few differ by up to 10%.
"""

from functools import cache

import numpy as np

from .common import fit_ours, seconds
from .yardstick import ROWS, prepare

KINDS = [row for row in ROWS if row[0] in "ACFP"]  # of the others, a sample takes too long
N_ROWS = 40_000  # of each kind of data: an iteration takes about as long as the loop
TURNS = 30  # of the iterations and the loop, for a sample
ITERATIONS = 3
_COEFFICIENTS = tuple(1.0 / np.cumprod(np.arange(1.0, 8.0)))


@cache
def make_loop():
    """Return a function that evaluates polynomials on one thread, as the kernels' exp does."""
    import numba

    @numba.njit(fastmath={"contract"}, nogil=True)
    def evaluate(values, n_times):
        a, b, c, d, e, f, g = _COEFFICIENTS
        for _ in range(n_times):
            for i in range(values.size):
                x = values[i]
                power = 1.0 + x * (a + x * (b + x * (c + x * (d + x * (e + x * (f + x * g))))))
                values[i] = 0.36 * power

    values = np.random.default_rng(0).random(4096)
    evaluate(values, 1)  # compiles
    return lambda: evaluate(values, 6000)


class OverLoop:
    """Iterations on one thread; asv prints loops as if they were seconds."""

    params = (KINDS,)
    param_names = ("row",)
    number, warmup_time, timeout = 1, 0, 300
    rounds, repeat = 4, 2  # a disturbance of one round does not move the median

    def setup(self, row):
        X, self.options, _ = prepare(row)
        self.X, self.loop = X[:N_ROWS], make_loop()
        self.loops = 0.0

    def timer(self):
        """Return the loops that samples took so far: asv's clock for this class."""
        return self.loops

    def fit(self):
        fit_ours(self.X, max_iter=ITERATIONS, n_threads=1, **self.options)

    def time_iterations(self, row):
        times = [(seconds(self.fit), seconds(self.loop)) for _ in range(TURNS)]
        fit, loop = map(min, zip(*times, strict=True))
        self.loops += fit / loop
