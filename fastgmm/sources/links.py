"""Passes that call linked kernels: which passes run, and where the kernels they call lie.

A kernel is compiled when a launch first needs it: a pass with given responsibilities needs no
distances, only runs take the M-step, and only large problems skip pairs.
"""

import numpy as np

from fastgmm.jit.linking import linkable
from fastgmm.jit.threads import launch
from fastgmm.kernels.tiles import make_workspace
from fastgmm.kernels.types import NO_LINKS, Links, SkippingLinks
from fastgmm.sources.operands import mean_operands
from fastgmm.sources.runs import no_runs
from fastgmm.sources.skipping import NO_BOUNDS, NO_DRIFT


class _Addresses:
    """The addresses of linked kernels in this process, each found once."""

    def __init__(self):
        self._found = {}

    def __call__(self, kernels, name, dtype):
        """Return the address of one of the `kernels` for rows of `dtype`."""
        key = kernels, name, dtype
        address = self._found.get(key)
        if address is None:
            kernel = getattr(kernels.linked, name)
            address = self._found[key] = kernel.address(*_examples(name, dtype))
        return address


def _examples(name, dtype):
    """Return arguments of the types that passes over rows of `dtype` call a kernel with."""
    row = np.zeros((1, 1), dtype)
    operands, work = mean_operands(np.zeros((1, 1)), dtype), make_workspace(row, 1)
    s1, s2 = np.zeros((2, 1, 1, 1))
    return {
        "distances": (operands, work),
        "moments": (operands, row, work, s1[0], s2),
        "moments_about_center": (operands, row, work, s1[0], s2),
        "step": (no_runs(dtype), 0, 0, s1[0], s2, 0.0),
        "list_unskipped": (operands, NO_BOUNDS, NO_DRIFT, 0, work),
        "keep_bounds": (operands, NO_BOUNDS, NO_DRIFT, 0, 0, work),
        "sort_block": (operands.offsets, NO_BOUNDS, NO_DRIFT, 0, 0, 0, work),
    }[name]


address_of = _Addresses()


def compile_linked(kernels, names, dtype):
    """Compile some kernels, those that there are, for `dtype`; none where passes call helpers."""
    for name in names if kernels.passes().linked else ():
        if getattr(kernels.linked, name) is not None:
            address_of(kernels, name, dtype)


def launch_em(kernels, n_chunks, workspaces, inputs, sums, runs, **options):
    """Launch the fitting pass of a covariance type's kernels: see `launch` and `em_pass_of`."""

    def start(passes):
        arguments = inputs, sums, runs
        if passes.linked:
            arguments = _link(kernels, *arguments)
        dtypes = (inputs.data.X.dtype,)
        launch(passes.em_pass, n_chunks, workspaces, *arguments, dtypes=dtypes, **options)

    _start(kernels, start)


def launch_infer(kernels, n_chunks, workspaces, X, operands, outputs, **options):
    """Launch the inference pass of a covariance type's kernels; see `launch`."""

    def start(passes):
        links = Links(address_of(kernels, "distances", X.dtype), 0) if passes.linked else NO_LINKS
        dtypes = (X.dtype, *(array.dtype for array in outputs))
        arguments = X, operands._replace(links=links), outputs
        launch(passes.infer_pass, n_chunks, workspaces, *arguments, dtypes=dtypes, **options)

    _start(kernels, start)


def _start(kernels, start):
    """Call a function with the passes that run at present.

    If a linked kernel cannot be compiled, kernels are linked no longer. Nothing has been computed
    by then, so that the passes that take its place may begin anew.
    """
    passes = kernels.passes()
    try:
        start(passes)
    except Exception:
        if linkable() or not passes.linked:
            raise
        start(kernels.passes())


def _link(kernels, inputs, sums, runs):
    """Return the arguments of a fitting pass with the addresses that it needs."""
    data, _, operands, _, drift = inputs
    dtype = data.X.dtype
    takes_distances = operands.offsets.size or runs.n_iter
    about_center = runs.about_center if runs.n_iter else operands.about_center
    moments = "moments_about_center" if about_center else "moments"
    links = Links(
        address_of(kernels, "distances", dtype) if takes_distances else 0,
        address_of(kernels, moments, dtype),
    )
    if drift.scale.size:
        names = SkippingLinks._fields
        skipping = SkippingLinks(*(address_of(kernels, name, dtype) for name in names))
        drift = drift._replace(links=skipping)
    if runs.n_iter:
        runs = runs._replace(step=address_of(kernels, "step", dtype))
    return inputs._replace(operands=operands._replace(links=links), drift=drift), sums, runs
