"""The plugin of pytest: the fixture ``license_server``. It imports nothing of the server until a test asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ._server import InMemoryServer

MARKER = (
    "license_server(**arguments): how the fixture license_server is made, with the arguments of "
    "coditect_license.testing.InMemoryServer"
)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", MARKER)


@pytest.fixture
def license_server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemoryServer]:
    """A license server in memory, to which every client of this process speaks whose server is its ``url``.

    The variables ``CODITECT_LICENSE_SERVER``, ``…_KEY``, ``…_ROOTS`` and, where a product is given, ``…_PRODUCT`` are
    set for the time of the test. ``@pytest.mark.license_server(seats=1, product="studio")`` says how it is made.
    """
    from ._server import InMemoryServer

    arguments: dict[str, object] = {}
    for marker in reversed(list(request.node.iter_markers("license_server"))):
        arguments |= marker.kwargs
    with InMemoryServer(**arguments) as server:  # type: ignore[arg-type]
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        yield server
