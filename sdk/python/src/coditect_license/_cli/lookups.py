"""What the server shows to everybody, fetched as a client would: by the same proxies and certificate authorities."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from .._aside import Aside
from .._checks import CheckedSettings, checked
from .._clock import Clock
from .._errors import LicenseError, ServerUnreachable
from .._exchange import Reply, Request, SendRequest, TransportFault
from .._http import SyncHttp
from .._jws import loads
from .._proxies import RequestWay
from .._settings import Settings
from .profile import client_settings

if TYPE_CHECKING:
    from .._context import Context

KEYS_PATH = "/.well-known/license-keys"


@dataclass
class _Way:
    """What a request needs to know where there is no client yet, since no key is known or no root is pinned."""

    settings: CheckedSettings
    server: str
    clock: Clock
    last_way: RequestWay | None = None


class Unreachable(ServerUnreachable):
    """A server that was not reached, and why: ``fault`` is as the transport told it."""

    def __init__(self, message: str, fault: TransportFault) -> None:
        super().__init__(message)
        self.fault = fault


def fetch(found: dict[str, Any], options: argparse.Namespace, path: str = KEYS_PATH) -> Reply:
    """A public page of the server, whatever its status is. It takes no longer than the timeout.

    Raises :class:`Unreachable`, and :class:`ConfigurationError` where a setting is wrong.
    """
    usual = client_settings(found, options) | {"key": "none", "product": "none", "roots": None, "pool": None}
    settings = checked(Settings(server=found["server"], **usual))
    way = _Way(settings, settings.servers[0], settings.clock)

    def ask() -> Reply | TransportFault | LicenseError:
        http = SyncHttp(cast("Context", way), None, None)
        answer: Reply | TransportFault | None = None
        try:
            # One front of a deployment is enough, as it is for a client.
            for server in settings.servers:
                seconds = settings.timeout / len(settings.servers)
                answer = http.send(SendRequest(Request(path, None, method="GET"), seconds, server))
                if isinstance(answer, Reply):
                    break
        except LicenseError as error:
            return error
        finally:
            http.close()
        return answer or TransportFault("no address was asked")

    # A thread of its own, since a resolver has no timeout.
    answer = Aside("coditect-license-look").run(ask, settings.timeout + 3)
    if isinstance(answer, Reply):
        return answer
    if isinstance(answer, LicenseError):
        raise answer
    fault = answer or TransportFault(f"no answer within {settings.timeout:.0f} s")
    advice = fault.advice or "Check the address, the network and any proxy."
    raise Unreachable(f"{', '.join(settings.servers)} was not reached: {fault.reason}. {advice}", fault)


def keys_of(reply: Reply) -> dict[str, Any]:
    """The JWK set of a reply. Raises :class:`ValueError` where it has none."""
    value = loads(reply.body) if reply.status == 200 else None
    if not isinstance(value, dict) or not isinstance(value.get("keys"), list):
        raise ValueError("no key set")  # noqa: TRY004 - it is about a value, read from somebody else's text
    return value
