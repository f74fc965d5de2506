"""The command line as it may be typed, and its help."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from .._checks import PREFIX
from .._version import __version__
from .exits import RUN_EXITS, exit_codes_of
from .words import OPTIONS

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction["_Parser"]

VARIABLES = (
    *((f"{PREFIX}{name.upper()}", option) for name, option in OPTIONS.items()),
    (f"{PREFIX}CACHE_DIR", "where a token is kept, for a start without contact"),
    ("HTTPS_PROXY, NO_PROXY", "the proxy, unless --proxy is given"),
)
COMMANDS = {
    "login": (
        "keep the server, the product and the license key for later",
        "Ask the server whether a seat could be had with these settings, and keep them. The key is typed when asked, "
        "piped in, or taken from the environment; it is kept in the OS keyring where there is one, else in a file of "
        "mode 0600.",
        (
            "coditect-license login --server https://licenses.example.com --product studio --roots roots.json",
            "coditect-license login --server https://licenses.example.com --product studio --trust-server < key.txt",
        ),
    ),
    "logout": (
        "remove what login kept",
        "Remove the kept settings, the license key in the OS keyring, and the token saved on this machine for starts "
        "without the server. Programs that hold a seat keep it until they end.",
        ("coditect-license logout",),
    ),
    "run": (
        "hold a seat around a command",
        "Take a seat, run the command, and give the seat back when it ends. The command gets the signals, and its exit "
        "code is that of run.",
        (
            "coditect-license run -- make test",
            "coditect-license run --wait 10m --quiet -- ./render scene.blend",
        ),
    ),
    "status": (
        "the license, how many seats are in use, and who holds them",
        "Show the license, who holds its seats, and whether this machine has or could have one. It fails with the exit "
        "code of run where run would get no seat.",
        ("coditect-license status", "coditect-license status --json"),
    ),
    "verify": (
        "check a saved token or a saved answer, without a server",
        "Check the signatures, the product, the machine and the times of a token, as a program would.",
        (
            "coditect-license verify answer.json",
            "coditect-license verify --hardware-id my-laptop-0001 - < answer.json",
        ),
    ),
    "fingerprint": (
        "what tells this machine from others",
        "Show the id that is sent for this machine. No server is asked.",
        ("coditect-license fingerprint --product studio",),
    ),
    "doctor": (
        "what might be wrong: connection, certificate, clock, keys, license",
        "Check everything that a start needs, say what to do about what is wrong, and say what run would exit with. No "
        "seat is taken unless --seat is given.",
        ("coditect-license doctor", "coditect-license doctor --seat --json"),
    ),
}
"""Each command: in one line, in full, and examples."""


def parser() -> _Parser:
    """The command line as it may be typed."""
    main_parser = _Parser(
        prog="coditect-license",
        description="Floating licenses: who you are, what is free, and a seat around any command.",
        epilog=_epilog(None, ("coditect-license login", "coditect-license run -- make test")),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    main_parser.add_argument("--version", action="version", version=f"coditect-license {__version__}")
    commands = main_parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    settings, output = _settings_options(), _output_options()
    _add_login(_add(commands, "login", [settings, output]))
    _add(commands, "logout", [output])
    _add_run(_add(commands, "run", [settings]))
    _add(commands, "status", [settings, output])
    verify = _add(commands, "verify", [settings, output])
    verify.add_argument("file", metavar="FILE", help="a JSON file with `token` and `certificate`; - for standard input")
    _add(commands, "fingerprint", [settings, output])
    doctor = _add(commands, "doctor", [settings, output])
    doctor.add_argument("--seat", action="store_true", help="also take a seat and give it back")
    return main_parser


def _add(commands: Subparsers, name: str, parents: list[_Parser]) -> _Parser:
    short, full, examples = COMMANDS[name]
    return commands.add_parser(
        name,
        parents=parents,
        help=short,
        description=full,
        epilog=_epilog(name, examples),
        formatter_class=_HelpFormatter,
        allow_abbrev=False,
    )


class _Parser(argparse.ArgumentParser):
    """It says where its help cannot be written. The original keeps quiet, and loses what was to be flushed."""

    def _print_message(self, message: str, file: Any = None) -> None:  # noqa: ANN401 - a stream
        stream = file or sys.stderr
        if message and stream is not None:
            stream.write(message)


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """The description is broken to the width of the terminal, and the examples are not."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return super()._fill_text(text, width, indent)
        return argparse.HelpFormatter._fill_text(self, text, width, indent)


def _epilog(command: str | None, examples: tuple[str, ...]) -> str:
    """Examples, the environment and the exit codes."""
    lines = ["examples:", *(f"  {example}" for example in examples)]
    if command != "logout":
        lines += ["", "environment:", *(f"  {name:<29} {meaning}" for name, meaning in VARIABLES)]
    lines += ["", "exit codes:", *(f"  {row.code:>3}  {row.meaning}" for row in exit_codes_of(command))]
    if command in (None, "run"):
        lines += [f"  {RUN_EXITS}" if command else f"  run: {RUN_EXITS[:1].lower()}{RUN_EXITS[1:]}"]
    return "\n".join(lines)


def _settings_options() -> _Parser:
    options = _Parser(add_help=False)
    group = options.add_argument_group(
        "settings", f"each also as {PREFIX}<NAME> in the environment, else as `login` kept them"
    )
    group.add_argument("--server", metavar="URL", help="the license server")
    group.add_argument("--product", help="the product the license is for")
    group.add_argument("--key", help="the license key; better typed when asked, piped in, or in the environment")
    group.add_argument("--pool", help="the pool of seats (default)")
    group.add_argument("--issuer", help="what tokens name as their issuer, where it is not the server's address")
    group.add_argument("--roots", metavar="FILE", help="the server's root keys, a JWK set or PEM")
    group.add_argument(
        "--hardware-id", metavar="ID", help="what tells this machine from others, in place of its own id"
    )
    group.add_argument(
        "--ca-file",
        dest="verify",
        metavar="FILE",
        help="the certificate authorities to trust, in PEM, in place of the operating system's: for a network that "
        "inspects encrypted traffic",
    )
    group.add_argument("--proxy", metavar="URL", help="the proxy to the server, in place of the environment's")
    group.add_argument(
        "--allow-http", action="store_true", default=None, help="send the key unencrypted to another machine"
    )
    group.add_argument("--timeout", type=float, metavar="SECONDS", help="how long one call may take (10)")
    return options


def _output_options() -> _Parser:
    options = _Parser(add_help=False)
    shape = options.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="answer in JSON, as everywhere but on a terminal")
    shape.add_argument("--text", action="store_true", help="answer in text, as on a terminal")
    return options


def _add_login(login: argparse.ArgumentParser) -> None:
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


def _add_run(run: argparse.ArgumentParser) -> None:
    run.usage = "coditect-license run [--wait TIME] [--quiet] [settings] -- COMMAND…"
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
