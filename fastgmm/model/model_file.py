"""Model files: an ``.npz`` archive of plain arrays, read without pickle and fully checked.

The archive is not compressed and its arrays do not overlap, so the arrays need no more memory
than the file needs on disk. Reading copies each array once, and building a mixture copies it
once more. The name, dtype and shape of every array are checked before it is used.
"""

import json
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
# A JSON list, because NumPy would cut zeros off strings and pad all to one; and what a checkpoint
# has beside the mixture: see `fastgmm.model.packing`.
_OPTIONAL = {"feature_names", "state", "numbers"}
# The header that numpy.savez writes before an array. NumPy's own parser evaluates it as a Python
# literal, so it is parsed here instead.
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([<|][fibU]\d{1,9})', 'fortran_order': False, "
    rb"'shape': \(((?:\d{1,18}, ?)*(?:\d{1,18})?)\), \} *\n",
    re.DOTALL,
)
# The end of an archive: the locator of the directory of an archive beyond 4 GiB, and the usual
# end record.
_ZIP_TAIL = struct.Struct("<4s16x4s4H2LH")
_FACTOR_TOLERANCE = 1e-4  # greatest error of covariances from their factors, relative to variances
_FOREIGN = "is not a fastgmm model file; give a file that Mixture.save wrote."
_CUT_SHORT = "is not a fastgmm model file, or it is cut short; save the model again."


def write_model(path: str | os.PathLike[str], **fields: Any) -> None:
    """Write the fields of a mixture. An existing file is replaced completely or not at all.

    `feature_names` is a sequence of str and need not be given; the other fields are arrays.
    """
    if "feature_names" in fields:
        fields["feature_names"] = json.dumps(fields["feature_names"])
    with replacing(Path(path)) as temporary, temporary.open("wb") as file:
        np.savez(file, format=_FORMAT, version=_VERSION, **fields)


def read_model(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Return the fields of a model file as arrays.

    Raises
    ------
    ModelFileError
        If the file was not written by `write_model`, or it is damaged.
    """
    path = Path(path)
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # opening a pipe would wait for a writer
        raise ModelFileError(f"{path} is not a regular file; give a file that Mixture.save wrote.")
    with path.open("rb") as file:
        try:
            fields = _read_members(file)
            _check_fields(fields)
        except ModelFileError as error:
            raise ModelFileError(f"{path} {error}") from error
        except Exception as error:  # damaged bytes make zipfile and numpy raise many kinds
            raise ModelFileError(
                f"{path} is not a fastgmm model file, or it is damaged ({error}); save the "
                "model again."
            ) from error
    return fields


def names_in(fields: dict[str, np.ndarray]) -> tuple[str, ...] | None:
    """Return the feature names among the fields of a model file; None if it has none."""
    if "feature_names" not in fields:
        return None
    names = json.loads(str(fields["feature_names"]))
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _damaged("feature_names is not a list of strings")
    return tuple(names)


def _damaged(fault: str) -> ModelFileError:
    """Return the error for a file in which something is not valid; `fault` describes it."""
    return ModelFileError(f"is damaged: {fault}. Save the model again.")


def _read_members(file: BinaryIO) -> dict[str, np.ndarray]:
    """Return the arrays of an archive by name."""
    size = os.fstat(file.fileno()).st_size
    _check_directory(file, size)
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        names = {member.filename.removesuffix(".npy") for member in members}
        if not _NAMES <= names <= _NAMES | _OPTIONAL:
            raise ModelFileError(_FOREIGN)
        stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
        apart = len(members) == len(names) and sum(m.file_size for m in members) <= size
        if not (stored and apart):
            raise _damaged("its arrays are not laid out as Mixture.save does")
        return {
            member.filename.removesuffix(".npy"): _read_array(archive, member) for member in members
        }


def _check_directory(file: BinaryIO, size: int) -> None:
    """Refuse a long directory: zipfile would need about 20 times its size in memory to read it."""
    file.seek(max(0, size - _ZIP_TAIL.size))
    tail = file.read(_ZIP_TAIL.size)
    if len(tail) < _ZIP_TAIL.size:
        raise ModelFileError(_CUT_SHORT)
    extended, signature, *_, n_members, _, _, comment = _ZIP_TAIL.unpack(tail)
    plain = extended != b"PK\6\7" or size > 2**32
    known = len(_NAMES) <= n_members <= len(_NAMES | _OPTIONAL)
    if signature != b"PK\5\6" or not known or comment or not plain:
        raise ModelFileError(_CUT_SHORT)


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """Return one array. Its header must fit its number of bytes."""
    content = archive.read(member)
    header = _HEADER.match(content)
    if header is None:
        raise _damaged(f"array {member.filename!r} has no valid header")
    dtype = np.dtype(header[1].decode())
    shape = [int(length) for length in header[2].replace(b",", b" ").split()]
    n_bytes = len(content) - header.end()
    if dtype.itemsize * math.prod(shape) != n_bytes:
        raise _damaged(f"array {member.filename!r} has {n_bytes} bytes, unlike its header says")
    return np.frombuffer(content, dtype, offset=header.end()).reshape(shape)


def _check_fields(fields: dict[str, np.ndarray]) -> None:
    """Refuse fields that do not form a valid mixture."""
    if str(fields["format"]) != _FORMAT:
        raise ModelFileError(_FOREIGN)
    if int(fields["version"]) != _VERSION:
        raise ModelFileError(
            f"has format version {int(fields['version'])}, but this fastgmm reads version "
            f"{_VERSION} only; upgrade fastgmm."
        )
    name = str(fields["covariance_type"])
    if name not in COVARIANCE_TYPES:
        raise ModelFileError(
            f"has covariance_type {name[:20]!r}, not one of {', '.join(COVARIANCE_TYPES)}; "
            "register that type before loading, or save the model again."
        )
    kind, means = COVARIANCE_TYPES[name], fields["means"]
    if means.ndim != 2 or means.size == 0:
        raise _damaged(f"means has shape {means.shape}, not (n_components, n_features)")
    _check_arrays(kind, fields)
    if (fields["weights"] < 0).any() or abs(fields["weights"].sum() - 1) > 1e-6:
        total = fields["weights"].sum()
        raise _damaged(f"weights must be at least 0 and sum to 1, but they sum to {total:.6g}")
    _check_record(fields, len(means))
    _check_names(fields, means.shape[1])
    if not _factors_fit(kind, fields):
        raise _damaged("the covariances do not agree with their factors")


def _check_arrays(kind: CovarianceType, fields: dict[str, np.ndarray]) -> None:
    """Refuse arrays of other shapes than those that the means imply, or of invalid numbers."""
    means = fields["means"]
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
            raise _damaged(f"{name} has shape {fields[name].shape}, not {shape}")
    for name in ("weights", "means", "covariances", "factors", "log_det"):
        if fields[name].dtype != np.float64 or not np.isfinite(fields[name]).all():
            raise _damaged(f"{name} must hold finite float64 numbers only")


def _check_record(fields: dict[str, np.ndarray], n_components: int) -> None:
    """Refuse an invalid record of the fit: convergence, objectives, regularised components."""
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
        raise _damaged("converged, log_likelihoods or regularized is not valid")


def _check_names(fields: dict[str, np.ndarray], n_features: int) -> None:
    """Refuse feature names that are not strings, or not one for each feature."""
    try:
        names = names_in(fields)
    except (json.JSONDecodeError, RecursionError) as error:
        raise _damaged("feature_names is not a list of strings") from error
    if names is not None and len(names) != n_features:
        raise _damaged(f"feature_names has {len(names)} names for {n_features} features")


def _factors_fit(kind: CovarianceType, fields: dict[str, np.ndarray]) -> bool:
    """Return whether factors agree with the covariances, and log-determinants with factors."""
    n_components, n_features = fields["means"].shape
    factors, covariances = fields["factors"], fields["covariances"]
    if not kind.are_factors(factors):
        return False
    with np.errstate(all="ignore"):  # a comparison with NaN is false
        log_det = -0.5 * np.log(kind.pivots(factors, n_components, n_features)).sum(axis=1)
        return bool(
            kind.factor_error(covariances, factors) <= _FACTOR_TOLERANCE
            and np.allclose(log_det, fields["log_det"], rtol=1e-9, atol=1e-9 * n_features)
        )
