"""The server that the parts share, and what its records say of who holds seats."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import until
from tests.local.machine import Machine, NewLicense

TTL = 30
"""Seconds of a lease. Long enough that no seat is lost to a busy machine, and short enough to await its end."""
SETTLE_SECONDS = 60.0
"""Seconds for which a seat that is given back in the background is awaited. A busy machine takes its time. Whether
it was given back, or only its lease has ended, is told by the records and not by a clock."""


def attach() -> Machine:
    """The license-local that the runner started."""
    machine = Machine(Path(os.environ["WORLD_SERVER"]))
    machine.attach()
    return machine


def surroundings(machine: Machine, license_: NewLicense, folder: Path, **more: str) -> dict[str, str]:
    """Environment variables with which ``LicenseClient()`` alone is a client of this license."""
    roots = folder / "roots.json"
    if not roots.exists():
        roots.write_text(json.dumps(machine.roots()))
    return os.environ | {
        "CODITECT_LICENSE_SERVER": machine.url,
        "CODITECT_LICENSE_KEY": license_.key,
        "CODITECT_LICENSE_PRODUCT": "demo",
        "CODITECT_LICENSE_ROOTS": str(roots),
        "CODITECT_LICENSE_CACHE_DIR": str(folder / "cache"),
        "CODITECT_LICENSE_HARDWARE_ID": "machine-0001",
        "PYTHONFAULTHANDLER": "1",
        **more,
    }


# When the last two sessions of a seat are released in the same moment, the server frees the seat with the later one and
# notes that the earlier one expired with it. It was given back all the same: no lease can be over so soon.
ENDS = """
select case when end_reason = 'expired' and ended_at < started_at + make_interval(secs => %s) then 'released'
  else coalesce(end_reason, 'open') end as reason, count(*)
from sessions where pool_id = %s group by 1
"""


def ends(machine: Machine, license_: NewLicense) -> Counter[str]:
    """How the sessions of a license ended, by the server's records; ``open`` counts those that have not."""
    with machine._sql("postgres") as sql:
        rows = sql.execute(ENDS, (TTL - 5, license_.pool)).fetchall()
    return Counter({str(reason): int(number) for reason, number in rows})


def all_given_back(
    machine: Machine, license_: NewLicense, sessions: int | None = None, seconds: float = SETTLE_SECONDS
) -> None:
    """Check that each session was given back by its client, and not merely left to the end of its lease.

    ``sessions`` is how many there must have been; at least one otherwise, since a client that never had a seat leaves
    none taken.
    """

    def counted() -> Counter[str]:
        return ends(machine, license_)

    wait_until(lambda: not counted()["open"] and not machine.held(license_), seconds)
    found = counted()
    assert set(found) == {"released"}, f"sessions ended so: {dict(found)}, seats held: {machine.held(license_)}"
    assert sessions is None or found["released"] == sessions, f"{found['released']} sessions instead of {sessions}"
    assert machine.held(license_) == 0, f"{machine.held(license_)} seats are left taken"


def wait_until(condition: Callable[[], Any], seconds: float) -> bool:
    """Whether it came true in time."""
    try:
        return bool(until(condition, seconds))
    except AssertionError:
        return False
