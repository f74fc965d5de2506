"""What this package logs, all of it under the logger ``coditect_license``.

================================  =========  ===========================================================================
Logger                            Level      What
================================  =========  ===========================================================================
``coditect_license.seat``         INFO       a seat is online again, or gone
``coditect_license.seat``         WARNING    a seat is offline or degraded; two days of grace or less are left
``coditect_license.seat``         ERROR      a callback raised; a heartbeat failed in a way that is a fault of ours
``coditect_license.store``        WARNING    the token cannot be kept or read
================================  =========  ===========================================================================

Nothing is printed where a program has configured no logging: the logger has a ``NullHandler``. No license key, session
or token is ever logged. Nothing is logged from a thread of the program.
"""

from __future__ import annotations

import contextlib
import logging

logging.getLogger("coditect_license").addHandler(logging.NullHandler())


def write(area: str, level: int, text: str, *values: object, error: BaseException | None = None) -> None:
    """Log a line of one area. It never raises, whatever the program's handlers do."""
    with contextlib.suppress(Exception):
        logging.getLogger(f"coditect_license.{area}").log(level, text, *values, exc_info=error)
