"""What the client costs the program that holds a seat: one run, as JSON. Only Python's own is imported before it.

The settings come as arguments, since older clients read none of them from the environment.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

IDLE_SECONDS = 5.0
HEARTBEATS = 20


def memory() -> float:
    """MiB in memory now."""
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("/proc/self/status has no VmRSS")


def now() -> tuple[float, float, float]:
    return time.perf_counter(), time.process_time(), memory()


def since(before: tuple[float, float, float], name: str, told: dict[str, Any]) -> None:
    after = now()
    told[f"{name}, ms"] = (after[0] - before[0]) * 1000
    told[f"{name}, ms of processor"] = (after[1] - before[1]) * 1000
    told[f"{name}, MiB"] = after[2] - before[2]


def main(server: str, key: str, roots: str, cache: str) -> dict[str, Any]:
    told: dict[str, Any] = {}
    bare = now()
    from coditect_license import LicenseClient

    since(bare, "import", told)
    settings = {"key": key, "product": "demo", "roots": roots, "cache_dir": cache, "hardware_id": "machine-0001"}
    made = now()
    client = LicenseClient(server, **settings)
    seat = client.seat()
    since(made, "first seat", told)
    time.sleep(0.5)  # what is written to the disk aside is no part of a held seat
    told["threads of a held seat"] = threading.active_count() - 1
    told["memory of a held seat, MiB"] = memory() - bare[2]
    idle = time.process_time()
    time.sleep(IDLE_SECONDS)
    told["held and idle, ms of processor in a minute"] = (time.process_time() - idle) * 1000 * 60 / IDLE_SECONDS
    beating = time.process_time()
    for _ in range(HEARTBEATS):
        before = seat.claims
        seat.retry_now()
        while seat.claims is before:
            time.sleep(0.002)
    told["a heartbeat, ms of processor"] = (time.process_time() - beating) * 1000 / HEARTBEATS
    ending = now()
    seat.release()
    since(ending, "release", told)
    return {name: value for name, value in told.items() if name != "release, MiB"}


print(json.dumps(main(*sys.argv[1:])))
