"""Peak memory of fitting: that of the process, and what lies above the data."""

import multiprocessing
from functools import cache
from pathlib import Path

from .common import clusters, fit_ours

PROC = Path("/proc/self")


def status(field):
    """A size in MiB from Linux's account of this process."""
    lines = (PROC / "status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


@cache  # asv calls setup before every sample
def compile_elsewhere(covariance_type):
    """Fit in a child of this process: the peak is not to be that of the compiler."""
    arguments = {"n_components": 8, "covariance_type": covariance_type, "max_iter": 2}
    child = multiprocessing.get_context("fork").Process(
        target=fit_ours, args=(clusters(1000, 4, 8),), kwargs=arguments | {"random_state": 0}
    )
    child.start()
    child.join()


class Memory:
    params = (["full", "diag"],)
    param_names = ("covariance_type",)
    timeout = 300

    def setup(self, covariance_type):
        compile_elsewhere(covariance_type)
        self.X = clusters(500_000, 4, 8)
        self.options = {"n_components": 8, "covariance_type": covariance_type, "max_iter": 2}
        fit_ours(self.X[:1000], random_state=0, **self.options)  # loads the kernels

    def peakmem_fit(self, covariance_type):
        fit_ours(self.X, random_state=0, **self.options)

    def track_rise_of_peak(self, covariance_type):
        if not (PROC / "clear_refs").exists():
            return float("nan")  # only Linux tells the peak anew; asv shows n/a
        (PROC / "clear_refs").write_text("5")  # the peak starts again from what is resident
        before = status("VmRSS:")
        fit_ours(self.X, random_state=0, **self.options)
        return status("VmHWM:") - before

    track_rise_of_peak.unit = "MiB"
