"""One real server for all tests here; each test has an organization and a license of its own in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coditect_license import LicenseClient

from .machine import Machine, NewLicense, running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/local/" in str(item.path):
            item.add_marker(pytest.mark.local)
            # One server for all of them, also where several workers share the tests.
            item.add_marker(pytest.mark.xdist_group("local"))


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """A test that stops it leaves it running again, on the same port and with the same data."""
    with running() as machine:
        yield machine


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Callable[..., LicenseClient]]:
    """Makes clients, and closes them when the test is over."""
    made: list[LicenseClient] = []

    def make(
        machine: Machine, license_: NewLicense, hardware_id: str = "machine-0001", **settings: Any
    ) -> LicenseClient:
        usual: dict[str, Any] = {
            "key": license_.key,
            "product": "demo",
            "roots": machine.roots(),
            "hardware_id": hardware_id,
            "cache_dir": tmp_path / "cache",
        }
        client = LicenseClient(settings.pop("server", machine.url), **usual | settings)
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()
