"""Threads, processes, interrupts and caches: whatever a program does around a fit, it works.

Each program runs in a process of its own, which must end by itself, with nothing on its standard
error. ``FASTGMM_LONG_TESTS=1`` gives the first one 20 s instead of one.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import fastgmm

PACKAGE = Path(fastgmm.__file__).parent
LONG = os.environ.get("FASTGMM_LONG_TESTS") == "1"

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork, no signals")

HEAD = """
import hashlib, os, sys, threading, time
import numpy as np
import fastgmm, fastgmm.jit.threads
fastgmm.jit.threads.PARALLEL_WORK = 0

X = np.random.default_rng(0).standard_normal((12_011, 3))
X[::3] += 4.0

def digest(covariance_type="full", dtype=np.float64, n_threads=2, **options):
    data = X.astype(dtype)
    mixture = fastgmm.fit(
        data, 3, covariance_type=covariance_type, random_state=0, tol=1e-2, n_threads=n_threads,
        **options,
    )
    arrays = mixture.weights, mixture.means, mixture.covariances, mixture.predict_proba(data)
    return hashlib.sha256(b"".join(map(np.ndarray.tobytes, arrays))).hexdigest()
"""


def run(program, *arguments, threads="3", timeout=120, **environment):
    """Run a program in a process of its own; give what it printed."""
    inherited = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment = {
        **inherited,  # without OMP_NUM_THREADS, which would keep BLAS from starting threads
        "NUMBA_NUM_THREADS": threads,
        "PYTHONPATH": str(PACKAGE.parent),
        **environment,
    }
    result = subprocess.run(
        [sys.executable, "-W", "error", *(arguments or ["-c", HEAD + program])],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment,
        cwd=tempfile.gettempdir(),  # where no package lies
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    return result.stdout


LAYERS = """
import numba
@numba.njit(parallel=True)
def total(values):
    result = 0.0
    for i in numba.prange(values.size):
        result += values[i]
    return result
assert total(np.ones(100)) == 100.0
"""

EIGHT_THREADS = """
from concurrent.futures import ThreadPoolExecutor

X = X[::4].copy()
kinds = [(c, d) for c in ("full", "tied", "diag", "spherical") for d in (np.float64, np.float32)]
start = {"init_params": "START"}
alone = [digest(*kind, **start) for kind in kinds]
shared = fastgmm.fit(X, 3, random_state=0, tol=1e-2, **start)
answers = shared.predict(X), shared.score_samples(X), shared.predict_proba(X)
end = time.monotonic() + SECONDS

def work(n):
    rounds = 0
    while time.monotonic() < end or not rounds:
        assert digest(*kinds[n], n_threads=1 + rounds % 3, **start) == alone[n]
        asked = shared.predict(X), shared.score_samples(X), shared.predict_proba(X)
        assert all(map(np.array_equal, asked, answers))
        rounds += 1
    return rounds

with ThreadPoolExecutor(8) as pool:
    assert min(pool.map(work, range(8))) > 0
"""


@pytest.mark.parametrize("layer", ["none", "omp", "workqueue", "tbb"])
def test_eight_threads_at_once(layer):
    """On one and on different models, beside each of Numba's threading layers."""
    program = EIGHT_THREADS.replace("SECONDS", "20" if LONG else "0.5")
    if layer == "none":
        run(program.replace("START", "auto"))
        return
    program = program.replace("START", "kmeans")
    available = {"tbb": "numba.np.ufunc.tbbpool", "omp": "numba.np.ufunc.omppool"}
    if layer in available:
        pytest.importorskip(available[layer], exc_type=ImportError)
    run(LAYERS + program, NUMBA_THREADING_LAYER=layer)


@posix
def test_fork_after_a_fit():
    """The child fits, its own child fits, and the parent goes on."""
    run("""
alone = digest()
for _ in range(3):
    child = os.fork()
    if child == 0:
        grandchild = os.fork()
        same = digest() == alone
        status = os.waitpid(grandchild, 0)[1] if grandchild else 0
        os._exit(0 if same and not status else 1)
    assert digest() == alone
    assert os.waitpid(child, 0)[1] == 0
""")


@posix
def test_fork_while_others_fit():
    """The child of one thread is whole, whatever the other threads were doing."""
    run("""
alone = digest()
stop = threading.Event()
failures = []

def work():
    while not stop.is_set():
        if digest() != alone:
            failures.append(1)

threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: the threads are the program's
for _ in range(8):
    child = os.fork()
    if child == 0:
        os._exit(0 if digest() == alone else 1)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
for thread in threads:
    thread.join()
assert not failures
""")


POOLS = (
    HEAD
    + """
from concurrent.futures import ProcessPoolExecutor
import multiprocessing

if __name__ == "__main__":
    alone = digest()
    context = multiprocessing.get_context(sys.argv[1])
    if sys.argv[2] == "Pool":
        with context.Pool(2) as pool:
            assert pool.map(digest, ["full"] * 4) == [alone] * 4
            pool.close()
            pool.join()
    else:
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            assert list(pool.map(digest, ["full"] * 4)) == [alone] * 4
    assert digest() == alone
"""
)


@pytest.mark.parametrize(
    ("method", "pool"),
    [("fork", "Pool"), ("fork", "Executor"), ("forkserver", "Executor"), ("spawn", "Pool")],
)
def test_pools_of_processes(method, pool, tmp_path):
    import multiprocessing

    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    (tmp_path / "program.py").write_text(POOLS)
    run("", str(tmp_path / "program.py"), method, pool)


def test_joblib():
    """Its processes and its threads, with few and with many threads to a fit."""
    pytest.importorskip("joblib")
    run("""
from joblib import Parallel, delayed
alone = digest()
for prefer in ("processes", "threads"):
    found = Parallel(n_jobs=2, prefer=prefer)(delayed(digest)(n_threads=n) for n in (1, 2, 3, 64))
    assert found == [alone] * 4
from joblib.externals.loky import get_reusable_executor
get_reusable_executor().shutdown()
""")


def test_inside_a_parallel_program_of_the_users_own():
    """A kernel of the user's own calls Python, which fits, while its threads are at work."""
    run("""
import numba
alone = digest()

def fitted():
    found.append(digest(n_threads=None))

found = []

@numba.njit(parallel=True)
def program(values):
    for i in numba.prange(values.size):
        values[i] = np.sqrt(values[i])
    with numba.objmode():
        fitted()
    total = 0.0
    for i in numba.prange(values.size):
        total += values[i]
    return total

before = numba.get_num_threads(), numba.threading_layer() if found else None
assert program(np.full(1000, 4.0)) == 2000.0
assert found == [alone]

threads = [threading.Thread(target=program, args=(np.ones(10),)) for _ in range(1)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert found == [alone] * 2
assert numba.get_num_threads() == before[0]
""")


@pytest.mark.parametrize("threads", ["1", "2"])
def test_few_threads_to_use(threads):
    """The caller's setting is obeyed, and is what it was."""
    run(
        f"""
import numba
alone = digest(n_threads=1)
assert digest(n_threads=64) == digest(n_threads=None) == alone
numba.set_num_threads(1)
submit = fastgmm.jit.threads._helpers.submit
fastgmm.jit.threads._helpers.submit = None  # nobody may ask for help
assert digest(n_threads=None) == alone
assert numba.get_num_threads() == 1
fastgmm.jit.threads._helpers.submit = submit
assert digest(n_threads=64) == alone
assert numba.get_num_threads() == 1
assert numba.config.NUMBA_NUM_THREADS == {threads}
""",
        threads=threads,
    )


def test_where_no_thread_can_be_started():
    """The calling thread does all, and so it does when Python is ending."""
    out = run("""
import atexit
alone = digest(n_threads=1)

def refuse(self):
    raise RuntimeError("can't start new thread")

start = threading.Thread.start
threading.Thread.start = refuse
assert digest() == alone
threading.Thread.start = start
assert digest() == alone
atexit.register(lambda: print(digest() == alone))
""")
    assert out == "True\n"


def test_data_that_another_thread_changes():
    """No index comes from the data, so nothing worse can happen than an error or nonsense."""
    run("""
import warnings
warnings.simplefilter("ignore")
stop = threading.Event()
weight = np.ones(len(X))
clean = X.copy()

def scribble():
    draw = np.random.default_rng(1)
    while not stop.is_set():
        rows = draw.integers(len(X), size=20)
        X[rows] = draw.choice([0.0, np.nan, np.inf, -np.inf, 1e308, 5e-324], size=(20, 1))
        weight[rows] = draw.choice([0.0, np.nan, -1.0, 1e308], size=20)
        time.sleep(1e-4)
        X[:], weight[:] = clean, 1.0
        time.sleep(draw.uniform(0.0, 3e-3))

thread = threading.Thread(target=scribble, daemon=True)
thread.start()
outcomes = {"fitted": 0, "refused": 0}
end = time.monotonic() + 2.0
while time.monotonic() < end:
    for covariance_type in ("full", "tied", "diag", "spherical"):
        for init_params in ("kmeans", "k-means++", "random", "random_from_data"):
            for on_collapse in ("regularize", "reset"):
                try:
                    fastgmm.fit(
                        X, 5, covariance_type=covariance_type, init_params=init_params,
                        sample_weight=weight, on_collapse=on_collapse, max_iter=5, n_threads=2,
                    )
                    outcomes["fitted"] += 1
                except Exception:
                    outcomes["refused"] += 1
stop.set()
thread.join()
assert outcomes["fitted"], outcomes
X[:] = clean
assert digest() == digest()
""")


INTERRUPTED = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
alone = digest()
large = np.random.default_rng(0).standard_normal((ROWS, 10))
print("ready", flush=True)
for n_threads in (1, 2):
    print("fitting", flush=True)
    try:
        fastgmm.fit(large, 20, tol=0.0, max_iter=10**6, n_threads=n_threads, init_params="random",
                    callback=lambda n, _: n == 1 and print("going", flush=True))
        raise SystemExit("the fit was not interrupted")
    except KeyboardInterrupt:
        print("stopped", flush=True)
    # Nobody is still at work: the processor's time stands still.
    before = time.process_time()
    time.sleep(0.2)
    assert time.process_time() - before < 0.1
    assert digest() == alone
"""


@posix
def test_an_interrupt_stops_a_long_fit():
    """Nobody is left at work, and the process goes on as before.

    How soon is printed by the long version: within a second at 5,000,000 rows.
    """
    rows = 5_000_000 if LONG else 300_000
    program = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", HEAD + INTERRUPTED.replace("ROWS", str(rows))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent), "NUMBA_NUM_THREADS": "2"},
    )
    for line in program.stdout:
        if line == "going\n":
            time.sleep(0.3)
            program.send_signal(signal.SIGINT)
            sent = time.monotonic()
        if line == "stopped\n":
            print(f"{rows} rows: stopped after {time.monotonic() - sent:.2f} s")
    errors = program.stderr.read()
    program.stderr.close()
    program.stdout.close()
    assert (program.wait(), errors) == (0, "")


# --- caches


LIBRARY = """
import numpy as np
import fastgmm
X = np.arange(40.0).reshape(-1, 2) ** 2
mixture = fastgmm.Mixture.from_parameters([1.0], [[0.0, 1.0]], [np.cov(X.T)])
print(mixture.precisions_cholesky.sum().round(12))
if LONG:
    print(fastgmm.fit(X, 2, random_state=0).means.round(12).tolist())
"""
KERNEL = "from fastgmm.jit.decorators import entry\n\n\n@entry\ndef double(x):\n    return 2 * x\n"
DOUBLE = "import cached_function; print(cached_function.double({}))"


@pytest.fixture
def kernel(tmp_path):
    """Run a program that doubles a number in a cached kernel of its own; give what it prints."""
    (tmp_path / "cached_function.py").write_text(KERNEL)
    environment = {
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(PACKAGE.parent)]),
    }
    return lambda number, head="": run("", "-c", head + DOUBLE.format(number), **environment)


def codes(folder):
    """Files of machine code, and what might be left of unfinished ones."""
    return sorted(folder.rglob("*.nbc")), list(folder.rglob("*.tmp.*"))


def test_processes_that_fill_an_empty_cache_at_once(kernel, tmp_path):
    """Each finds its own code there, whatever the others keep at that moment."""
    with ThreadPoolExecutor(2) as pool:
        for _ in range(2):
            assert list(pool.map(kernel, ["21", "2.5"])) == ["42\n", "5.0\n"]
    files, unfinished = codes(tmp_path)
    assert len(files) == 2
    assert not unfinished


@posix
def test_a_full_disk_while_caching(kernel, tmp_path):
    """Files end at 4 KiB, in which no kernel has room."""
    head = (
        "import resource, signal;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
    )
    assert kernel(21, head) == "42\n"
    assert codes(tmp_path) == ([], [])
    assert kernel(21) == "42\n"
    assert len(codes(tmp_path)[0]) == 1


def test_an_install_that_nobody_can_write_to(tmp_path):
    """Neither beside the sources nor in the home folder can anything be kept."""
    package = tmp_path / "fastgmm"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in (package, *(path for path in package.rglob("*") if path.is_dir())):
        (folder / "__pycache__").write_text("not a folder")
    home = tmp_path / "home"
    home.write_text("not a folder")
    environment = {"HOME": str(home), "XDG_CACHE_HOME": str(home), "PYTHONPATH": str(tmp_path)}
    program = LIBRARY.replace("LONG", str(LONG)) + "print(fastgmm.__file__)"
    *here, _ = run("", "-c", program).splitlines()
    *there, path = run("", "-c", program, **environment).splitlines()
    assert (there, path) == (here, str(package / "__init__.py"))
    assert not list(tmp_path.rglob("*.nb?"))


@pytest.mark.skipif(not LONG, reason="compiles the library three times over")
def test_two_processes_that_compile_the_library_at_once(tmp_path):
    plain = run("print(digest(), digest('diag', np.float32))")
    program = HEAD + "print(digest(), digest('diag', np.float32))"
    with ThreadPoolExecutor(2) as pool:
        both = [
            pool.submit(run, "", "-c", program, timeout=600, NUMBA_CACHE_DIR=str(tmp_path))
            for _ in range(2)
        ]
        assert [one.result() for one in both] == [plain, plain]
    files, unfinished = codes(tmp_path)
    assert files
    assert not unfinished
    for path in files[::2]:
        path.write_bytes(path.read_bytes()[:-1])
    assert run("", "-c", program, timeout=600, NUMBA_CACHE_DIR=str(tmp_path)) == plain
