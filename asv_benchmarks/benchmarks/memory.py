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
def prepare(covariance_type):
    """Return the rows and the options of a fit, after that fit in a child of this process.

    It compiles there: the peak is not to be that of the compiler.
    """
    X = clusters(500_000, 4, 8)
    options = {"n_components": 8, "covariance_type": covariance_type, "max_iter": 2}
    options["random_state"] = 0
    child = multiprocessing.get_context("fork").Process(target=fit_ours, args=(X,), kwargs=options)
    child.start()
    child.join()
    if child.exitcode:
        raise RuntimeError(f"the fit in a child ended with {child.exitcode}")
    fit_ours(X[:1000], **options)  # loads the kernels
    return X, options


class Memory:
    params = (["full", "diag"],)
    param_names = ("covariance_type",)
    timeout = 300

    def setup(self, covariance_type):
        self.X, self.options = prepare(covariance_type)

    def peakmem_fit(self, covariance_type):
        fit_ours(self.X, **self.options)

    def track_rise_of_peak(self, covariance_type):
        if not (PROC / "clear_refs").exists():
            return float("nan")  # only Linux tells the peak anew; asv shows n/a
        (PROC / "clear_refs").write_text("5")  # the peak starts again from what is resident
        before = status("VmRSS:")
        fit_ours(self.X, **self.options)
        return status("VmHWM:") - before

    track_rise_of_peak.unit = "MiB"
