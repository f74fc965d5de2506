"""Take a seat with nothing but what stands in the environment, say its state, and give it back.

hold.py [sync | async] [once | stdin]    `stdin` holds it until standard input ends
"""

from __future__ import annotations

import asyncio
import sys

from coditect_license import AsyncLicenseClient, LicenseClient


def hold(until_stdin_ends: bool) -> None:
    with LicenseClient() as client, client.seat() as seat:
        print(seat.state.value, flush=True)
        if until_stdin_ends:
            sys.stdin.read()


async def hold_in_a_loop(until_stdin_ends: bool) -> None:
    async with AsyncLicenseClient() as client, client.seat() as seat:
        print(seat.state.value, flush=True)
        if until_stdin_ends:
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    face, end = sys.argv[1:]
    if face == "sync":
        hold(end == "stdin")
    else:
        asyncio.run(hold_in_a_loop(end == "stdin"))
