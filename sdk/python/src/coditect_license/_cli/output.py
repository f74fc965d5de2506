"""Answers as text on a terminal, and as JSON elsewhere."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Any

from .._types import SeatHolder, Validation

MARKS = {"ok": "green", "warning": "yellow", "failed": "red"}


def show(
    options: argparse.Namespace,
    value: dict[str, Any],
    title: str,
    rows: Sequence[tuple[str, str]],
    lines: Iterable[str] = (),
) -> None:
    """Print ``value`` as JSON, or ``rows`` and ``lines`` for a person."""
    if options.json or not (options.text or sys.stdout.isatty()):
        print(json.dumps(value, indent=2, default=_json_value))
        return
    if sys.stdout.isatty() and _show_rich(title, rows, lines):
        return
    print(title)
    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        print(f"  {name:<{width}}  {text}")
    for line in lines:
        print(line)


def _show_rich(title: str, rows: Sequence[tuple[str, str]], lines: Iterable[str]) -> bool:
    """The same with colours, where the package is installed."""
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return False
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False, box=None, padding=(0, 2))
    for name, text in rows:
        mark = next((colour for word, colour in MARKS.items() if text.startswith(word)), "")
        table.add_row(Text(name, style="cyan"), Text(text, style=mark))
    console = Console()
    console.print(table)
    for line in lines:
        console.print(Text(line))
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
