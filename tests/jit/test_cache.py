"""The compilation cache: no edit of a kernel source can run stale machine code."""

import re
import shutil
from pathlib import Path

import numba
import pytest

import fastgmm
from fastgmm.jit import decorators, numba_internals, registry
from fastgmm.jit.cache import CodeFiles, file_stem, kernel_digest

PACKAGE = Path(fastgmm.__file__).parent

DOUBLE = """
import sys
from fastgmm.jit import numba_internals, registry
numba_internals.SOURCE_STAMP = sys.argv[1]
import cached_function
print(cached_function.double(21), len(registry.loaded_from_cache()))
"""

fast = pytest.mark.skipif(not numba_internals.enabled(), reason="the plain path is taken")


def test_the_digest_covers_every_file_that_is_compiled():
    decorated = re.compile(r"^ *@(jit|jit_sum|entry|intrinsic)\b", re.MULTILINE)
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


@fast
def test_machine_code_of_other_sources_is_not_used_and_removed(programs):
    (programs.folder / "cached_function.py").write_text(
        "from fastgmm.jit.decorators import entry\n\n\n@entry\ndef double(x):\n    return 2 * x\n"
    )
    seen = []
    for stamp in ("a", "a", "b", "b", "a"):
        assert programs.run("-c", DOUBLE, stamp) == [f"42 {stamp in seen[-1:]:d}"]
        seen.append(stamp)
        assert len(programs.codes()) == 1


@pytest.mark.parametrize("internals", ["0", "1"])
def test_machine_code_of_two_processes_does_not_mix(programs, internals):
    """Numba counts functions from zero in each process, so helpers of both may be named alike."""
    run = [
        programs.run("family.py", *names, FASTGMM_NUMBA_INTERNALS=internals)[-2:]
        for names in ("0", "1", "2", "012", "210")
    ]
    assert run == [
        ["4.0", "0 1"],
        ["6.0", "0 1"],
        ["6.0", "0 1"],
        ["4.0 6.0 6.0", "3 0"],
        ["6.0 6.0 4.0", "3 0"],
    ]
    assert len(programs.codes()) == 3


def test_an_edit_of_a_kernel_elsewhere_is_noticed(programs):
    """A kernel of a program's own, captured by one of ours or called by it, in another file."""
    helper = programs.folder / "helper.py"
    (programs.folder / "program.py").write_text(
        "from fastgmm.jit import registry\n"
        "from fastgmm.jit.decorators import entry\n"
        "from helper import outer\n\n\n"
        "@entry\ndef kernel(x):\n    return outer(x)\n\n\n"
        "print(kernel(2.0), len(registry.loaded_from_cache()))\n"
    )
    printed = []
    for factor in (3, 3, 4):
        helper.write_text(
            "from fastgmm.jit.decorators import jit\n\n\n"
            f"@jit\ndef inner(x):\n    return {factor} * x\n\n\n"
            "@jit\ndef outer(x):\n    return inner(x)\n"
        )
        printed += programs.run("program.py", PYTHONDONTWRITEBYTECODE="1")
    assert printed == ["6.0 0", "6.0 1", "8.0 0"]


def test_kernels_are_compiled_where_numba_is_told_to_compile_nothing(programs):
    """Their intrinsics are nothing in Python; whoever sets this debugs other code."""
    program = (
        "import family, numba; f = family.times; print(*family.results('02'), numba.njit(f) is f)"
    )
    assert programs.run("-c", program, NUMBA_DISABLE_JIT="1") == ["4.0 6.0 True"]


def test_files_are_told_apart_and_checked(tmp_path):
    """By their key and the sources, and by a digest of what they hold."""
    files = CodeFiles(tmp_path, "function", "stamp")
    files.save(("float64",), b"code for float64")
    files.save(("float32",), b"code for float32")
    assert files.load(("float64",)) == b"code for float64"
    assert files.load(("float32",)) == b"code for float32"
    assert files.load(("int64",)) is None
    assert CodeFiles(tmp_path, "function", "other stamp").load(("float64",)) is None
    for path in tmp_path.iterdir():
        content = path.read_bytes()
        flipped = content[:40] + bytes([content[40] ^ 1]) + content[41:]
        for damaged in (content[:-1], content[:20], b"", flipped):
            path.write_bytes(damaged)
            assert None in (files.load(("float64",)), files.load(("float32",)))
        path.write_bytes(content)


def test_code_of_older_sources_is_removed_and_nothing_else(tmp_path):
    old, new = (CodeFiles(tmp_path, "m.f-py311", stamp) for stamp in ("old", "new"))
    others = [
        CodeFiles(tmp_path, "m.f-py312", "old"),
        CodeFiles(tmp_path, "m.f.g-py311", "old"),
        CodeFiles(tmp_path, "m.ff-py311", "old"),
    ]
    for files in (old, *others):
        files.save("float64", b"old code")
    old.save("float32", b"old code")
    unfinished = tmp_path / (old.path("float32").name + ".tmp.0123456789abcdef")
    foreign = [tmp_path / "m.f-py311.nbi", tmp_path / "m.f-3.py311.1.nbc", tmp_path / "notes.txt"]
    for path in (unfinished, *foreign):
        path.write_bytes(b"")
    new.save("float64", b"new code")
    new.save("float64, another processor", b"new code")
    assert old.load("float64") is old.load("float32") is None
    assert not unfinished.exists()
    assert new.load("float64") == b"new code"
    assert all(files.load("float64") == b"old code" for files in others)
    assert all(path.exists() for path in foreign)
    assert len(list(tmp_path.iterdir())) == 2 + len(others) + len(foreign)


def test_removal_takes_no_harm_from_other_processes(tmp_path, monkeypatch):
    """Another process may remove the same files, or the folder."""
    old, new = (CodeFiles(tmp_path, "m.f", stamp) for stamp in ("old", "new"))
    old.save("float64", b"old code")
    unlink = Path.unlink

    def unlink_twice(path):
        unlink(path)
        unlink(path)

    monkeypatch.setattr(Path, "unlink", unlink_twice)
    new.save("float64", b"new code")
    assert new.load("float64") == b"new code"
    assert old.load("float64") is None


def test_file_names_hold_only_what_every_system_takes():
    def factory():
        return lambda: None

    stem = file_stem(factory())
    assert re.fullmatch(r"test_cache\.test_file_\w+\.locals\.factory\.locals\.lambda-py\d+t?", stem)


@fast
def test_nothing_is_cached_where_nothing_is_writable(monkeypatch):
    def refuse(*args):
        raise RuntimeError("no locator available")

    monkeypatch.setattr("fastgmm.jit.numba_internals._Cache", refuse)
    function = decorators.entry(lambda x: x + 1)
    assert registry.find(function).fast
    assert isinstance(function, type(numba.njit(lambda: 0)))
    assert function.stats.cache_path is None
    assert function(1) == 2


def test_time_for_compilation_is_counted_once_and_for_its_thread(programs):
    program = (
        "import family, threading, time\n"
        "from fastgmm.jit.registry import compiling_seconds\n"
        "spent = [compiling_seconds()]\n"
        "begin = time.perf_counter()\n"
        "for names in '0', '00':\n"
        "    family.results(names)\n"
        "    spent.append(compiling_seconds())\n"
        "took = time.perf_counter() - begin\n"
        "other = threading.Thread(target=lambda: print(compiling_seconds()))\n"
        "other.start()\n"
        "other.join()\n"
        "print(spent[0], 0.5 < spent[1] / took < 1.0, spent[1] == spent[2])\n"
    )
    assert programs.run("-c", program) == ["0.0", "0.0 True True"]
