"""The standard streams: whatever is the matter with them, the work goes on, and its end is told by the exit code."""

import os
import sys

MODES = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def open_streams():
    """Make them what the rest relies on: open, and able to write every letter in whatever locale."""
    for number, (name, mode) in enumerate(MODES):
        if getattr(sys, name) is None:
            # Closed by who started this. The next file that is opened would get its number, and be written into.
            _replace(number)
            setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: SIM115 - open as long as the process
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")


def _replace(number: int):
    empty = os.open(os.devnull, os.O_RDWR)
    if empty != number:
        os.dup2(empty, number)
        os.close(empty)
    # As a standard stream is: programs that are called get it.
    os.set_inheritable(number, True)


def say(text: str):
    """A line for the person who started the command. Nobody reading it is no reason to end what is under way."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _give_up(sys.stderr)


def show(text: str):
    """A part of a line that a program wrote."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        _give_up(sys.stderr)


def end_output():
    """Write out what is still to be written to standard output; where that fails, nothing is tried again at the end."""
    try:
        sys.stdout.flush()
    except OSError:
        _give_up(sys.stdout)
        raise


def _give_up(stream):
    _replace(stream.fileno())
