"""Fit a file of any size, and print the speed of a pass beside that of reading the file alone.

    python tools/beyond_memory.py --rows 350_000_000          26 GiB, larger than most memories
    python tools/beyond_memory.py --rows 2_000_000 --passes 3 only checks that it runs

The file is written in blocks: rows of 10 features around 8 centers, as .npy or as Parquet. The
passes are EM iterations with 8 full components from a fixed start. Reading alone means the same
reader, and for .npy also plain reads of the bytes. The file's pages in the system's cache are
given up before each pass, as far as the system does so. The peak of anonymous memory is sampled
from Linux's account of the process, and counts from the start of the passes.
"""

import argparse
import os
import sys
import threading
import time
from pathlib import Path
from statistics import median

import numpy as np

import fastgmm
from fastgmm.em.models import MaximumLikelihood
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.readers.paths import open_paths
from fastgmm.sources.blocks import BlockSource

N_FEATURES, N_COMPONENTS = 10, 8
BLOCK_ROWS = 1_000_000
READ_BYTES = 2**24


def blocks(n_rows):
    """Yield blocks of rows, the same every time."""
    draw = np.random.default_rng(0)
    centers = 6.0 * draw.standard_normal((N_COMPONENTS, N_FEATURES))
    for begin in range(0, n_rows, BLOCK_ROWS):
        labels = draw.integers(N_COMPONENTS, size=min(BLOCK_ROWS, n_rows - begin))
        yield draw.standard_normal((len(labels), N_FEATURES)) + centers[labels]


def write(path, n_rows):
    if path.suffix == ".npy":
        header = {"descr": "<f8", "fortran_order": False, "shape": (n_rows, N_FEATURES)}
        with path.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for X in blocks(n_rows):
                file.write(X.data)
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(f"c{j}", pa.float64()) for j in range(N_FEATURES)])
    with pq.ParquetWriter(path, schema, use_dictionary=False) as writer:
        for X in blocks(n_rows):
            writer.write_table(pa.table(list(X.T.copy()), schema=schema))


def forget(path):
    """Drop the file's pages from the system's cache."""
    file = os.open(path, os.O_RDONLY)
    os.fsync(file)
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(file)


def read_bytes(path):
    buffer = bytearray(READ_BYTES)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def read_rows(path):
    """Run the reader and touch every page of its blocks."""
    for block in open_paths(path).blocks():
        block.values.ravel()[:: 4096 // 8].sum()


class Peak:
    """The peak of anonymous memory while a block of code runs, in MiB above that at its start."""

    def __enter__(self):
        self._before = self.mib = self._now()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self):
        while not self._ended.wait(0.01):
            self.mib = max(self.mib, self._now())

    def __exit__(self, *error):
        self._ended.set()
        self._thread.join()
        self.mib -= self._before

    @staticmethod
    def _now():
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024


def measure(path, n_passes):
    """Print the seconds of passes and of reading, which take turns."""
    first = next(blocks(BLOCK_ROWS // 10))
    options = {"random_state": 0, "init_params": "kmeans", "tol": 1e9}
    mixture = fastgmm.fit(first, N_COMPONENTS, **options)
    model = MaximumLikelihood(COVARIANCE_TYPES["full"], 1e-6)
    with Peak() as peak:
        source, parameters = BlockSource(open_paths(path)), mixture._parameters
        works = {
            "pass of EM": lambda: source.statistics(model, parameters),
            "the reader alone": lambda: read_rows(path),
            "the bytes alone": lambda: read_bytes(path),
        }
        seconds = {name: [] for name in works}
        for _ in range(n_passes):
            for name, work in works.items():
                forget(path)
                begin = time.perf_counter()
                work()
                seconds[name].append(time.perf_counter() - begin)
    size = path.stat().st_size
    medians = {name: median(values) for name, values in seconds.items()}
    print(f"{path.name}: {source.n_samples} rows, {size / 2**30:.3g} GiB, {n_passes} rounds")
    for name, value in medians.items():
        share = value / medians["pass of EM"]
        print(f"  {name:17} {value:8.3f} s {size / value / 2**30:7.2f} GiB/s", end="")
        print("" if name == "pass of EM" else f"; a pass has {share:.0%} of its speed")
    print(f"  anonymous memory  {peak.mib:8.0f} MiB at the peak, above the start")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=350_000_000)
    parser.add_argument("--kind", choices=["npy", "parquet"], nargs="+", default=["npy", "parquet"])
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where to write the file")
    arguments = parser.parse_args()
    for kind in arguments.kind:
        path = arguments.folder / f"beyond_memory.{kind}"
        if path.exists():
            sys.exit(f"{path} exists; remove it, or choose another folder.")
        try:
            write(path, arguments.rows)
            measure(path, arguments.passes)
        finally:
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
