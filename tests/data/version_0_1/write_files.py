"""Write the pickles and model files of this folder with an installed fastgmm 0.1.

python tests/data/version_0_1/write_files.py

The files are kept as they are: run this script only with the version that the folder names.
"""

import pickle
from pathlib import Path

import numpy as np

import fastgmm
from fastgmm.sklearn import GaussianMixture

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[2] / "examples"
COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")


def write_pickle(name, value):
    (HERE / f"{name}.pickle").write_bytes(pickle.dumps(value, protocol=4))


def main():
    if not fastgmm.__version__.startswith("0.1."):
        raise SystemExit(f"fastgmm {fastgmm.__version__} is installed, not 0.1")
    X = np.loadtxt(EXAMPLES / "old_faithful.csv", delimiter=",", skiprows=1)
    for covariance_type in COVARIANCE_TYPES:
        mixture = fastgmm.fit(X, 2, covariance_type=covariance_type, random_state=0)
        mixture.save(HERE / f"{covariance_type}.npz")
    write_pickle("mixture", fastgmm.fit(X, 2, random_state=0))
    write_pickle("selection", fastgmm.select(X, [1, 2], ["full", "tied"], random_state=0))
    write_pickle("estimator", GaussianMixture(2, random_state=0).fit(X))
    # The class of scikit-learn itself: it was fitted before the patch, and pickled under it.
    theirs = GaussianMixture.__base__(2, random_state=0).fit(X)
    with fastgmm.patch_sklearn():
        write_pickle("sklearn_under_patch", theirs)


if __name__ == "__main__":
    main()
