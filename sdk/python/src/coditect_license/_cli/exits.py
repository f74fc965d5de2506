"""The exit codes, as one table: the help is made from it, and a test holds the README to it.

They are those of sysexits(3) where it has one.
"""

from __future__ import annotations

from dataclasses import dataclass

from .. import _errors as errors

ASKING = ("login", "status", "run", "doctor")
"""The commands that speak to a server."""


@dataclass(frozen=True)
class ExitCode:
    """An exit code and what it means."""

    code: int
    meaning: str
    commands: tuple[str, ...] = ()
    """The commands that have it; none stands for all."""


EXIT_CODES = (
    ExitCode(0, "it worked, and nothing is wrong"),
    ExitCode(1, "a check failed", ("doctor",)),
    ExitCode(2, "the command line is wrong"),
    ExitCode(65, "a token or an answer of the server failed verification", ("login", "status", "run", "verify")),
    ExitCode(69, "the license server cannot be reached", ("login", "status", "run")),
    ExitCode(70, "a mistake of this program: please report it"),
    ExitCode(74, "the answer cannot be written, for example to a full disk"),
    ExitCode(75, "every seat is in use, or this machine's seat is full: try again later", ("status", "run")),
    ExitCode(77, "the license key is wrong, or its license gives no seat", ("login", "status", "run")),
    ExitCode(78, "a setting is missing or wrong"),
    ExitCode(126, "the command cannot be started", ("run",)),
    ExitCode(127, "the command was not found", ("run",)),
    ExitCode(130, "it was interrupted"),
    ExitCode(141, "nobody reads the answer any more, as in `| head -1`"),
)
RUN_EXITS = "Otherwise the exit code of the command, or 128 and the number of the signal that ended it."

_KINDS: tuple[tuple[type[errors.LicenseError], int], ...] = (
    (errors.NoSeats, 75),
    (errors.TooManyProcesses, 75),
    (errors.Refusal, 77),
    (errors.VerificationFailed, 65),
    (errors.ServerUnreachable, 69),
    (errors.LicenseError, 78),
)


def exit_code_of(error: errors.LicenseError) -> int:
    """The exit code for an error."""
    return next(code for kind, code in _KINDS if isinstance(error, kind))


def exit_codes_of(command: str | None) -> list[ExitCode]:
    """The rows of a command; all of them without one."""
    return [row for row in EXIT_CODES if command is None or not row.commands or command in row.commands]
