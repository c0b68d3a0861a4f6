"""The logger ``fastgmm``: what runs on the library's own kernels and what does not.

Silent unless the program that uses the library sets up logging, or ``FASTGMM_VERBOSE=1`` is in
the environment, which prints everything on the standard error.
"""

import logging
import os

logger = logging.getLogger("fastgmm")
logger.addHandler(logging.NullHandler())
_printer = logging.StreamHandler()
_printer.setFormatter(logging.Formatter("%(name)s: %(message)s"))


def heed_environment() -> None:
    """Print what is logged if ``FASTGMM_VERBOSE`` says so."""
    if os.environ.get("FASTGMM_VERBOSE", "0") not in ("", "0"):
        logger.addHandler(_printer)
        logger.setLevel(logging.INFO)
