"""Linked kernels: machine code of their own, which passes call by its address.

A helper is compiled anew for each entry point that calls it. A linked kernel is compiled once for
each precision, whoever calls it: a pass of EM has the same code for all covariance types, and each
type adds its distances, its moments and its M-step. Several processes compile several of them at
once, and what no fit has needed yet, such as skipping, is not compiled. A pass calls each for a
tile, not for a point: over two features it takes no longer than with helpers.

Addresses are numbers that Python puts into the arguments of a pass: they hold for one process.
Caller and kernel must agree on the types of all arguments; Python gives `LinkedKernel.address`
examples of them. On the plain path nothing is linked, and passes call helpers.
"""

from inspect import Parameter, Signature

import numba

from fastgmm.jit import numba_internals
from fastgmm.jit.decorators import linked
from fastgmm.jit.intrinsics import intrinsic, types
from fastgmm.jit.numba_internals import linkable

__all__ = ["LinkedKernel", "caller", "linkable"]


def caller(result, n_arguments):
    """Return an intrinsic ``call(address, *arguments)`` for linked kernels.

    `result` is the name of the Numba type that they return.
    """

    def call(typingctx, address, *arguments):
        def generate(context, builder, signature, args):
            return numba_internals.call_address(context, builder, signature, args)

        return getattr(types, result)(address, *arguments), generate

    names = ("typingctx", "address", *(f"argument_{i}" for i in range(n_arguments)))
    call.__signature__ = Signature(
        [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    )
    return intrinsic(call)


class LinkedKernel:
    """A helper with machine code of its own.

    Parameters
    ----------
    helper : dispatcher
        A kernel made by `fastgmm.jit.decorators.jit`.
    """

    def __init__(self, helper):
        self._helper = helper
        self._kernel = None

    def address(self, *arguments):
        """Return the address of the code for arguments of the types of these.

        Raises an error if there is none; kernels are then no longer `linkable`.
        """
        if self._kernel is None:
            self._kernel = linked(self._helper)
        return numba_internals.address_of(self._kernel, tuple(map(numba.typeof, arguments)))
