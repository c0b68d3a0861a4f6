"""Fit a file from Python: choose a mixture for Old Faithful, and see what it says.

    python examples/fit_a_file.py [DATA.csv]

Writes `fit_a_file.png` and `fit_a_file.npz` to the working folder. A file of your own has a line
of names and then numbers.
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np

import fastgmm

matplotlib.use("Agg")

data = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("old_faithful.csv")
names = data.read_text().partition("\n")[0].split(",")
X = np.loadtxt(data, delimiter=",", skiprows=1, ndmin=2)

selection = fastgmm.select(X, n_components=range(1, 7), random_state=0)
mixture = selection.best
print(f"{len(X)} rows; the best of {len(selection)} mixtures by BIC: {selection.winner.name}")
for k in np.argsort(-mixture.weights):
    center = ", ".join(f"{name} {x:.3g}" for name, x in zip(names, mixture.means[k], strict=True))
    print(f"component {k}: {mixture.weights[k]:.1%} of the rows, around {center}")

strangest = int(np.argmin(mixture.score_samples(X)))
print(f"the row it would expect least: {strangest}, {X[strangest].tolist()}")

mixture.save("fit_a_file.npz")
mixture.plot(X, names=names).figure.savefig("fit_a_file.png", dpi=150)
print("wrote fit_a_file.npz and fit_a_file.png")
