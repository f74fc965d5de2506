"""Answers as text on a terminal, and as JSON elsewhere; and text that any terminal and any file can show."""

from __future__ import annotations

import argparse
import codecs
import contextlib
import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Any, TextIO

from .._types import SeatHolder, Validation

MARKS = {"ok": "green", "warning": "yellow", "failed": "red"}
_PLAIN = {"…": "...", "“": '"', "”": '"', "·": "-", "→": "->"}


def show(
    options: argparse.Namespace,
    value: dict[str, Any],
    title: str,
    rows: Sequence[tuple[str, str]],
    lines: Iterable[str] = (),
) -> None:
    """Print ``value`` as JSON, or ``rows`` and ``lines`` for a person."""
    if options.json or not (options.text or is_terminal(sys.stdout)):
        print(json.dumps(value, indent=2, default=_json_value))
        return
    if is_terminal(sys.stdout):
        columns = shutil.get_terminal_size().columns
        if _show_rich(title, rows, lines, columns):
            return
    else:
        columns = 0
    print(title)
    for name, text in _laid_out(rows, columns):
        print(f"  {name}{text}")
    for line in lines:
        print(line)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody looks at it. A stream that is closed, or was never there, is nobody's."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def use_plain_text() -> None:
    """Have text that a stream cannot encode written in ASCII instead of failing."""
    codecs.register_error("coditect-license-plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # none, or one of somebody else
            stream.reconfigure(errors="coditect-license-plain")  # type: ignore[union-attr]


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(c, "?") for c in error.object[error.start : error.end]), error.end


def _laid_out(rows: Sequence[tuple[str, str]], columns: int) -> Iterable[tuple[str, str]]:
    """The rows in two columns; on a narrow terminal each text stands below its name.

    Sentences are broken between words. A word is never cut: an id or a path can be copied whole.
    """
    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        if not columns or len(text) + width + 4 <= columns:
            yield f"{name:<{width}}  ", text
            continue
        longest = max(map(len, text.split()), default=0)
        narrow = columns < max(width + 44, width + 4 + longest)
        indent = "    " if narrow else " " * (width + 4)
        wrapped = textwrap.wrap(
            text, max(columns - len(indent), 20), break_long_words=False, break_on_hyphens=False
        ) or [text]
        if narrow:
            yield f"{name}\n", "\n".join(f"{indent}{line}" for line in wrapped)
        else:
            yield f"{name:<{width}}  ", f"\n{indent}".join(wrapped)


def _show_rich(title: str, rows: Sequence[tuple[str, str]], lines: Iterable[str], columns: int) -> bool:
    """The same with colours, where the package is installed."""
    try:
        from rich.console import Console
        from rich.text import Text
    except ImportError:
        return False
    console = Console(highlight=False)
    console.print(Text(title, style="bold"), soft_wrap=True)
    for (name, shown), (_, text) in zip(_laid_out(rows, columns), rows, strict=True):
        mark = next((colour for word, colour in MARKS.items() if text.startswith(word)), "")
        console.print(Text.assemble("  ", (name, "cyan"), (shown, mark)), soft_wrap=True)
    for line in lines:
        console.print(Text(line), soft_wrap=True)
    return True


def holders_lines(holders: Sequence[SeatHolder]) -> list[str]:
    """One line about each holder of a seat."""
    now = datetime.now(timezone.utc)
    return [
        f"  held by {holder.label}, for {span((now - holder.since).total_seconds())}, "
        f"heard of {span(holder.seen_in)} ago"
        for holder in holders
    ]


def describe_license(validation: Validation) -> str:
    """The status of a license and its seats in use, as a phrase."""
    used = "?" if validation.seats_used is None else validation.seats_used
    return f"{validation.license.status}, {used} of {validation.license.seats_total} seats in use"


def span(seconds: float) -> str:
    """A time in the unit that suits its length."""
    seconds = max(seconds, 0)
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"


def _json_value(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} has no JSON form")
