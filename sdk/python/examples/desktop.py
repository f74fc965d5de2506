"""A desktop application that says so when all seats are taken, and goes on without a network.

    python desktop.py                      with the settings of the environment
    python desktop.py SERVER ROOTS KEY     with these

Against the server that `./dev run` starts, from the root of the repository:

    curl -so roots.json http://127.0.0.1:8080/.well-known/license-keys
    export CODITECT_LICENSE_KEY="$(cat .local/license-key)"
    python sdk/python/examples/desktop.py http://127.0.0.1:8080 roots.json

A `roots.json` beside this file is used where no other is given, also when PyInstaller has packed both into one program.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path

from coditect_license import LicenseClient, LicenseError, NoSeats, SeatEvent, SeatState, ServerUnreachable


def on_event(event: SeatEvent) -> None:
    """Show a change. It is called from a thread of its own: hand it to the thread of your windows, if you have one."""
    if event.kind == "grace_ending":
        print(f"Please connect within {(event.grace_left or 0) / 3600:.0f} hours to go on working.")
    elif event.state is SeatState.DEGRADED:
        print(f"Saving is possible, exporting is not: {event.problem}")
    elif event.state is SeatState.ONLINE and event.previous is not SeatState.ONLINE:
        print("Connected again.")


def make_client(server: str | None = None, roots: str | None = None, key: str | None = None) -> LicenseClient:
    """A client of what is given; the environment says the rest, and this program knows its product."""
    beside = Path(__file__).with_name("roots.json")
    if roots is None and "CODITECT_LICENSE_ROOTS" not in os.environ and beside.exists():
        roots = str(beside)
    # The demo license is for the product "demo". Your program is one product, and names it here.
    product = os.environ.get("CODITECT_LICENSE_PRODUCT") or "demo"
    return LicenseClient(server, key=key, product=product, version="1.2.3", roots=roots)


def main(*given: str) -> int:
    try:
        with make_client(*given) as client:
            seat = client.seat(on_event=on_event, release_on_signals=True)
            print(f"Seat {seat.number}, {seat.state.value}.", flush=True)
            work(may_export=lambda: seat.state in (SeatState.ONLINE, SeatState.OFFLINE))
    except NoSeats as full:
        holders = ", ".join(holder.label for holder in full.holders) or "others"
        next_one = f"The next may be free in {full.next_seat_in or '?'} s."
        print(f"All {full.seats_total} seats are in use, by {holders}. {next_one}")
        return 1
    except ServerUnreachable as error:
        print(f"The license server is out of reach, and this machine has no time left without it. {error}")
        return 1
    except LicenseError as error:  # a missing setting, suspended, expired, a wrong key: the text says what to do
        print(error)
        return 1
    return 0


def work(may_export: Callable[[], bool]) -> None:
    """Stands for the application's main loop: an export, and one more for each line until the input ends.

    Ask when it matters, not once at the start.
    """
    print("Export:", "yes" if may_export() else "not now", flush=True)
    for _ in sys.stdin or ():  # a program without a console has none
        print("Export:", "yes" if may_export() else "not now", flush=True)


if __name__ == "__main__":
    multiprocessing.freeze_support()  # a frozen program is started again for each child of multiprocessing
    if len(sys.argv) > 4:
        sys.exit("python desktop.py [SERVER [ROOTS [KEY]]]")
    sys.exit(main(*sys.argv[1:]))
