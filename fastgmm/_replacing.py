"""Files that are replaced whole or not at all, whatever stops the program."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

_NAME_BYTES = 64  # of a file's name kept in that of its temporary: names end at 255


@contextmanager
def replacing(
    path: Path, guard: Callable[[], AbstractContextManager[None]] = nullcontext
) -> Iterator[Path]:
    """
    Give an empty temporary file that takes the place of `path` if the block succeeds.

    It lies in the folder of `path`, so that taking its place is one step of the file system,
    and is on disk before that. A program that is killed leaves the old file or the new one,
    and perhaps the temporary one, whose name begins with a dot. A link stays a link, and an
    existing file keeps its mode.

    What the operating system raises here, but not in the block, is raised within ``guard()``.
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
