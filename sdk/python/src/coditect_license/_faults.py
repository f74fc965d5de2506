"""What went wrong with a request, in words: the reason, what to do, and whether the request may have arrived."""

from __future__ import annotations

from typing import Any

from ._exchange import SendRequest, TransportFault
from ._proxies import RequestWay, unusable_proxy


def fault_of(error: Exception, effect: SendRequest, way: RequestWay) -> TransportFault:
    """The fault that an exception of httpx is."""
    reason, advice = _reason_of(error, effect), None
    if way.proxy is not None:
        reason, advice = f"{reason}, through {way.proxy}", way.advice
        if "407" in reason:
            advice = f"The proxy wants a name and a password, as in http://name:password@proxy.example.com. {advice}"
    elif "proxy" in f"{type(error).__name__} {error}".lower() or "socks" in str(error).lower():
        advice = "Check proxy=…, or the proxy variables of the environment (ALL_PROXY, HTTPS_PROXY, NO_PROXY)."
        reason, advice = unusable_proxy() or (reason, advice)
    sent = effect.request.request_id
    return TransportFault(reason, advice, sent, may_have_arrived=not _was_unsent(error))


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


def refused_fault(refused: Any, certificate: str, effect: SendRequest) -> TransportFault:  # noqa: ANN401 - as above
    """The fault of a connection whose certificate was refused."""
    from ._tls import REFUSED_ADVICE, refused_reason

    reason, sent = refused_reason(refused, certificate), effect.request.request_id
    return TransportFault(reason, REFUSED_ADVICE, sent, may_have_arrived=False)


def _reason_of(error: Exception, effect: SendRequest) -> str:
    try:
        import httpx
    except ImportError as missing:
        return f"the package httpx cannot be loaded ({missing})"
    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {effect.timeout:.1f} s"
    return str(error) or type(error).__name__
