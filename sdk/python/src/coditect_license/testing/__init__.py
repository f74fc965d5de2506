"""A license server in memory, for the tests of programs that take seats: no server, no network, no waiting.

    def test_the_export_needs_a_seat(license_server):
        license_server.occupy_seats()
        assert my_program.export() == "All seats are in use."

pytest finds the fixture ``license_server`` by itself. Without pytest, ``with InMemoryServer() as server:`` does the
same. The server speaks what the real one speaks: its answers are signed, and its refusals are those of
``sdk/vectors``. Importing this package imports nothing else; names are looked up when they are first used (PEP 562).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._clock import ManualClock as ManualClock
    from ._loopback import LoopbackServer as LoopbackServer
    from ._scripts import (
        OutageKind as OutageKind,
        ReceivedCall as ReceivedCall,
        ScriptedRefusal as ScriptedRefusal,
        refusal as refusal,
    )
    from ._seats import HeldSession as HeldSession
    from ._server import InMemoryServer as InMemoryServer
    from ._signing import InstanceSigner as InstanceSigner

_HOMES: dict[str, tuple[str, ...]] = {
    "_clock": ("ManualClock",),
    "_loopback": ("LoopbackServer",),
    "_scripts": ("OutageKind", "ReceivedCall", "ScriptedRefusal", "refusal"),
    "_seats": ("HeldSession",),
    "_server": ("InMemoryServer",),
    "_signing": ("InstanceSigner",),
}
"""The public names, each under the module that defines it."""

__all__ = sorted([name for names in _HOMES.values() for name in names])  # noqa: PLE0605 - derived from the one list


def __getattr__(name: str) -> object:
    """Import the module of a public name when the name is first used."""
    from importlib import import_module

    for module, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"{__name__}.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
