"""Model files: an ``.npz`` archive of plain arrays, read without pickle and checked in full.

The archive is not compressed and its arrays lie side by side, so they take no more memory than
the file takes disk; a copy of each is made, and one more when a mixture is made of them. Every
array's name, kind and shape is checked against the model's sizes before it is used.
"""

import math
import os
import re
import stat
import struct
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fastgmm._errors import ModelFileError
from fastgmm._replacing import replacing
from fastgmm.model.covariance import COVARIANCE_TYPES, CovarianceType

_FORMAT = "fastgmm-mixture"
_VERSION = 1
_NAMES = {
    "format", "version", "covariance_type", "weights", "means", "covariances", "factors",
    "log_det", "converged", "log_likelihoods", "regularized",
}  # fmt: skip
# What numpy.savez writes at the head of an array; read here rather than with its own parser,
# which evaluates the text as Python literals.
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([<|][fibU]\d{1,9})', 'fortran_order': False, "
    rb"'shape': \(((?:\d{1,18}, ?)*(?:\d{1,18})?)\), \} *\n",
    re.DOTALL,
)
# The end of an archive: where its directory lies in one beyond 4 GiB, and its usual end record.
_ZIP_TAIL = struct.Struct("<4s16x4s4H2LH")
_RECORD_TOLERANCE = 1e-4  # of covariances made from their factors, on the scale of the variances


def write_model(path: str | os.PathLike[str], **fields: Any) -> None:
    """Write the fields of a mixture; an existing file is replaced whole or not at all."""
    with replacing(Path(path)) as temporary, temporary.open("wb") as file:
        np.savez(file, format=_FORMAT, version=_VERSION, **fields)


def read_model(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Return the fields of a model file as arrays.

    Raises
    ------
    ModelFileError
        If the file is not a model of this library, or it is damaged.
    """
    path = Path(path)
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # to open a pipe is to wait for a writer
        raise ModelFileError(f"{path} is not a regular file; name one that Mixture.save wrote.")
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
    _check_directory(file, size)
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if {member.filename.removesuffix(".npy") for member in members} != _NAMES:
            raise ModelFileError("is not a fastgmm model file; save one with Mixture.save.")
        stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
        apart = len(members) == len(_NAMES) and sum(m.file_size for m in members) <= size
        if not (stored and apart):
            raise ModelFileError("is not laid out as Mixture.save does; save it again.")
        return {
            member.filename.removesuffix(".npy"): _read_array(archive, member) for member in members
        }


def _check_directory(file: BinaryIO, size: int) -> None:
    """Refuse a long list of members, which zipfile would read into some 20 times its memory."""
    file.seek(max(0, size - _ZIP_TAIL.size))
    tail = file.read(_ZIP_TAIL.size)
    if len(tail) < _ZIP_TAIL.size:
        raise ModelFileError("is not a fastgmm model file, or it is cut short; save it again.")
    extended, signature, *_, n_members, _, _, comment = _ZIP_TAIL.unpack(tail)
    plain = extended != b"PK\6\7" or size > 2**32
    if signature != b"PK\5\6" or n_members != len(_NAMES) or comment or not plain:
        raise ModelFileError("is not a fastgmm model file, or it is cut short; save it again.")


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """Return one array; its declared size must be that of its bytes."""
    content = archive.read(member)
    header = _HEADER.match(content)
    if header is None:
        raise ModelFileError(f"is damaged: its array {member.filename!r} has no valid header.")
    dtype = np.dtype(header[1].decode())
    shape = [int(length) for length in header[2].replace(b",", b" ").split()]
    if dtype.itemsize * math.prod(shape) != len(content) - header.end():
        raise ModelFileError(f"is damaged: its array {member.filename!r} does not fit its header.")
    return np.frombuffer(content, dtype, offset=header.end()).reshape(shape)


def _check_fields(fields: dict[str, np.ndarray]) -> None:
    """Refuse fields that do not make a valid mixture together."""
    if str(fields["format"]) != _FORMAT:
        raise ModelFileError("is not a fastgmm model file; save one with Mixture.save.")
    if int(fields["version"]) != _VERSION:
        raise ModelFileError(
            f"has version {int(fields['version'])}, which this fastgmm does not know; upgrade "
            "fastgmm."
        )
    kind = COVARIANCE_TYPES.get(str(fields["covariance_type"]))
    means = fields["means"]
    if kind is None or means.ndim != 2 or means.size == 0:
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
    if (fields["weights"] < 0).any() or abs(fields["weights"].sum() - 1) > 1e-6:
        raise ModelFileError("is damaged: its weights do not sum to 1.")
    _check_record(fields, n_components)
    if not _factors_fit(kind, fields, n_components, n_features):
        raise ModelFileError("is damaged: its covariances do not fit their factors.")


def _check_record(fields: dict[str, np.ndarray], n_components: int) -> None:
    """Refuse what cannot be the record of a fit."""
    trace, regularized = fields["log_likelihoods"], fields["regularized"]
    valid = (
        fields["converged"].dtype == bool
        and trace.ndim == 1
        and trace.dtype == np.float64
        and np.isfinite(trace).all()
        and regularized.ndim == 1
        and regularized.dtype == np.int64
        and (np.diff(regularized, prepend=-1, append=n_components) > 0).all()
    )
    if not valid:
        raise ModelFileError("is damaged: its record of the fit is not valid.")


def _factors_fit(
    kind: CovarianceType, fields: dict[str, np.ndarray], n_components: int, n_features: int
) -> bool:
    """Say whether factors are those of the covariances, and log-determinants theirs."""
    factors, covariances = fields["factors"], fields["covariances"]
    if not kind.are_factors(factors):
        return False
    with np.errstate(all="ignore"):  # what is not finite does not compare
        log_det = -0.5 * np.log(kind.pivots(factors, n_components, n_features)).sum(axis=1)
        return bool(
            kind.factor_error(covariances, factors) <= _RECORD_TOLERANCE
            and np.allclose(log_det, fields["log_det"], rtol=1e-9, atol=1e-9 * n_features)
        )
