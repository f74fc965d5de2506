"""``coditect-license``: the command line. Its arguments are here, its commands in the modules beside it.

Exit codes, those of sysexits(3) where it has one: 0 success · 1 a check of ``doctor`` failed · 2 a wrong command line ·
65 a token failed verification · 69 the server cannot be reached · 75 every seat is in use · 77 the license gives no
seat · 78 settings are missing or wrong · ``run`` exits with its command's own code, or 128 and the signal that ended
it, 126 or 127 where it cannot be started.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import _errors as errors
from .._version import __version__

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

EXITS: tuple[tuple[type[errors.LicenseError], int], ...] = (
    (errors.NoSeats, 75),
    (errors.TooManyProcesses, 75),
    (errors.Refusal, 77),
    (errors.VerificationFailed, 65),
    (errors.ServerUnreachable, 69),
    (errors.LicenseError, 78),
)


def parser() -> argparse.ArgumentParser:
    """The command line as it may be typed."""
    main_parser = argparse.ArgumentParser(
        prog="coditect-license",
        description="Floating licenses: who you are, what is free, and a seat around any command.",
    )
    main_parser.add_argument("--version", action="version", version=f"coditect-license {__version__}")
    commands = main_parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    settings, output = _settings_options(), _output_options()
    _add_login(commands, [settings, output])
    _add_run(commands, [settings])
    both = [settings, output]
    commands.add_parser("status", parents=both, help="the license, how many seats are in use, and who holds them")
    verify = commands.add_parser("verify", parents=both, help="check a kept token or a saved answer, without a server")
    verify.add_argument("file", metavar="FILE", help="a JSON file with `token` and `certificate`; - for standard input")
    commands.add_parser("fingerprint", parents=both, help="what tells this machine from others")
    doctor = commands.add_parser("doctor", parents=both, help="what might be wrong: connection, clock, keys, proxy")
    doctor.add_argument("--seat", action="store_true", help="also take a seat and give it back")
    return main_parser


def _settings_options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    group = options.add_argument_group(
        "settings", "each also as CODITECT_LICENSE_<NAME> in the environment, else as `login` kept them"
    )
    group.add_argument("--server", metavar="URL", help="the license server")
    group.add_argument("--product", help="the product the license is for")
    group.add_argument(
        "--key",
        help="the license key; better typed when asked, or in the environment: arguments are seen by others",
    )
    group.add_argument("--pool", help="the pool of seats (default)")
    group.add_argument("--issuer", help="what tokens name as their issuer, where it is not the server's address")
    group.add_argument("--roots", metavar="FILE", help="the server's root keys, a JWK set or PEM")
    group.add_argument(
        "--hardware-id", metavar="ID", help="what tells this machine from others, in place of its own id"
    )
    group.add_argument("--allow-http", action="store_true", help="send the key unencrypted to another machine")
    group.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS", help="how long one call may take (10)")
    return options


def _output_options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    shape = options.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="answer in JSON, as everywhere but on a terminal")
    shape.add_argument("--text", action="store_true", help="answer in text, as on a terminal")
    return options


def _add_login(commands: Subparsers, parents: list[argparse.ArgumentParser]) -> None:
    login = commands.add_parser(
        "login", parents=parents, help="keep the server, the product and the license key for later"
    )
    login.add_argument(
        "--trust-server",
        action="store_true",
        help="fetch the root keys from the server and pin them; only on a network you trust",
    )
    login.add_argument(
        "--no-check", action="store_true", help="keep the settings without asking the server whether they are right"
    )
    login.add_argument(
        "--no-keyring",
        action="store_true",
        help="keep the key in a file of mode 0600 also where there is an OS keyring",
    )


def _add_run(commands: Subparsers, parents: list[argparse.ArgumentParser]) -> None:
    run = commands.add_parser(
        "run",
        parents=parents,
        help="hold a seat around a command",
        usage="coditect-license run [--wait TIME] [settings] -- COMMAND…",
    )
    run.add_argument(
        "--wait",
        type=duration,
        metavar="TIME",
        help="how long to wait while all seats are in use: 90, 90s, 10m, 2h. No order is promised",
    )
    run.add_argument("--quiet", action="store_true", help="say nothing but errors")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command and its arguments")


def duration(text: str) -> float:
    """Seconds of ``90``, ``90s``, ``10m`` or ``2h``."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1.0)
    try:
        seconds = float(number) * unit
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: say 90, 90s, 10m or 2h")
    return seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the command line names. Returns the exit code, as the head of this module lists them."""
    options = parser().parse_args(arguments)
    try:
        if options.command == "run":
            from .run import run

            return run(options)
        if options.command == "doctor":
            from .doctor import doctor

            return doctor(options)
        from . import commands

        command = {
            "login": commands.login,
            "status": commands.status,
            "verify": commands.verify,
            "fingerprint": commands.fingerprint,
        }
        return command[options.command](options)
    except errors.LicenseError as error:
        print(f"coditect-license: {error}", file=sys.stderr)
        if isinstance(error, errors.NoSeats):
            from .output import holders_lines

            for line in holders_lines(error.holders):
                print(line, file=sys.stderr)
        return next(code for kind, code in EXITS if isinstance(error, kind))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 141
