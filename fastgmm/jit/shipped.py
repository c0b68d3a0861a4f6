"""Machine code that comes with a wheel: for which processors it is made, and where it lies.

A wheel may hold the files that `fastgmm.api.precompile` writes, made for a few levels of processors
(``hatch_build.py`` makes them). The names of the files are those of the cache, see
`fastgmm.jit.cache`: they tell the kernel sources, Python, Numba, the types of the arguments and the
processor. So another Numba or another source finds nothing here, and compiles.

A processor takes the code of a level if it has all features of the level. The kernels' vectors are
as wide as the processor's, and Python prepares their buffers for that width. So a level is left out
where the processor has wider vectors than it. LLVM's loops are as wide as those that the kernels
emit: without ``-prefer-256-bit`` they would be half as wide on "x86-64-v4".
"""

from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parents[1] / "machine_code"

_V3 = (
    "+avx,+avx2,+bmi,+bmi2,+cmov,+crc32,+cx16,+cx8,+f16c,+fma,+fxsr,+lzcnt,+mmx,+movbe,+popcnt,"
    "+sahf,+sse,+sse2,+sse3,+sse4.1,+sse4.2,+ssse3,+xsave"
)


class Level(NamedTuple):
    """Processors that run the same machine code.

    `machines` are beginnings of LLVM's triples; `processor` and `features` are what Numba is told
    to compile for, in the form of its settings ``NUMBA_CPU_NAME`` and ``NUMBA_CPU_FEATURES``.
    `wider` is a feature of processors with wider vectors, or empty.
    """

    machines: tuple[str, ...]
    processor: str
    features: str
    wider: str = ""

    def suits(self, triple: str, features: str) -> bool:
        """Return whether a processor of some features runs this code as it runs its own."""
        has = set(features.split(","))
        needs = {feature for feature in self.features.split(",") if feature.startswith("+")}
        return triple.startswith(self.machines) and needs <= has and self.wider not in has


LEVELS = (
    Level(
        ("x86_64",),
        "x86-64-v4",
        f"{_V3},+avx512bw,+avx512cd,+avx512dq,+avx512f,+avx512vl,-prefer-256-bit",
    ),
    Level(("x86_64",), "x86-64-v3", _V3, wider="+avx512f"),
    Level(("aarch64", "arm64"), "generic", ""),
)


def shipped_target(target: tuple[str, str, str]) -> tuple[str, str, str] | None:
    """Return the target whose code a wheel may hold for a processor; None if there is none.

    A target is the triple, the processor and its features, as Numba's code generator names them.
    """
    triple, _, features = target
    for level in LEVELS:
        if level.suits(triple, features):
            return triple, level.processor, level.features
    return None
