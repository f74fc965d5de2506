"""Nothing of the asyncio client holds the event loop up: disks, handlers of logging, files of root keys."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from coditect_license import AsyncLicenseClient, ConfigurationError, SeatState
from coditect_license.testing import InMemoryServer

from .conftest import SOON_SECONDS, longest_standstill, until_in_loop
from .fake_server import ISSUER, ROOTS, Http
from .pulse import within
from .test_lifecycle import POSIX
from .test_surroundings import Hang, LoopsDisk, sources


class Slow(logging.Handler):
    """A handler that writes to a place that takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[int] = []
        self.go = threading.Event()

    def emit(self, _: logging.LogRecord) -> None:
        self.threads.append(threading.get_ident())
        self.go.wait(60)


def test_a_handler_of_logging_that_takes_its_time_holds_no_loop_up() -> None:
    handler, logger = Slow(), logging.getLogger("coditect_license")
    told: list[int] = []

    def on_event(_: object) -> None:
        told.append(threading.get_ident())
        raise RuntimeError("the program's own")

    async def program() -> None:
        with InMemoryServer() as server:
            async with server.async_client() as client:
                await client.validate()
                async with client.seat(on_event=on_event) as seat:
                    with server.outage():
                        await server.advance_async(400)
                    await until_in_loop(lambda: seat.state is SeatState.OFFLINE)
                    await until_in_loop(lambda: bool(told))
                    await until_in_loop(lambda: bool(handler.threads))

    logger.addHandler(handler)
    try:
        assert longest_standstill(program) < SOON_SECONDS
    finally:
        handler.go.set()
        logger.removeHandler(handler)
    assert threading.get_ident() not in handler.threads
    assert set(told) == {threading.get_ident()}, "callbacks are called by the loop"


@pytest.mark.parametrize("name", ["hardware_id", "hw", "deployment"])
def test_what_hangs_on_the_machine_holds_no_loop_up(settings: dict[str, Any], name: str) -> None:
    hang = Hang()
    del settings["hardware_id"]
    client = AsyncLicenseClient(ISSUER, timeout=60.0, system=sources(data_dir=hang), **settings)

    async def program() -> None:
        with pytest.raises(ConfigurationError, match="Await a call"):
            getattr(client, name)

    try:
        assert longest_standstill(program) < SOON_SECONDS
    finally:
        hang.go.set()


def test_what_is_known_of_the_machine_is_read_in_a_loop(http: Http, settings: dict[str, Any]) -> None:
    del settings["hardware_id"]

    async def program() -> None:
        async with AsyncLicenseClient(http.url, system=sources(), **settings) as client:
            await client.validate()
            assert client.hardware_id and client.hw and client.deployment

    asyncio.run(program())
    assert AsyncLicenseClient(http.url, system=sources(), **settings).hardware_id, "nor does it need a loop"


def test_root_keys_on_a_disk_that_hangs_hold_no_loop_up(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = LoopsDisk()
    monkeypatch.setattr(Path, "read_bytes", disk)
    settings |= {"roots": "/mnt/roots.json", "timeout": 60.0}

    async def program() -> None:
        disk.loop = asyncio.get_running_loop()
        client = AsyncLicenseClient(ISSUER, **settings)
        for ask in (client.validate, client.acquire, client.seat):
            before = disk.asked
            with pytest.raises(ConfigurationError, match="roots="):
                await ask()
            assert disk.asked > before

    assert longest_standstill(program) < SOON_SECONDS


@POSIX
def test_root_keys_on_a_disk_that_hangs_are_told_of_in_time_in_a_loop(settings: dict[str, Any], tmp_path: Path) -> None:
    pipe = tmp_path / "roots.json"
    os.mkfifo(pipe)
    settings["roots"] = pipe

    async def program() -> None:
        threads = threading.active_count()
        client = AsyncLicenseClient(ISSUER, timeout=0.5, **settings)
        assert threading.active_count() == threads, "making a client starts nothing"
        for ask in (client.validate, client.acquire, client.seat):
            with pytest.raises(ConfigurationError, match="roots="):
                await ask()

    try:
        within(SOON_SECONDS, lambda: asyncio.run(program()))
    finally:
        pipe.write_text(json.dumps(ROOTS))


def test_root_keys_in_a_file_are_read_with_the_first_request(
    http: Http, settings: dict[str, Any], tmp_path: Path
) -> None:
    settings["roots"] = tmp_path / "roots.json"

    async def program() -> None:
        client = AsyncLicenseClient(http.url, **settings)
        with pytest.raises(ConfigurationError, match="roots="):
            await client.seat()
        settings["roots"].write_text(json.dumps(ROOTS))
        async with client, client.seat() as seat:
            assert seat.state is SeatState.ONLINE
        public = AsyncLicenseClient("https://licenses.real-company.com", **settings)
        with pytest.raises(ConfigurationError, match="key for tests"):
            await public.validate()

    asyncio.run(program())
