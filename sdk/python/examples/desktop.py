"""A desktop application that says so when all seats are taken, and goes on without a network.

python desktop.py https://licenses.example.com roots.json CODI-…
"""

from __future__ import annotations

import sys

from coditect_license import LicenseClient, LicenseError, NoSeats, SeatEvent, SeatState, ServerUnreachable


def on_event(event: SeatEvent) -> None:
    """Show a change. This is called from the seat's thread: hand it to the thread of your windows, if you have one."""
    if event.kind == "grace_ending":
        print(f"Please connect within {(event.grace_left or 0) / 3600:.0f} hours to go on working.")
    elif event.state is SeatState.DEGRADED:
        print(f"Saving is possible, exporting is not: {event.problem}")
    elif event.state is SeatState.ONLINE and event.previous is not SeatState.ONLINE:
        print("Connected again.")


def main(server: str, roots: str, key: str) -> int:
    with LicenseClient(server, key=key, product="demo", version="1.2.3", roots=roots) as client:
        try:
            seat = client.seat(on_event=on_event, release_on_signals=True)
        except NoSeats as full:
            holders = ", ".join(holder.label for holder in full.holders) or "others"
            print(
                f"All {full.seats_total} seats are in use, by {holders}. "
                f"The next may be free in {full.next_seat_in or '?'} s."
            )
            return 1
        except ServerUnreachable as error:
            print(f"The license server is out of reach, and this machine has no time left without it. {error}")
            return 1
        except LicenseError as error:  # suspended, expired, a wrong key: the text says what to do
            print(error)
            return 1
        print(f"Seat {seat.number}, {seat.state.value}.")
        work(may_export=lambda: seat.state in (SeatState.ONLINE, SeatState.OFFLINE))
    return 0


def work(may_export) -> None:
    """Stands for the application's main loop. Ask when it matters, not once at the start."""
    print("Export:", "yes" if may_export() else "not now")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
