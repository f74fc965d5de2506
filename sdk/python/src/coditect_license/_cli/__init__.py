"""``coditect-license``: the command line. Its arguments, its commands and its exit codes are in the modules beside it.

Whatever happens, a person reads a sentence and a program gets an exit code of ``exits.py``, and never a traceback.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the command line names. Returns the exit code.

    Without ``arguments`` it is the program: it reads its command line and ends with the exit code, also where the
    caller drops what it returns, as a zipped program does.
    """
    if arguments is not None:
        return _outcome(arguments)
    from .output import use_plain_text

    use_plain_text()
    code = _flushed(_outcome(None))
    sys.exit(code)


def _outcome(arguments: Sequence[str] | None) -> int:
    """What a command exits with. Only a signal, and the end of ``--help`` or a wrong command line, go past it."""
    try:
        return _run_command(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 141
    except OSError as error:
        # What the network and the disks do is a LicenseError by now. This was the answer that could not be written.
        _complain(f"the answer cannot be written: {error.strerror or error}.")
        return 74
    except Exception as error:  # noqa: BLE001 - a person sees no traceback
        _complain(f"a mistake of this program: {type(error).__name__}: {error}. Please report it.")
        return 70


def _run_command(arguments: Sequence[str] | None) -> int:
    from .arguments import parser
    from .run import KEY_VARIABLE

    handed_over = os.environ.pop(KEY_VARIABLE, None)
    options = parser().parse_args(arguments)
    if handed_over is not None and options.command == "run":
        options.key = handed_over
    elif arguments is None and options.command == "run":
        from .run import hide_key

        hide_key(options)
    from .._errors import LicenseError

    try:
        return _call(options)
    except LicenseError as error:
        return _tell(error)


def _call(options: argparse.Namespace) -> int:
    if options.command == "run":
        from .run import run

        return run(options)
    if options.command == "doctor":
        from .doctor import doctor

        return doctor(options)
    from . import commands

    command = {
        "login": commands.login,
        "logout": commands.logout,
        "status": commands.status,
        "verify": commands.verify,
        "fingerprint": commands.fingerprint,
    }
    return command[options.command](options)


def _tell(error: Exception) -> int:
    from .._errors import LicenseError, NoSeats
    from .exits import exit_code_of
    from .output import holders_lines
    from .words import in_words

    _complain(in_words(error))
    if isinstance(error, NoSeats):
        for line in holders_lines(error.holders):
            _complain(line, prefix="")
    return exit_code_of(error) if isinstance(error, LicenseError) else 70


def _complain(text: str, prefix: str = "coditect-license: ") -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody can be told
        print(f"{prefix}{text}", file=sys.stderr)


def _flushed(code: int) -> int:
    """Write out what was printed, as long as what becomes of it can still be said."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        code = 141
        _give_up(sys.stdout)
    except (OSError, ValueError) as error:
        if code != 74:
            _complain(f"the answer cannot be written: {getattr(error, 'strerror', None) or error}.")
        code = 74
        _give_up(sys.stdout)
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except (OSError, ValueError):
        _give_up(sys.stderr)
    return code


def _give_up(stream: object) -> None:
    """Let the interpreter's own last flush succeed, which would complain otherwise."""
    with contextlib.suppress(Exception):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # type: ignore[attr-defined]
        os.close(nowhere)
