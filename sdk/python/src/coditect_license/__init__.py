"""Floating licenses for Python programs: take a seat, keep it, give it back, and never crash the program that holds it.

    from coditect_license import LicenseClient
    with LicenseClient("https://licenses.example.com", key="CODI-…", product="studio", version="1.2.3") as client:
        with client.seat() as seat:
            if seat.has("cloud"):
                ...

Importing this package imports nothing else and starts nothing. Names are looked up when they are first used (PEP 562).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for type checkers and editors; a test holds this block against _HOMES
    from ._aio import (
        AsyncLicenseClient as AsyncLicenseClient,
        AsyncSeat as AsyncSeat,
    )
    from ._client import LicenseClient as LicenseClient
    from ._clock import Clock as Clock
    from ._errors import (
        ConfigurationError as ConfigurationError,
        InvalidKey as InvalidKey,
        InvalidRequest as InvalidRequest,
        LicenseError as LicenseError,
        LicenseExpired as LicenseExpired,
        LicenseNotStarted as LicenseNotStarted,
        LicenseRevoked as LicenseRevoked,
        LicenseSuspended as LicenseSuspended,
        NoSeats as NoSeats,
        Refusal as Refusal,
        ServerUnreachable as ServerUnreachable,
        SessionGone as SessionGone,
        TooManyProcesses as TooManyProcesses,
        UnknownPool as UnknownPool,
        VerificationFailed as VerificationFailed,
        WrongProduct as WrongProduct,
    )
    from ._seat import Seat as Seat
    from ._seat_state import (
        SeatEvent as SeatEvent,
        SeatState as SeatState,
    )
    from ._settings import Settings as Settings
    from ._types import (
        Lease as Lease,
        License as License,
        SeatHolder as SeatHolder,
        TokenClaims as TokenClaims,
        Validation as Validation,
    )
    from ._version import __version__ as __version__

_HOMES: dict[str, tuple[str, ...]] = {
    "_aio": ("AsyncLicenseClient", "AsyncSeat"),
    "_client": ("LicenseClient",),
    "_clock": ("Clock",),
    "_errors": (
        "ConfigurationError",
        "InvalidKey",
        "InvalidRequest",
        "LicenseError",
        "LicenseExpired",
        "LicenseNotStarted",
        "LicenseRevoked",
        "LicenseSuspended",
        "NoSeats",
        "Refusal",
        "ServerUnreachable",
        "SessionGone",
        "TooManyProcesses",
        "UnknownPool",
        "VerificationFailed",
        "WrongProduct",
    ),
    "_seat": ("Seat",),
    "_seat_state": ("SeatEvent", "SeatState"),
    "_settings": ("Settings",),
    "_types": ("Lease", "License", "SeatHolder", "TokenClaims", "Validation"),
    "_version": ("__version__",),
}
"""The public names, each under the module that defines it. This is the one list of them."""

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
