"""``python -m fastgmm run`` against ``python``: the same program sees and prints the same."""

import subprocess
import sys
import zipfile

import pytest

pytest.importorskip("sklearn")

PROGRAM = """\
import atexit
import sys

print(sys.argv, __name__, __file__, __package__, sys.path[0])
print(__spec__ and __spec__.name, sys.modules["__main__"].__dict__ is globals())
print([name for name in ("numpy", "numba", "sklearn") if name in sys.modules])
atexit.register(lambda: print("the end of", sys.modules["__main__"].__name__, sys.argv))


def fail():
    raise KeyError("what was asked for")


def chain():
    try:
        fail()
    except KeyError as error:
        raise ValueError("another") from error


def hook():
    sys.excepthook = lambda kind, error, trace: print(kind, trace.tb_frame.f_code.co_filename)
    fail()


def interrupt():
    raise KeyboardInterrupt


ends = {"fail": fail, "chain": chain, "hook": hook, "interrupt": interrupt}
ends |= {"code": lambda: sys.exit(7), "message": lambda: sys.exit("goodbye")}
ends.get(sys.argv[-1], int)()
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "broken.py").write_text("def (")
    for name in ("package", "application"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__main__.py").write_text(PROGRAM)
    (tmp_path / "package" / "__init__.py").touch()
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.write(tmp_path / "program.py", "__main__.py")
    return tmp_path


def run(folder, *arguments):
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        "program.py",
        "./program.py --option -m value",
        "program.py -h",
        "program.py fail",
        "program.py chain",
        "program.py hook",
        "program.py interrupt",
        "program.py code",
        "program.py message",
        "broken.py",
        "missing.py",
        "-m program a b",
        "-m package fail",
        "-m package code",
        "application fail",
        "archive.zip x",
    ],
)
def test_as_python_does(arguments, folder):
    arguments = arguments.split()
    assert run(folder, "-m", "fastgmm", "run", *arguments) == run(folder, *arguments)


def test_the_program_runs_accelerated(folder, monkeypatch):
    (folder / "third.py").write_text("from sklearn.mixture import GaussianMixture as GMM")
    (folder / "fit.py").write_text(
        "import fastgmm\n"
        "assert fastgmm.sklearn_is_patched()\n"
        "import numpy as np, third\n"
        "from sklearn.mixture import GaussianMixture\n"
        "assert third.GMM is GaussianMixture is fastgmm.GaussianMixture\n"
        "GaussianMixture(random_state=0).fit_predict(np.arange(20.0)[:, None])\n"
        "from sklearn.mixture import BayesianGaussianMixture\n"
        "BayesianGaussianMixture(random_state=0).fit(np.arange(20.0)[:, None])\n"
    )
    monkeypatch.setenv("FASTGMM_VERBOSE", "1")
    code, _, told = run(folder, "-m", "fastgmm", "run", "fit.py")
    assert code == 0
    for name in ("GaussianMixture", "BayesianGaussianMixture"):
        assert f"fastgmm: {name}.fit runs accelerated on X of shape (20, 1)\n" in told


def test_what_cannot_be_run_is_refused(folder):
    code, out, told = run(folder, "-m", "fastgmm", "run")
    assert (code, out) == (2, "")
    assert told.startswith("Usage: fastgmm run SCRIPT [ARGUMENTS]...")
    code, out, told = run(folder, "-m", "fastgmm", "run", "--help")
    assert (code, told) == (0, "")
    assert "fastgmm run -m MODULE" in out
    assert run(folder, "-m", "fastgmm", "run", "-m")[2] == (
        "Error: -m needs the name of a module: fastgmm run -m MODULE\n"
    )
    code, _, told = run(folder, "-m", "fastgmm", "run", "-q", "program.py")
    assert code == 2
    assert told.startswith("Error: run has no option -q; write options of the program after its")
