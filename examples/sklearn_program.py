"""A program that knows scikit-learn and nothing of fastgmm. It runs as it is, and fast by

fastgmm run examples/sklearn_program.py
"""

import time

import numpy as np
from sklearn.datasets import make_blobs
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

X, _ = make_blobs(60_000, n_features=8, centers=6, cluster_std=3.0, random_state=0)

begin = time.perf_counter()
model = make_pipeline(StandardScaler(), GaussianMixture(n_components=6, random_state=0))
labels = model.fit(X).predict(X)
seconds = time.perf_counter() - begin

print(f"{np.bincount(labels).tolist()} rows in the clusters")
print(f"log-likelihood {model.score(X):.6f} per row, {model[-1].n_iter_} iterations")
print(f"{seconds:.2f} seconds")
