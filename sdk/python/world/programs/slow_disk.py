"""Take a seat, read it, and give it back, and print as JSON how long each took, in seconds.

slow_disk.py sync | async [own-id]    `own-id`: on a machine without an id, for which one must be kept in the home
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coditect_license import AsyncLicenseClient, LicenseClient, LicenseError
from coditect_license._identity import this_system

READ_SECONDS = 3.0
took: dict[str, Any] = {}


@contextmanager
def timed(what: str) -> Iterator[None]:
    began = time.monotonic()
    try:
        yield
    finally:
        took[what] = max(time.monotonic() - began, took.get(what, 0.0))


def settings() -> dict[str, Any]:
    if "own-id" in sys.argv:
        return {"system": dataclasses.replace(this_system(), root=Path("/nowhere"), env={})}
    return {}


def read(seat: Any) -> None:
    with timed("state"):
        assert seat.state.value == "online", seat.state
        seat.has("cloud")
        _ = seat.problem, seat.grace_left, seat.metadata


def hold() -> None:
    client = LicenseClient(**settings())
    try:
        with timed("start"):
            seat = client.seat()
    except LicenseError as error:
        took["error"] = type(error).__name__
        return
    end = time.monotonic() + READ_SECONDS
    while time.monotonic() < end:
        read(seat)
        time.sleep(0.02)
    with timed("release"):
        took["told"] = seat.release()
    with timed("close"):
        client.close()


async def watch() -> None:
    """The longest time for which the event loop did nothing else."""
    while True:
        before = time.monotonic()
        await asyncio.sleep(0.01)
        took["loop"] = max(took.get("loop", 0.0), time.monotonic() - before - 0.01)


async def hold_in_a_loop() -> None:
    watching = asyncio.create_task(watch())
    client = AsyncLicenseClient(**settings())
    try:
        with timed("start"):
            seat = await client.seat()
    except LicenseError as error:
        took["error"] = type(error).__name__
        return
    end = time.monotonic() + READ_SECONDS
    while time.monotonic() < end:
        read(seat)
        await asyncio.sleep(0.02)
    with timed("release"):
        took["told"] = await seat.release()
    with timed("close"):
        await client.close()
    watching.cancel()


if __name__ == "__main__":
    if sys.argv[1] == "sync":
        hold()
    else:
        asyncio.run(hold_in_a_loop())
    took["ended"] = time.time()
    print(json.dumps(took), flush=True)
