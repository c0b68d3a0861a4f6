"""Fuzz target: `fastgmm.load` of any bytes gives a valid mixture or a `ModelFileError`."""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["fastgmm", "zipfile"]):
    import zipfile

    import fastgmm
    import fastgmm.model.model_file

import numpy as np

# A changed byte would nearly always end at the checksum of its member: let it pass, so that what
# lies behind is tried.
zipfile.ZipExtFile._update_crc = lambda self, data: None

PATH = Path(tempfile.mkdtemp()) / "model.npz"


def try_bytes(content: bytes) -> None:
    PATH.write_bytes(content)
    try:
        mixture = fastgmm.load(PATH)
    except fastgmm.ModelFileError:
        return
    assert mixture.means.size > 0
    for name in ("weights", "means", "covariances", "precisions_cholesky", "log_likelihoods"):
        assert np.isfinite(getattr(mixture, name)).all(), name
    assert abs(mixture.weights.sum() - 1.0) < 1e-5


if __name__ == "__main__":
    atheris.Setup(sys.argv, try_bytes)
    atheris.Fuzz()
