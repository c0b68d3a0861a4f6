"""EM over the ranks of MPI: each has its own rows, and only the statistics travel.

    mpirun -n 2 python examples/fit_with_mpi.py

Every rank draws 50,000 rows here; a program of yours reads its part of the data instead. Needs
mpi4py.
"""

import numpy as np
from mpi4py import MPI

import fastgmm

comm = MPI.COMM_WORLD
draw = np.random.default_rng(comm.rank)
centers = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])
X = draw.normal(size=(50_000, 2)) + centers[draw.integers(3, size=50_000)]

few = comm.gather(X[draw.choice(len(X), 1000)])  # a start from a few rows of each rank
start = fastgmm.fit(np.concatenate(few), 3, random_state=0) if comm.rank == 0 else None
mixture, before = comm.bcast(start), -np.inf
for _ in range(100):
    parts = comm.gather(fastgmm.statistics(X, mixture))  # in the order of the ranks
    if comm.rank == 0:
        mixture = mixture.updated(sum(parts, start=fastgmm.Statistics.none()))
    mixture = comm.bcast(mixture)
    if abs(mixture.log_likelihoods[-1] - before) < 1e-5:
        break
    before = mixture.log_likelihoods[-1]

if comm.rank == 0:
    print(f"{comm.size} ranks, log-likelihood a row {before:.4f}")
    print(np.round(mixture.means[np.argsort(mixture.means @ [1.0, 2.0])], 2))
