"""The compilation cache: no edit of a kernel source can run stale machine code."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numba

import fastgmm
from fastgmm.jit.cache import _CacheFiles, kernel_digest

PACKAGE = Path(fastgmm.__file__).parent

PROGRAM = """
import sys
from fastgmm.jit import cache
cache.SOURCE_STAMP = sys.argv[1]
import cached_function
print(cached_function.double(21), sum(cached_function.double.stats.cache_hits.values()))
"""

FAMILY = """
import sys
import numba
from numba import types
from numba.extending import intrinsic
from fastgmm.jit.decorators import entry_named, jit


@intrinsic
def not_inlined(typingctx):
    def generate(context, builder, signature, args):
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), generate


def pass_of(name, helper):
    @jit
    def chunk(x):
        not_inlined()
        return helper(x)

    @entry_named(name)
    def whole(x):
        return chunk(x)

    return whole


passes = {
    "double": pass_of("double", jit(lambda x: 2 * x)),
    "negative": pass_of("negative", jit(lambda x: -x)),
}
if __name__ == "__main__":
    print(*(passes[name](21) for name in sys.argv[1:]))
"""


def environment_with(folder):
    return {
        **os.environ,
        "NUMBA_CACHE_DIR": str(folder / "cache"),
        "PYTHONPATH": os.pathsep.join([str(folder), str(PACKAGE.parent)]),
    }


def output(environment, *arguments):
    """The words that Python prints when run so."""
    command = [sys.executable, "-W", "error", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return result.stdout.split()


def test_the_digest_covers_every_file_that_is_compiled():
    decorated = re.compile(r"^ *@(jit|jit_sum|entry|entry_named|intrinsic)\b", re.MULTILINE)
    compiled = [path for path in PACKAGE.rglob("*.py") if decorated.search(path.read_text())]
    assert len(compiled) > 4
    assert all("kernels" in path.relative_to(PACKAGE).parts for path in compiled)


def test_the_digest_changes_with_every_source(tmp_path):
    packages = ("jit", "kernels")
    for package in packages:
        shutil.copytree(PACKAGE / package, tmp_path / package)
    sources = [path for package in packages for path in (tmp_path / package).rglob("*.py")]
    digests = {kernel_digest(tmp_path)}
    assert digests == {kernel_digest(PACKAGE)}
    for path in sources:
        with path.open("a") as file:
            file.write("# an edit\n")
        digests.add(kernel_digest(tmp_path))
    assert len(digests) == 1 + len(sources)


def test_machine_code_of_other_sources_is_not_used(tmp_path):
    (tmp_path / "cached_function.py").write_text(
        "from fastgmm.jit.decorators import entry\n\n\n@entry\ndef double(x):\n    return 2 * x\n"
    )
    environment = environment_with(tmp_path)
    assert [output(environment, "-c", PROGRAM, stamp) for stamp in ("a", "a", "b", "b")] == [
        ["42", "0"],
        ["42", "1"],
        ["42", "0"],
        ["42", "1"],
    ]


def test_machine_code_of_two_processes_does_not_mix(tmp_path):
    """Numba counts functions from zero in each process, so helpers of both may be named alike."""
    program = tmp_path / "family.py"
    program.write_text(FAMILY)
    environment = environment_with(tmp_path)
    assert output(environment, program, "double") == ["42"]
    assert output(environment, program, "negative") == ["-21"]
    assert output(environment, program, "double", "negative") == ["42", "-21"]
    assert len(list(tmp_path.rglob("*.nbc"))) == 2


def test_kernels_are_compiled_where_numba_is_told_to_compile_nothing(tmp_path):
    """Their intrinsics are nothing in Python; whoever sets this debugs other code."""
    program = tmp_path / "family.py"
    program.write_text(FAMILY + "    print(numba.njit(pass_of) is pass_of)\n")
    environment = {**environment_with(tmp_path), "NUMBA_DISABLE_JIT": "1"}
    assert output(environment, program, "double") == ["42", "True"]


def test_files_of_a_cache_are_told_apart_and_checked(tmp_path):
    """By their key and the sources, and by a digest of what they hold."""
    files = _CacheFiles(str(tmp_path), "function", "stamp")
    files.save(("float64",), "code for float64")
    files.save(("float32",), "code for float32")
    assert files.load(("float64",)) == "code for float64"
    assert files.load(("float32",)) == "code for float32"
    assert files.load(("int64",)) is None
    assert _CacheFiles(str(tmp_path), "function", "other stamp").load(("float64",)) is None
    for path in tmp_path.iterdir():
        content = path.read_bytes()
        flipped = content[:40] + bytes([content[40] ^ 1]) + content[41:]
        for damaged in (content[:-1], content[:20], b"", flipped):
            path.write_bytes(damaged)
            assert None in (files.load(("float64",)), files.load(("float32",)))
        path.write_bytes(content)


def test_nothing_is_cached_where_nothing_is_writable(monkeypatch):
    def refuse(*args):
        raise RuntimeError("no locator available")

    monkeypatch.setattr("fastgmm.jit.cache._Cache", refuse)
    function = fastgmm.jit.decorators.entry(lambda x: x + 1)
    assert isinstance(function, numba.core.dispatcher.Dispatcher)
    assert function(1) == 2
