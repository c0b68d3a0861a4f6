"""What micro-kernels are written with: intrinsics, their types, and LLVM's instructions."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastgmm.jit.numba_internals import (
    add_attribute,
    data_of,
    declared,
    for_range,
    target_features,
)

__all__ = [
    "add_attribute",
    "data_of",
    "declared",
    "for_range",
    "intrinsic",
    "ir",
    "target_features",
    "types",
]
