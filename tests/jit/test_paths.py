"""The fast path of compilation and the plain one: which is taken, and that both are right."""

import ast
import os
import re
from pathlib import Path

import numba
import numpy as np
import pytest

import fastgmm
from fastgmm.jit.numba_internals import NEWEST_TESTED, enabled, refusal

PACKAGE = Path(fastgmm.__file__).parent

# Ways in which Numba might change. Each is run after numba has been imported, before fastgmm is.
FAILURES = {
    "a name is gone": "import numba.core.codegen as c; del c.JITCodeLibrary",
    "a module is gone": """
import sys, numba.core.ccallback
sys.modules["numba.core.caching"] = None
""",
    "an option is gone": """
import numba
from numba.core import options
apply = options.TargetOptions._apply
def changed(self, flags, chosen):
    if "_nrt" in chosen:
        raise KeyError("Unrecognized options: _nrt")
    apply(self, flags, chosen)
options.TargetOptions._apply = changed
""",
    "the decorator takes no pipeline": """
import numba
njit = numba.njit
def changed(*args, **options):
    if "pipeline_class" in options:
        raise TypeError("unexpected keyword argument")
    return njit(*args, **options)
numba.njit = changed
""",
    "helpers have no library": """
import numba, numba.core.codegen as c
made = c.CodeLibrary.__init__
def changed(self, *args):
    if type(self).__name__ == "HelperLibrary":
        raise TypeError("missing argument")
    made(self, *args)
c.CodeLibrary.__init__ = changed
""",
    "entry points cannot be linked": """
import numba, numba.core.codegen as c
finalize = c.CPUCodeLibrary.finalize
def changed(self):
    if type(self).__name__ == "EntryLibrary":
        raise AttributeError("_linking_libraries")
    finalize(self)
c.CPUCodeLibrary.finalize = changed
""",
    "Numba is newer": "import numba; numba.__version__ = '99.0.0'",
}
LINKING_FAILURE = FAILURES["entry points cannot be linked"].replace("EntryLib", "LinkedLib")
CACHE_FAILURE = """
import numba, numba.core.caching as c
def fail(*args):
    raise TypeError("no such thing")
c.CompileResultCacheImpl.reduce = fail
"""
RUN = "import runpy; runpy.run_path('family.py', run_name='__main__')"

# The answers take a single kernel; EM takes four times as long to compile on the plain path.
ANSWERS = """
import sys
sys.path.insert(0, TESTS)
from test_paths import answers
print(*(float(value).hex() for value in answers()))
"""
LONG = os.environ.get("FASTGMM_LONG_TESTS") == "1"

# `every` calls `middle` never, as LLVM sees, and `low` only by way of `other`.
KERNELS = """
import logging
import sys
logging.basicConfig(format="%(message)s", stream=sys.stdout)
import numpy as np
from fastgmm.jit.decorators import entry, jit

@jit
def low(x):
    return 2.0 * x

@jit
def middle(x):
    return low(x) + 1.0

@jit
def other(x):
    return low(x)
"""
CALLED_BY_ANOTHER = (
    KERNELS
    + """
@entry
def every(x):
    for i in range(x.size):
        if x.size < 0:
            x[i] = middle(x[i])
        x[i] = other(x[i])

x = np.ones(3)
every(x)
print(*x)
"""
)
CALLED_AS_AN_ATTRIBUTE = """
import kernels

@kernels.entry
def every(x):
    for i in range(x.size):
        x[i] = kernels.other(x[i])

x = kernels.np.ones(3)
every(x)
print(*x)
"""


def answers():
    """Return memberships and densities of a given mixture; of a fitted one if tests may be long."""
    X = np.random.default_rng(0).standard_normal((300, 3))
    X[::3] += 4.0
    mixture = fastgmm.Mixture.from_parameters([0.3, 0.7], X[:2], [X[:3].var(axis=0)] * 2, "diag")
    if LONG:
        mixture = fastgmm.fit(X, 3, covariance_type="diag", init_params="random", random_state=0)
    return [*mixture.predict_proba(X).flat, *mixture.score_samples(X), *mixture.means.flat]


@pytest.mark.parametrize("failure", FAILURES)
def test_whatever_of_numba_fails_kernels_are_right(programs, failure):
    """With one line in the log; the code is cached."""
    for counts in ("0", "3"):
        said, results, found = programs.run("-c", FAILURES[failure] + "\n" + RUN, *"012")
        assert said.startswith("kernels are compiled by Numba's public decorator")
        assert results == "4.0 6.0 6.0"
        assert found.split()[0] == counts


def test_a_cache_that_fails_costs_time_only(programs):
    for _ in range(2):
        said, results, found = programs.run("-c", CACHE_FAILURE + RUN, *"012")
        assert said.startswith("machine code cannot be cached")
        assert (results, found) == ("4.0 6.0 6.0", "0 3")


def test_helpers_that_nobody_calls_after_all(programs):
    """What one of them calls is linked for others that call it, too."""
    (programs.folder / "program.py").write_text(CALLED_BY_ANOTHER)
    assert programs.run("program.py") == ["2.0 2.0 2.0"]


def test_helpers_called_as_attributes_of_a_module(programs):
    (programs.folder / "kernels.py").write_text(KERNELS)
    (programs.folder / "program.py").write_text(CALLED_AS_AN_ATTRIBUTE)
    assert programs.run("program.py") == ["2.0 2.0 2.0"]
    failure = FAILURES["entry points cannot be linked"] + "import program"
    said, results = programs.run("-c", failure, NUMBA_CACHE_DIR=str(programs.folder / "other"))
    assert said.startswith("kernels are compiled by Numba's public decorator")
    assert results == "2.0 2.0 2.0"


def test_a_mixture_without_the_internals(programs, assert_close):
    """Compiled where the internals fail meanwhile, and loaded where they are not wanted."""
    program = ANSWERS.replace("TESTS", repr(str(Path(__file__).parent)))
    first = programs.run("-c", FAILURES["entry points cannot be linked"] + program)
    again = programs.run("-c", program, FASTGMM_NUMBA_INTERNALS="0")
    unlinked = programs.run("-c", LINKING_FAILURE + program)
    for line in (*first, *again, *unlinked):
        assert_close([float.fromhex(word) for word in line.split()], answers(), 1e-12)


@pytest.mark.parametrize(
    ("version", "choice", "refused"),
    [
        ("0.63.0", "", False),
        ("0.68.9", "", False),
        ("0.69.0rc1", "", True),
        ("1.0", "", True),
        ("0.69.0", "1", False),
        ("0.68.0", "0", True),
        ("0.70.0", "0", True),
        ("0+unknown", "", True),
    ],
)
def test_the_path_by_version(version, choice, refused):
    reason = refusal({"FASTGMM_NUMBA_INTERNALS": choice}, version)
    assert (reason is not None) == refused
    if refused and choice == "":
        assert version in reason
    assert refusal({}, "0.63.0") is None


def test_this_numba_is_among_those_tested():
    newer = tuple(map(int, numba.__version__.split(".")[:2])) > NEWEST_TESTED
    assert enabled() != newer


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_three_files_name_what_is_private(path):
    """Modules of Numba that begin with ``core`` or ``np``, and llvmlite outside of `jit`."""
    if path.name in {"numba_internals.py", "numba_shortcuts.py", "numba_arguments.py"}:
        return
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute):
            names.add(ast.unparse(node))
    of_numba = {name for name in names if name.split(".")[0] in {"numba", "llvmlite"}}
    private = {name for name in of_numba if {"core", "np", "misc"} & set(name.split(".")[1:2])}
    assert not private
    assert path.parent.name == "jit" or not of_numba
    attributes = {name.split(".")[-1] for name in names if not name.startswith(("self.", "cls."))}
    if path.parent.name == "jit":
        assert not {name for name in attributes if re.match("_[^_]", name)}
