"""The compilation cache.

Numba's disk cache watches the file in which a function is written, not the files of the
functions it calls. Machine code is kept here under the digest of all the package's kernel
sources and of the types it was made for, so no edit of any of them can run stale machine
code, and two processes that save at once cannot take each other's: Numba numbers its files
in an index that it writes apart from them. Code carries its own digest; what is damaged is
compiled anew. Where no directory is writable, or the disk is full, nothing is cached.
"""

import hashlib
import pickle
from contextlib import suppress
from pathlib import Path

from numba.core import caching


def kernel_digest(folder=Path(__file__).parents[1]):
    """Return the SHA-256 of every source file that machine code is made from."""
    digest = hashlib.sha256()
    for package in ("jit", "kernels"):
        for path in sorted((folder / package).rglob("*.py")):
            name = path.relative_to(folder).as_posix()
            digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


SOURCE_STAMP = kernel_digest()


class _CacheFiles(caching.IndexDataCacheFile):
    """Files of one function's machine code, each named by what the code was made from."""

    def _name(self, key):
        made_from = repr((self._source_stamp, self._version, key)).encode()
        stem = self._index_name.removesuffix(".nbi")
        return f"{stem}.{hashlib.sha256(made_from).hexdigest()[:32]}.nbc"

    def save(self, key, data):
        content = self._dump(data)
        with self._open_for_write(self._data_path(self._name(key))) as file:
            file.write(hashlib.sha256(content).digest() + content)

    def load(self, key):
        try:
            content = Path(self._data_path(self._name(key))).read_bytes()
        except OSError:  # not there, as a rule
            return None
        digest, content = content[:32], content[32:]
        return pickle.loads(content) if digest == hashlib.sha256(content).digest() else None


class _Cache(caching.FunctionCache):
    """Numba's cache of one function, stamped with `SOURCE_STAMP`."""

    def __init__(self, py_func):
        super().__init__(py_func)
        self._cache_file = _CacheFiles(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=SOURCE_STAMP,
        )

    def _index_key(self, sig, codegen):
        """Without what a closure captures: functions, which the sources and a name stand for."""
        code = hashlib.sha256(self._py_func.__code__.co_code).hexdigest()
        return sig, codegen.magic_tuple(), code

    def save_overload(self, sig, data):
        with suppress(OSError):  # a full disk, say: the code is there all the same
            super().save_overload(sig, data)


def cached(dispatcher):
    try:
        dispatcher._cache = _Cache(dispatcher.py_func)
    except RuntimeError:  # no writable directory: compile anew in every process
        pass
    return dispatcher
