"""Files of machine code, named by what the code was made from.

Numba's disk cache watches the file in which a function is written, not the files of the
functions it calls. Machine code is kept here under the digest of all the package's kernel
sources and of the types it was made for, so no edit of any of them can run stale machine code.
Two processes that save at once cannot confuse each other's code: Numba numbers its files in an
index that it writes apart from them, and here there is no index.

A file is named ``STEM.STAMP.KEY.nbc``: the function, the digest of the sources, and the digest of
everything else (types, processor, version of Numba, what a closure captures). When code is
written, files of the same function with another stamp are removed; those of another processor or
another Numba stay. Numba gives each folder of sources a folder of its own, also under
``NUMBA_CACHE_DIR``, so two checkouts do not remove each other's code. A process that still runs
the older sources compiles again what was removed under it.

A file begins with the digest of its content; damaged code is compiled anew.
"""

import hashlib
import os
import re
import sys
import uuid
from contextlib import suppress
from pathlib import Path


def kernel_digest(folder=Path(__file__).parents[1]):
    """Return the SHA-256 of every source file that machine code is made from."""
    digest = hashlib.sha256()
    for package in ("jit", "kernels"):
        for path in sorted((folder / package).rglob("*.py")):
            name = path.relative_to(folder).as_posix()
            digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


SOURCE_STAMP = kernel_digest()


def file_stem(function):
    """Return what names of files of a function's machine code begin with.

    The version of Python is part of it: what is kept beside the code is read by no other.
    """
    name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"
    python = f"py{sys.version_info[0]}{sys.version_info[1]}{getattr(sys, 'abiflags', '')}"
    return f"{re.sub(r'[^A-Za-z0-9_.]', '', name)}-{python}"


class CodeFiles:
    """Files of one function's machine code.

    Parameters
    ----------
    folder : str
        Where they lie.
    stem : str
        The name of the function, without characters that file names must not have.
    stamp : str
        The digest of the sources.
    """

    def __init__(self, folder, stem, stamp):
        self._folder = Path(folder)
        self._stem = stem
        self._stamp = hashlib.sha256(stamp.encode()).hexdigest()[:16]

    def path(self, key):
        """Return the name of the file of a key."""
        digest = hashlib.sha256(repr(key).encode()).hexdigest()[:32]
        return self._folder / f"{self._stem}.{self._stamp}.{digest}.nbc"

    def save(self, key, content):
        """Write a file, all of it or none; remove those of other sources. May raise OSError."""
        path = self.path(key)
        unfinished = path.with_name(f"{path.name}.tmp.{uuid.uuid4().hex[:16]}")
        try:
            unfinished.write_bytes(hashlib.sha256(content).digest() + content)
            os.replace(unfinished, path)
        except BaseException:
            with suppress(OSError):
                unfinished.unlink()
            raise
        self._remove_others()

    def load(self, key):
        """Return the content that was saved under a key, None where there is none."""
        try:
            content = self.path(key).read_bytes()
        except OSError:  # not there, as a rule
            return None
        digest, content = content[:32], content[32:]
        return content if digest == hashlib.sha256(content).digest() else None

    def _remove_others(self):
        """Remove code of other sources, finished or not; other processes may do so, too."""
        name = re.compile(
            rf"{re.escape(self._stem)}\.([0-9a-f]{{16}})\.[0-9a-f]{{32}}\.nbc(\.tmp\.\w+|\.lock)?"
        )
        with suppress(OSError):
            for path in self._folder.iterdir():
                found = name.fullmatch(path.name)
                if found and found[1] != self._stamp:
                    with suppress(OSError):
                        path.unlink()
