"""Errors wherever they travel: copied, pickled, raised again in another process, shown in a traceback."""

from __future__ import annotations

import asyncio
import copy
import gc
import multiprocessing
import pickle
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timezone
from functools import partial
from typing import Any

import httpx
import pytest

import coditect_license
from coditect_license import (
    AsyncLicenseClient,
    ConfigurationError,
    InvalidRequest,
    LicenseClient,
    LicenseError,
    LicenseExpired,
    LicenseNotStarted,
    LicenseRevoked,
    LicenseSuspended,
    NoSeats,
    Refusal,
    SeatHolder,
    ServerUnreachable,
    SessionGone,
    TooManyProcesses,
    VerificationFailed,
    WrongProduct,
)

from . import patience
from .conftest import FakeClock
from .fake_server import ISSUER, FakeServer

NOW = datetime(2026, 11, 21, 3, 10, 48, tzinfo=timezone.utc)
PUBLIC: list[type[LicenseError]] = [
    value
    for name in coditect_license.__all__
    if isinstance(value := getattr(coditect_license, name), type) and issubclass(value, LicenseError)
]
DETAILED: list[LicenseError] = [
    InvalidRequest("What happened.", [("pool", "is wrong")]),
    ServerUnreachable("What happened.", 2.5, "no token was kept."),
    VerificationFailed("license token", "issuer", expected="https://a", found="https://b"),
    NoSeats("Full.", seats_total=5, seats_used=5, next_seat_in=7, holders=[SeatHolder("h", NOW, 3)], request_id="r"),
    TooManyProcesses("Full.", processes=32, next_process_in=3, request_id="r"),
    *(
        kind("Not now.", license="1XTSA1CTX2VZP", since=NOW, request_id="r")
        for kind in (LicenseExpired, LicenseSuspended, LicenseRevoked, LicenseNotStarted)
    ),
    WrongProduct("Wrong.", product="other", license="1XTSA1CTX2VZP", request_id="r"),
    SessionGone("Over.", reason="kicked", request_id="r"),
]
"""Those with members of their own, of which each is given."""
ERRORS: list[LicenseError] = [
    *(kind("What happened.") for kind in PUBLIC if kind not in map(type, DETAILED)),
    *DETAILED,
]
"""One of each public kind: a new one is among them by itself."""
ERRORS[0].request_id = "r-9"
ERRORS[1].__dict__["code"] = "something_new"


def pickled(protocol: int, error: LicenseError) -> Any:
    return pickle.loads(pickle.dumps(error, protocol))


def again(at: int) -> None:
    """Raise it in another process."""
    raise ERRORS[at]


@pytest.mark.parametrize("at", range(len(ERRORS)))
def test_an_error_survives_copying_and_pickling(at: int) -> None:
    error = ERRORS[at]
    copies: list[Callable[[LicenseError], Any]] = [copy.copy, copy.deepcopy]
    copies += [partial(pickled, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    for copied in (make(error) for make in copies):
        assert type(copied) is type(error) and str(copied) == str(error)
        assert copied.args == error.args and vars(copied) == vars(error)


def kinds_below(kind: type[LicenseError]) -> set[type[LicenseError]]:
    return {kind}.union(*(kinds_below(one) for one in kind.__subclasses__()))


def test_every_public_error_is_among_them_and_is_named_as_it_is_imported() -> None:
    # What says that it is of the package can be imported from there.
    said = {kind for kind in kinds_below(LicenseError) if kind.__module__ == "coditect_license"}
    assert {type(error) for error in ERRORS} == {kind for kind in said if not kind.__name__.startswith("_")}
    for error in PUBLIC:
        assert error.__module__ == "coditect_license"
        shown = traceback.format_exception_only(error.__new__(error))
        assert shown[0].startswith(f"coditect_license.{error.__name__}")


def test_an_error_is_raised_again_by_another_process() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        for at, error in enumerate(ERRORS):
            with pytest.raises(type(error)) as caught:
                executor.submit(again, at).result(60)
            assert vars(caught.value) == vars(error)


def test_every_error_of_a_request_names_it(client: LicenseClient, server: FakeServer) -> None:
    client._context.max_retries = 0
    answers: list[Callable[[httpx.Request], httpx.Response]] = [
        lambda _: httpx.Response(503, json={"code": "unavailable"}, headers={"x-request-id": "r-7"}),
        lambda _: httpx.Response(422, json={"code": "invalid_request"}, headers={"x-request-id": "r-7"}),
        lambda _: httpx.Response(502, text="<html>", headers={"x-request-id": "r-7"}),
        lambda _: httpx.Response(404, json={"code": "not_found"}, headers={"x-request-id": "r-7"}),
    ]
    for answer in answers:
        server.broken = answer
        for ask in (client.validate, client.seat):
            with pytest.raises(LicenseError) as caught:
                ask()
            assert caught.value.request_id == "r-7"
    server.broken = None
    server.tweak = {"aud": "other"}
    with pytest.raises(VerificationFailed) as refused:
        client.acquire()
    assert refused.value.request_id

    sent: list[str] = []

    def lost(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["x-request-id"])
        raise httpx.ReadError("the connection was lost")

    server.broken = lost
    with pytest.raises(ServerUnreachable) as unreachable:
        client.acquire()
    # What an earlier call left unknown is asked for in the background, under ids of its own.
    assert unreachable.value.request_id in sent, "the server's logs have it, also where no answer came"


@pytest.mark.parametrize("call", ["seat", "acquire", "validate", "heartbeat", "release", "a block", "an argument"])
def test_a_traceback_ends_in_the_programs_own_frame(
    client: LicenseClient, async_client: AsyncLicenseClient, server: FakeServer, call: str
) -> None:
    lease = client.acquire()
    server.refuse |= dict.fromkeys(("acquire", "validate", "heartbeat", "release"), (403, "license_suspended", {}))

    def begin(face: Any) -> Any:
        if call == "an argument":
            return face.seat(wait="long")
        given = (lease,) if call in ("heartbeat", "release") else ()
        return getattr(face, "seat" if call == "a block" else call)(*given)

    async def by_task() -> None:
        if call == "a block":
            async with begin(async_client):
                pass
        else:
            await begin(async_client)

    for ask in (lambda: begin(client), lambda: asyncio.run(by_task())):
        with pytest.raises((Refusal, ConfigurationError)) as caught:
            ask()
        ours = [
            frame for frame in traceback.extract_tb(caught.value.__traceback__) if "coditect_license" in frame.filename
        ]
        assert len(ours) == 1, ours
        text = "".join(traceback.format_exception(caught.value))
        assert "direct cause" not in text and "During handling" not in text


def test_a_wrong_setting_has_a_short_traceback() -> None:
    with pytest.raises(LicenseError) as caught:
        LicenseClient(ISSUER, key="CODI-", product="studio")
    ours = [frame for frame in traceback.extract_tb(caught.value.__traceback__) if "coditect_license" in frame.filename]
    assert len(ours) == 1, ours
    assert "direct cause" not in "".join(traceback.format_exception(caught.value))


def test_another_issuer_and_another_product_are_named(client: LicenseClient, server: FakeServer) -> None:
    server.tweak = {"iss": "https://other.example.com"}
    with pytest.raises(
        VerificationFailed, match=r"expected https://licenses.example.com, found https://other"
    ) as caught:
        client.acquire()
    assert (caught.value.expected, caught.value.found) == (ISSUER, "https://other.example.com")
    server.tweak = {"aud": "x\n" * 1000}
    with pytest.raises(VerificationFailed, match="expected studio, found x") as long:
        client.acquire()
    assert len(str(long.value)) < 600 and "\n" not in str(long.value)


@pytest.mark.parametrize("call", ["seat", "acquire", "validate", "release", "heartbeat"])
@pytest.mark.filterwarnings("error")
def test_an_event_loop_that_is_not_one_of_asyncio_is_refused_with_what_to_do(
    async_client: AsyncLicenseClient, client: LicenseClient, call: str
) -> None:
    lease = client.acquire()

    async def program() -> None:
        method = getattr(async_client, call)
        await (method(lease) if call in ("release", "heartbeat") else method())

    # As trio does it: steps without a loop of asyncio.
    with pytest.raises(ConfigurationError, match=r"trio\.to_thread"):
        program().send(None)
    client.release(lease)
    gc.collect()


@pytest.mark.parametrize("call", ["seat", "acquire", "validate"])
def test_an_error_names_its_request_where_a_transport_hangs(
    settings: dict[str, Any], clock: FakeClock, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it takes until it hangs there: the patience of each wait counts from then."""
    sent: list[str] = []
    go, entered = threading.Event(), threading.Event()

    class Hanging(httpx.BaseTransport, httpx.AsyncBaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            sent.append(request.headers["x-request-id"])
            entered.set()
            go.wait(60)
            raise httpx.ReadError("the connection was lost")

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            sent.append(request.headers["x-request-id"])
            entered.set()
            await asyncio.get_running_loop().run_in_executor(None, go.wait, 60)
            raise httpx.ReadError("the connection was lost")

    more = settings | {"transport": Hanging(), "timeout": 0.5, "max_retries": 0, "clock": clock}

    async def by_task() -> None:
        client = AsyncLicenseClient(ISSUER, **more)
        client._http.make_ready()
        try:
            await getattr(client, call)()
        finally:
            go.set()

    patience.begin_with(entered, monkeypatch)
    for ask in (lambda: asyncio.run(by_task()), getattr(LicenseClient(ISSUER, **more), call)):
        with pytest.raises(ServerUnreachable, match=r"within 0\.5 s") as caught:
            ask()
        assert caught.value.request_id == sent[0]
        go.clear()
        entered.clear()
        sent.clear()
    go.set()


def test_a_short_time_limit_is_told_as_it_is() -> None:
    from coditect_license._exchange import seconds_in_words

    told = {0.04: "0.04 s", 0.5: "0.5 s", 1: "1 s", 1.5: "1.5 s", 9.96: "10 s", 10.4: "10 s", 3600.0: "3600 s"}
    assert {seconds: seconds_in_words(seconds) for seconds in told} == {it: f"within {told[it]}" for it in told}
    assert seconds_in_words(float("inf")) == "in time"
