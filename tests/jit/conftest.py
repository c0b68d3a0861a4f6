"""Programs with small kernels of their own, run with a cache of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastgmm

PACKAGE = Path(fastgmm.__file__).parent

# Three kernels written once: they differ in a helper or in an intrinsic, both captured.
FAMILY = """
import logging
import sys
logging.basicConfig(format="%(message)s", stream=sys.stdout)
import numpy as np
from numba.extending import intrinsic
from fastgmm.jit import numba_internals, registry
from fastgmm.jit.decorators import entry, jit


def times(factor):
    @intrinsic
    def multiply(typingctx, x):
        def generate(context, builder, signature, args):
            return builder.fmul(args[0], args[0].type(factor))

        return x(x), generate

    return multiply


def pass_of(helper, multiply):
    @jit
    def one(x):
        return multiply(helper(x))

    @entry
    def every(x):
        for i in range(x.size):
            x[i] = one(x[i])

    return every


@jit
def more(x):
    return x + 1.0


passes = [
    pass_of(more, times(2.0)),
    pass_of(jit(lambda x: more(more(x))), times(2.0)),
    pass_of(more, times(3.0)),
]


def results(names):
    arrays = [np.ones(3) for _ in names]
    for name, array in zip(names, arrays):
        passes[int(name)](array)
    return [array[0] for array in arrays]


if __name__ == "__main__":
    print(*results(sys.argv[1:]))
    print(len(registry.loaded_from_cache()), len(registry.compiled_here()))
"""


class Programs:
    """Runs Python in a folder that has the kernels above and a cache; gives what it prints."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "family.py").write_text(FAMILY)

    def run(self, *arguments, **environment):
        environment = {
            **os.environ,
            "NUMBA_CACHE_DIR": str(self.folder / "cache"),
            "PYTHONPATH": os.pathsep.join([str(self.folder), str(PACKAGE.parent)]),
            **environment,
        }
        command = [sys.executable, "-W", "error", *map(str, arguments)]
        result = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=self.folder, check=False
        )
        assert (result.returncode, result.stderr) == (0, ""), result.stderr
        return result.stdout.splitlines()

    def codes(self):
        """Return the names of all files of machine code."""
        return sorted(path.name for path in (self.folder / "cache").rglob("*.nbc"))


@pytest.fixture
def programs(tmp_path):
    return Programs(tmp_path)
