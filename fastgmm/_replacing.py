"""Atomic replacement of files: the old content or the new, whatever stops the program."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

_NAME_BYTES = 64  # bytes of a name kept in that of the temporary file; the limit is 255


@contextmanager
def replacing(
    path: Path, guard: Callable[[], AbstractContextManager[None]] = nullcontext
) -> Iterator[Path]:
    """Yield an empty temporary file that replaces `path` if the block succeeds.

    The temporary file is in the folder of `path`, so that the file system replaces `path` in one
    step, and it is flushed to disk before. A killed program leaves the old file or the new one,
    and possibly the temporary file, whose name begins with a dot. A symbolic link remains a link,
    and an existing file keeps its mode.

    Errors of the operating system in this function, but not in the block, are raised within
    ``guard()``.
    """
    target = Path(os.path.realpath(path))
    stem = os.fsdecode(os.fsencode(target.stem)[:_NAME_BYTES])
    suffix = target.suffix if len(os.fsencode(target.suffix)) <= _NAME_BYTES else ""
    temporary = target.with_name(f".{stem}-{secrets.token_hex(4)}{suffix}")
    with guard():
        temporary.touch(exist_ok=False)
    try:
        yield temporary
        with guard():
            with temporary.open("r+b") as file:
                os.fsync(file.fileno())
            if target.exists():
                shutil.copymode(target, temporary)
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
