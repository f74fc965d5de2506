"""``os.fork`` beside a held seat, and children that end by ``os._exit``."""

from __future__ import annotations

import os
import sys
import warnings

from coditect_license import LicenseClient


def in_child(work) -> None:
    """Run this in a forked child, which must end well."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def main() -> None:
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    client = LicenseClient()
    seat = client.seat()

    def leave_it_alone() -> None:
        assert seat.state.value == "gone" and seat.problem.reason == "forked"
        seat.release()

    def take_another() -> None:
        with client.seat() as mine:
            assert mine.state.value == "online"

    def fork_once_more() -> None:
        with client.seat() as mine:
            in_child(leave_it_alone)
            in_child(take_another)
            assert mine.state.value == "online"

    for work in (leave_it_alone, take_another, fork_once_more):
        in_child(work)
    assert seat.state.value == "online"
    print("online")
    sys.stdout.flush()


main()
