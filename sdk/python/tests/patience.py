"""Waits of the product whose time begins when something has happened, however long the machine takes until then."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from coditect_license import _aio, _aio_aside, _aio_seat
from coditect_license._aside import Latch


def begin_with(happened: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the waits of the main thread, and of its loop, begin once it has happened."""
    wait, wait_for_future = Latch.wait, _aio_aside.wait_for_future

    def wait_later(self: Latch, timeout: float) -> bool:
        if threading.current_thread() is threading.main_thread():
            assert happened.wait(60)
        return wait(self, timeout)

    async def wait_for_future_later(future: asyncio.Future[Any], seconds: float) -> bool:
        while not happened.is_set():
            await asyncio.sleep(0.01)
        return await wait_for_future(future, seconds)

    monkeypatch.setattr(Latch, "wait", wait_later)
    for module in (_aio, _aio_seat):
        monkeypatch.setattr(module, "wait_for_future", wait_for_future_later)
