# SPDX-License-Identifier: Apache-2.0
"""What is logged of failures that a conductor gets over by itself."""

from __future__ import annotations

import logging
import sys

from mogan_hil.db.api import busy


def log_failure(logger: logging.LoggerAdapter[logging.Logger], text: str, *values: object) -> None:
    """Log the exception that is being handled.

    That the database is away passes, and is one line each time; anything else is a bug, and its place is told.

    :param values: for `text`, which is as :mod:`logging` has it
    """
    error = sys.exception()
    if error is not None and busy(error):
        logger.warning("%s: %s", text % values, str(error).partition("\n")[0])
    else:
        logger.error(text, *values, exc_info=error)
