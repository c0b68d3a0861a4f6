"""Model files: an ``.npz`` archive of plain arrays, read without pickle and checked in full.

The archive is not compressed, so nothing in it can be larger than the file. Every array's
name, kind and shape is checked against the model's sizes before it is used.
"""

import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fastgmm._covariance import COVARIANCE_TYPES
from fastgmm._errors import ModelFileError

_FORMAT = "fastgmm-mixture"
_VERSION = 1
_NAMES = {
    "format", "version", "covariance_type", "weights", "means", "covariances", "factors",
    "log_det", "converged", "log_likelihoods", "regularized",
}  # fmt: skip


def write_model(path: str | os.PathLike[str], **fields: Any) -> None:
    """Write the fields of a mixture; an existing file is replaced whole or not at all."""
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:32]}-")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, format=_FORMAT, version=_VERSION, **fields)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_model(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Return the fields of a model file as arrays.

    Raises
    ------
    ModelFileError
        If the file is not a model of this library, or it is damaged.
    """
    path = Path(path)
    with path.open("rb") as file:
        try:
            fields = _read_members(file)
            _check_fields(fields)
        except ModelFileError as error:
            raise ModelFileError(f"{path} {error}") from error
        except Exception as error:  # zipfile and numpy raise many kinds on damaged bytes
            raise ModelFileError(
                f"{path} is not a fastgmm model file, or it is damaged ({error}); save the "
                "model again."
            ) from error
    return fields


def _read_members(file: BinaryIO) -> dict[str, np.ndarray]:
    size = os.fstat(file.fileno()).st_size
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if {member.filename.removesuffix(".npy") for member in members} != _NAMES:
            raise ModelFileError("is not a fastgmm model file; save one with Mixture.save.")
        for member in members:
            if member.compress_type != zipfile.ZIP_STORED or member.file_size > size:
                raise ModelFileError("is not laid out as Mixture.save does; save it again.")
        return {
            member.filename.removesuffix(".npy"): _read_array(archive, member) for member in members
        }


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """Return one array; its declared size must be that of its bytes before it is allocated."""
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise ModelFileError("holds an array in an unknown format; save the model again.")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        body = stream.read()
    expected = dtype.itemsize
    for length in shape:
        expected *= length
    if dtype.hasobject or dtype.kind not in "fibU" or fortran or expected != len(body):
        raise ModelFileError(f"is damaged: its array {member.filename!r} does not fit its header.")
    return np.frombuffer(body, dtype).reshape(shape).copy()


def _check_fields(fields: dict[str, np.ndarray]) -> None:
    """Refuse fields that do not make a valid mixture together."""
    if str(fields["format"]) != _FORMAT:
        raise ModelFileError("is not a fastgmm model file; save one with Mixture.save.")
    if int(fields["version"]) != _VERSION:
        raise ModelFileError(
            f"has version {fields['version']}, which this fastgmm does not know; upgrade fastgmm."
        )
    kind = COVARIANCE_TYPES.get(str(fields["covariance_type"]))
    means = fields["means"]
    if kind is None or means.ndim != 2:
        raise ModelFileError("is damaged: its covariance type or means are not valid.")
    n_components, n_features = means.shape
    shapes = {
        "weights": (n_components,),
        "covariances": kind.shape(n_components, n_features),
        "factors": kind.shape(n_components, n_features),
        "log_det": (n_components,),
        "converged": (),
    }
    for name, shape in shapes.items():
        if fields[name].shape != shape:
            raise ModelFileError(f"is damaged: {name} has shape {fields[name].shape}, not {shape}.")
    for name in ("weights", "means", "covariances", "factors", "log_det"):
        if fields[name].dtype != np.float64 or not np.isfinite(fields[name]).all():
            raise ModelFileError(f"is damaged: {name} is not made of finite float64 numbers.")
    trace, regularized = fields["log_likelihoods"], fields["regularized"]
    if trace.ndim != 1 or trace.dtype != np.float64 or fields["converged"].dtype != bool:
        raise ModelFileError("is damaged: its record of the fit is not valid.")
    if regularized.ndim != 1 or regularized.dtype != np.int64:
        raise ModelFileError("is damaged: its record of the fit is not valid.")
    if (fields["weights"] < 0).any() or abs(fields["weights"].sum() - 1) > 1e-6:
        raise ModelFileError("is damaged: its weights do not sum to 1.")
    _, log_det = kind.factorize(fields["covariances"], n_components, n_features)
    if not np.allclose(log_det, fields["log_det"], rtol=1e-6, atol=1e-3 * n_features):
        raise ModelFileError("is damaged: its covariances do not fit their factors.")
