"""Run the tests of the kernels for 64-bit Arm processors under QEMU's user-mode emulation.

    python tools/emulate.py                          in a temporary folder
    python tools/emulate.py --folder arm64           in a folder that is used again
    python tools/emulate.py -- tests/kernels         other tests, or other options of pytest

The folder receives Debian's Python for arm64 with the libraries that it needs, unpacked and not
installed, and the published aarch64 wheels of NumPy, Numba, SciPy and pytest: 150 MB to download,
600 MB unpacked. Nothing else on the machine changes. Everything is emulated, the compiler too, so
compiling a pass of EM takes minutes. Machine code is kept in the folder.

It needs qemu-aarch64-static, apt-get, dpkg-deb and pip. Where one of them is missing, the script
says how to install it, and ends with code 0, as a skipped test does.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NEEDED = {
    "qemu-aarch64-static": "apt install qemu-user-static",
    "apt-get": "a Debian system, whose packages the emulated Python is made of",
    "dpkg-deb": "a Debian system, whose packages the emulated Python is made of",
}
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUITE, PYTHON = "bookworm", "3.11"  # Debian's release, and its Python
WHEELS = ("numpy", "numba", "scipy", "pytest", "mpmath", "hypothesis")
PLATFORMS = ("manylinux2014_aarch64", "manylinux_2_27_aarch64", "manylinux_2_28_aarch64")
VERSIONS = """
import platform, numba, numpy
print(platform.machine(), "Python", platform.python_version(), end=" ")
print("Numba", numba.__version__, "NumPy", numpy.__version__, flush=True)
"""
CHECKOUT = Path(__file__).resolve().parents[1]
TESTS = (  # blocks of registers, tiles, a pass of each covariance type, and one that skips
    "tests/kernels/test_micro.py",
    "tests/kernels/test_tiles.py",
    "tests/kernels/test_passes.py::test_merged_sums_are_the_sums_of_all",
    "tests/sources/test_skipping.py::test_separated_clusters[float64-full]",
)


def missing():
    """Return what is missing, each with how to install it."""
    lacks = [f"{name}: {how}" for name, how in NEEDED.items() if shutil.which(name) is None]
    if not KEYRING.exists():
        lacks.append(f"{KEYRING}: apt install debian-archive-keyring")
    return lacks


def unpack_python(folder):
    """Unpack Debian's Python for arm64, and all that it depends on, into a folder.

    apt-get runs with a state of its own, in which nothing is installed, so it downloads everything.
    """
    state = folder / "apt"
    for part in ("lists/partial", "archives/partial"):
        (state / part).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    source = f"deb [signed-by={KEYRING}] http://deb.debian.org/debian {SUITE} main\n"
    (state / "sources.list").write_text(source)
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures::": "arm64",
        "APT::Sandbox::User": "root",
        "Dir::Etc::sourcelist": state / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State": state,
        "Dir::State::status": state / "status",
        "Dir::Cache": state,
    }
    options = [f"-o{name}={value}" for name, value in settings.items()]
    subprocess.run(["apt-get", *options, "-qq", "update"], check=True)
    packages = [f"python{PYTHON}", "libstdc++6"]
    subprocess.run(
        ["apt-get", *options, "-qq", "--yes", "--no-install-recommends", "--download-only",
         "install", *packages], check=True,
    )  # fmt: skip
    for package in sorted((state / "archives").glob("*.deb")):
        subprocess.run(["dpkg-deb", "--extract", package, folder / "root"], check=True)


def install_wheels(folder):
    """Unpack the published wheels for aarch64 into a folder."""
    platforms = [f"--platform={name}" for name in PLATFORMS]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary=:all:", *platforms,
         f"--python-version={PYTHON}", "--implementation=cp", f"--target={folder / 'wheels'}",
         *WHEELS], check=True,
    )  # fmt: skip


def prepare(folder):
    """Make the emulated Python, unless the folder has it already."""
    done = folder / "complete"
    if not done.exists():
        unpack_python(folder)
        install_wheels(folder)
        done.touch()


def emulated(folder, *arguments):
    """Run the emulated Python; return its exit code."""
    root = folder / "root"
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(folder / "cache"),
        "NUMBA_NUM_THREADS": "1",  # helper processes would not be emulated
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONPATH": os.pathsep.join((str(CHECKOUT), str(folder / "wheels"))),
    }
    for name in ("OPENBLAS_CORETYPE", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"):
        environment.pop(name, None)  # they name x86 processors
    python = root / "usr" / "bin" / f"python{PYTHON}"
    command = ["qemu-aarch64-static", "-L", root, python, *arguments]
    return subprocess.run(command, cwd=CHECKOUT, env=environment).returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where the emulated Python is or will be")
    parser.add_argument("tests", nargs="*", default=TESTS, help="arguments of pytest, after --")
    arguments = parser.parse_args()
    if lacks := missing():
        print("Skipped, because something is missing:", *lacks, sep="\n  ")
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).resolve()
        prepare(folder)
        show = (
            "import platform, numba, numpy; print(platform.machine(), platform.python_version(), "
        )
        emulated(folder, "-c", f"{show}'numba', numba.__version__, 'numpy', numpy.__version__)")
        # pytest-xdist, which the project's options want, would start processes of its own.
        return emulated(
            folder, "-m", "pytest", "-o", "addopts=-ra", "-p", "no:cacheprovider",
            "--durations=5", *arguments.tests,
        )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
