"""The command ``fastgmm``, also ``python -m fastgmm``.

The libraries of the command line are an optional extra, so they are searched for before they are
imported. ``fastgmm run`` needs none of them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec

_LIBRARIES = ("click", "polars", "rich", "tqdm")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 2 for an error, 130 if interrupted."""
    if arguments is None:
        arguments = sys.argv[1:]
    if arguments and arguments[0] == "run":
        from fastgmm.patching.run import run as run_program

        return run_program(arguments[1:])
    missing = [name for name in _LIBRARIES if find_spec(name) is None]
    if missing:
        print(
            f"Error: the command line needs {', '.join(missing)};"
            ' install with: pip install "fastgmm[cli]"',
            file=sys.stderr,
        )
        return 2
    from fastgmm.cli.main import run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
