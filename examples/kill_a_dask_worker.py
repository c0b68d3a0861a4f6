"""A fit on a Dask cluster whose worker is killed in the middle has the same bits.

    python examples/kill_a_dask_worker.py

The rows are in 100 partitions on two workers. The fit runs undisturbed, then with a worker that is
killed after the third iteration: Dask starts another one and draws its partitions again. Needs
fastgmm[dask].
"""

import os
import signal

import dask.array as da
import distributed
import numpy as np

import fastgmm


def rows(block_info=None):
    """Draw a partition, the same every time."""
    draw = np.random.default_rng(block_info[None]["chunk-location"][0])
    centers = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])
    return draw.normal(size=(1000, 2)) + centers[draw.integers(3, size=1000)]


def kill_at_3(iteration, _):
    """Kill one of the workers after the third iteration."""
    if iteration == 3:
        worker = next(iter(client.run(os.getpid).values()))
        os.kill(worker, signal.SIGKILL)
        print("killed a worker")


if __name__ == "__main__":
    X = da.map_blocks(rows, chunks=((1000,) * 100, (2,)), dtype=float)
    options = {"n_components": 3, "random_state": 0, "init_params": "kmeans", "tol": 1e-9}
    processes = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**processes) as local, distributed.Client(local) as client:
        undisturbed = fastgmm.fit(X, **options)
        disturbed = fastgmm.fit(X, callback=kill_at_3, **options)
    print(f"{undisturbed.n_iter} iterations, log-likelihood {undisturbed.log_likelihood:.6f}")
    print("the same bits:", undisturbed == disturbed)
