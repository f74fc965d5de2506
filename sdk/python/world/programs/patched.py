"""Hold a seat, beat once, and give it back, in a process that something has changed before.

patched.py KIND    gevent, eventlet: monkey patched; plain: as it is (with -O, -I -S and other switches of Python);
daemon: a daemon thread holds the seat at exit; trio, anyio-trio: the asyncio client in another event loop
"""

from __future__ import annotations

import sys

KIND = sys.argv[1]
if KIND == "gevent":
    from gevent import monkey

    monkey.patch_all()
elif KIND == "eventlet":
    import warnings

    warnings.simplefilter("ignore")  # it tells everybody to use something else
    sys.modules["trio"] = None  # httpx imports it where it is installed, and it cannot be imported in a patched process
    import eventlet

    eventlet.monkey_patch()
    warnings.simplefilter("default")

import contextlib  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

from coditect_license import AsyncLicenseClient, LicenseClient, LicenseError, ServerUnreachable  # noqa: E402


def hold() -> None:
    """One heartbeat, while other work of the program goes on."""
    ticks = 0
    done = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not done.is_set():
            ticks += 1
            time.sleep(0.01)

    ticking = threading.Thread(target=tick)
    ticking.start()
    events: list[str] = []
    with LicenseClient() as client, client.seat(on_event=lambda event: events.append(event.kind)) as seat:
        before, end = seat.claims, time.monotonic() + 20
        seat.retry_now()
        while seat.claims is before and time.monotonic() < end:
            time.sleep(0.01)
        assert seat.claims is not before, "no heartbeat"
        print(seat.state.value, flush=True)
        client.validate()
    lease = client.acquire()
    client.release(client.heartbeat(lease))
    done.set()
    ticking.join()
    assert ticks > 3, "nothing else of the program ran meanwhile"


def hold_in_daemon_threads() -> None:
    """The program ends while its daemon threads have seats and ask for more."""
    ready = threading.Barrier(4)

    def work() -> None:
        client = LicenseClient()
        seat = client.seat()
        ready.wait(20)
        # While the program ends they are refused, as where a server cannot be reached.
        with contextlib.suppress(ServerUnreachable):
            while True:
                with client.seat():
                    assert seat.state.value in ("online", "gone")

    for _ in range(3):
        threading.Thread(target=work, daemon=True).start()
    ready.wait(20)
    time.sleep(0.2)  # they are in the midst of it
    print("online", flush=True)


async def hold_in_another_loop() -> None:
    try:
        async with AsyncLicenseClient() as client, client.seat() as seat:
            print(seat.state.value, flush=True)
    except LicenseError as error:
        print(f"{type(error).__name__}: {error}", flush=True)


if KIND == "daemon":
    hold_in_daemon_threads()
elif KIND == "trio":
    import trio

    trio.run(hold_in_another_loop)
elif KIND == "anyio-trio":
    import anyio

    anyio.run(hold_in_another_loop, backend="trio")
else:
    hold()
