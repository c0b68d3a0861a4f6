"""The logger ``fastgmm``, which reports which calls are accelerated.

It is silent unless the program configures logging, or the environment variable
``FASTGMM_VERBOSE=1`` is set, which prints every record on the standard error.
"""

import logging
import os

logger = logging.getLogger("fastgmm")
logger.addHandler(logging.NullHandler())
_printer = logging.StreamHandler()
_printer.setFormatter(logging.Formatter("%(name)s: %(message)s"))


def heed_environment() -> None:
    """Print every record from now on if ``FASTGMM_VERBOSE`` is set."""
    if os.environ.get("FASTGMM_VERBOSE", "0") not in ("", "0"):
        logger.addHandler(_printer)
        logger.setLevel(logging.INFO)
