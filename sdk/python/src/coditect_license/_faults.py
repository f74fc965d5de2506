"""What went wrong with a request, in words: the reason, what to do, and whether the request may have arrived."""

from __future__ import annotations

import errno
from typing import Any

from ._exchange import SendRequest, TransportFault
from ._proxies import RequestWay, unusable_proxy

NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST")
"""How OpenSSL's versions say that what came was no TLS."""


def fault_of(error: Exception, effect: SendRequest, way: RequestWay) -> TransportFault:
    """The fault that an exception of httpx is."""
    reason, advice = _through(way, _reason_of(error, effect)), None
    if way.proxy is not None:
        advice = way.advice
        if "407" in reason:
            advice = f"The proxy wants a name and a password, as in http://name:password@proxy.example.com. {advice}"
    elif "proxy" in f"{type(error).__name__} {error}".lower() or "socks" in str(error).lower():
        advice = "Check proxy=…, or the proxy variables of the environment (ALL_PROXY, HTTPS_PROXY, NO_PROXY)."
        reason, advice = unusable_proxy() or (reason, advice)
    else:
        reason, advice = _encryption_fault(error, way.address) or (reason, advice)
    sent = effect.request.request_id
    return TransportFault(reason, advice, sent, may_have_arrived=not _was_unsent(error))


def late_fault(effect: SendRequest, way: RequestWay) -> TransportFault:
    """The fault of a request of which nothing has come to an end when its time was over."""
    advice = None if way.proxy is None else way.advice
    return TransportFault(_through(way, _late_reason(effect)), advice, effect.request.request_id)


def _through(way: RequestWay, reason: str) -> str:
    """A reason with the proxy that the request went through, if it did."""
    return reason if way.proxy is None else f"{reason}, through {way.proxy}"


def _late_reason(effect: SendRequest) -> str:
    return f"no answer within {effect.timeout:.1f} s"


def _was_unsent(error: Exception) -> bool:
    """Whether an error says that no connection was made, so that the request reached nobody."""
    try:
        import httpx
    except ImportError:
        return True
    unsent = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
    return isinstance(error, (*unsent, httpx.InvalidURL))


def refused_certificate(error: Exception) -> Any:  # noqa: ANN401 - ssl is not imported before it is used
    """The refused certificate that an exception of httpx comes from, if it does."""
    from ._tls import verification_error

    return verification_error(error)


def refused_fault(
    refused: Any,  # noqa: ANN401 - as above
    certificate: str,
    effect: SendRequest,
    way: RequestWay,
) -> TransportFault:
    """The fault of a connection whose certificate was refused."""
    from ._tls import REFUSED_ADVICE, refused_reason

    reason, sent = _through(way, refused_reason(refused, certificate)), effect.request.request_id
    return TransportFault(reason, REFUSED_ADVICE, sent, may_have_arrived=False)


def _reason_of(error: Exception, effect: SendRequest) -> str:
    try:
        import httpx
    except ImportError as missing:
        return f"the package httpx cannot be loaded ({missing})"
    if isinstance(error, httpx.TimeoutException):
        return _late_reason(effect)
    if _has_errno(error, errno.EMFILE, errno.ENFILE):
        return "this program has no file descriptor left for a connection"
    return _text_of(error)


def _has_errno(error: BaseException, *numbers: int) -> bool:
    found: BaseException | None = error
    for _ in range(10):
        if found is None or getattr(found, "errno", None) in numbers:
            return found is not None
        found = found.__cause__ or found.__context__
    return False


def _text_of(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__


def _encryption_fault(error: Exception, address: str) -> tuple[str, str] | None:
    """What is said where one side speaks TLS and the other does not: the reason and what to do, or ``None``."""
    import httpx

    if address.startswith("https://"):
        if not _is_not_tls(error):
            return None
        advice = "Check the port. A server without encryption has an http:// address, which needs allow_http=True."
        return "what answers there does not encrypt (no TLS)", advice
    if not isinstance(error, (httpx.RemoteProtocolError, httpx.ReadError)):
        return None
    # The usual end of a conversation with a server that wanted TLS: it hangs up, or says so in a form of its own.
    return _text_of(error), "If that server encrypts (TLS), its address begins with https://. Else try again."


def _is_not_tls(error: BaseException) -> bool:
    import ssl

    found: BaseException | None = error
    for _ in range(10):
        if found is None or isinstance(found, ssl.SSLError):
            return found is not None and getattr(found, "reason", None) in NO_TLS
        found = found.__cause__ or found.__context__
    return False
