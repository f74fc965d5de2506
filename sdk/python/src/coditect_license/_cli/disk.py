"""What lies on disks, which may hang: a command waits for it as long as for one call to the server, and no longer."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import TypeVar

from .._aside import Aside
from .._checks import PREFIX
from .._errors import ConfigurationError
from .output import span

T = TypeVar("T")
USUAL_SECONDS = 10.0
"""What one call may take where nobody says it (docs/reference.md, ``timeout``)."""


class DiskHangs(ConfigurationError):
    """A disk gave no answer in time."""


def patience(options: argparse.Namespace) -> float:
    """The seconds that one look at a disk may take: those of ``--timeout``, else of the environment, else the usual."""
    option = getattr(options, "timeout", None)  # not every command has it
    given = os.environ.get(f"{PREFIX}TIMEOUT", "") if option is None else option
    try:
        return max(float(given), 0.0)
    except ValueError:
        return USUAL_SECONDS  # what is no number is refused where the client is made


def in_time(seconds: float, what: str, work: Callable[[], T]) -> T:
    """What ``work`` returns or raises. Raises :class:`DiskHangs` if it takes longer; it then goes on aside."""

    def careful() -> tuple[T | None, BaseException | None]:
        try:
            return work(), None
        except Exception as error:  # noqa: BLE001 - it is raised where it was asked for
            return None, error

    outcome = Aside("coditect-license-disk").run(careful, seconds)
    if outcome is None:
        raise DiskHangs(
            f"{what} gave no answer within {span(seconds)}: its disk hangs. Try again when it is back, or give a home "
            f"that works (HOME, XDG_CONFIG_HOME) and the settings in the environment ({PREFIX}SERVER and so on)."
        )
    value, error = outcome
    if error is not None:
        raise error
    return value  # type: ignore[return-value]  # of no error there is a value
