"""Take a seat in a real sub-interpreter: it is held and given back, or refused with a documented error."""

from __future__ import annotations

import os
import sys

PROGRAM = """
import sys
sys.path[:] = PATH
from coditect_license import LicenseClient, LicenseError
try:
    with LicenseClient() as client, client.seat() as seat:
        print(seat.state.value, flush=True)
except LicenseError as error:
    print(type(error).__name__ + ":", str(error), flush=True)
"""


def main(config: str) -> None:
    """``config``: ``isolated`` is an interpreter with a lock of its own, ``legacy`` one that shares it."""
    text = PROGRAM.replace("PATH", repr(sys.path))
    if sys.version_info >= (3, 13):
        import _interpreters as interpreters

        made = interpreters.create(config)
        failed = interpreters.exec(made, text)
        if failed is not None:
            print(failed.formatted, flush=True)
    else:
        import _xxsubinterpreters as interpreters

        made = interpreters.create(isolated=config == "isolated")
        try:
            interpreters.run_string(made, text)
        except Exception as error:  # noqa: BLE001 - whatever comes out of it is told
            print(repr(error), flush=True)
    if sys.version_info < (3, 13) and config == "isolated":
        # Python 3.12 crashes when it destroys an isolated one that has imported no more than ssl.
        os._exit(0)
    interpreters.destroy(made)


main(sys.argv[1])
