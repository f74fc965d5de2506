"""Floating licenses for Python programs: take a seat, keep it, give it back, and never crash the program that holds it.

    from coditect_license import LicenseClient
    with LicenseClient("https://licenses.example.com", key="CODI-…", product="studio", version="1.2.3") as client:
        with client.seat() as seat:
            if seat.has("cloud"):
                ...

Importing this package imports nothing else and starts nothing: names are looked up when they are first used (PEP 562).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._aio import AsyncLicenseClient, AsyncSeat
    from ._client import LicenseClient
    from ._clock import Clock
    from ._errors import (
        ConfigurationError,
        Gone,
        InvalidKey,
        InvalidRequest,
        LicenseError,
        LicenseExpired,
        NoSeats,
        NotStarted,
        Refused,
        Revoked,
        ServerUnreachable,
        Suspended,
        TooManyProcesses,
        UnknownPool,
        VerificationFailed,
        WrongProduct,
    )
    from ._seat import Seat
    from ._types import Claims, Holder, Lease, License, SeatEvent, State, Validation
    from ._version import __version__

_HOMES = {
    "_aio": ("AsyncLicenseClient", "AsyncSeat"),
    "_client": ("LicenseClient",),
    "_clock": ("Clock",),
    "_errors": (
        "ConfigurationError",
        "Gone",
        "InvalidKey",
        "InvalidRequest",
        "LicenseError",
        "LicenseExpired",
        "NoSeats",
        "NotStarted",
        "Refused",
        "Revoked",
        "ServerUnreachable",
        "Suspended",
        "TooManyProcesses",
        "UnknownPool",
        "VerificationFailed",
        "WrongProduct",
    ),
    "_seat": ("Seat",),
    "_types": ("Claims", "Holder", "Lease", "License", "SeatEvent", "State", "Validation"),
    "_version": ("__version__",),
}

__all__ = [
    "AsyncLicenseClient",
    "AsyncSeat",
    "Claims",
    "Clock",
    "ConfigurationError",
    "Gone",
    "Holder",
    "InvalidKey",
    "InvalidRequest",
    "Lease",
    "License",
    "LicenseClient",
    "LicenseError",
    "LicenseExpired",
    "NoSeats",
    "NotStarted",
    "Refused",
    "Revoked",
    "Seat",
    "SeatEvent",
    "ServerUnreachable",
    "State",
    "Suspended",
    "TooManyProcesses",
    "UnknownPool",
    "Validation",
    "VerificationFailed",
    "WrongProduct",
    "__version__",
]


def __getattr__(name: str) -> object:
    """Import the home of a public name when it is first asked for."""
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"{__name__}.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
