"""A proxy that is why the server is not reached is named, with where it was taken from and without its password."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coditect_license import AsyncLicenseClient, LicenseClient, ServerUnreachable
from coditect_license._exchange import SendRequest
from coditect_license._http import AsyncHttp
from coditect_license._proxies import RequestWay

from . import patience
from .cli_world import World, world_at
from .conftest import FakeClock

SECURE, PLAIN = "https://licenses.example.com", "http://licenses.example.com"
ORIGINS = [
    ("proxy=…", SECURE),
    ("CODITECT_LICENSE_PROXY", SECURE),
    ("HTTPS_PROXY", SECURE),
    ("https_proxy", SECURE),
    ("HTTP_PROXY", PLAIN),
    ("ALL_PROXY", SECURE),
]
REFUSAL = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"


class Proxy:
    """A proxy on this machine that answers every request alike, or with nothing; a dead one does not even listen."""

    def __init__(self, answer: bytes | None, *, dead: bool = False, drips: bool = False) -> None:
        self._answer, self._drips, self._open = answer, drips, list[socket.socket]()
        self._closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        if dead:
            self._listener.close()
        else:
            threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._open.append(near)
                if self._drips:
                    threading.Thread(target=self._drip, args=(near,), daemon=True).start()
                elif self._answer is not None:
                    near.recv(65536)
                    near.sendall(self._answer)
                    near.close()

    def _drip(self, near: socket.socket) -> None:
        with contextlib.suppress(OSError):
            near.sendall(b"HTTP/1.1 200 OK\r\nX-Header: ")
            while not self._closed.wait(0.1):
                near.sendall(b"x")

    def close(self) -> None:
        self._closed.set()
        for it in (self._listener, *self._open):
            it.close()


# In seconds: time enough for a busy machine, and for those that do not answer no more than a test can wait for.
PATIENCE, SHORT = 20.0, 4.0
QUICK: dict[str, Any] = {"dead": lambda: Proxy(None, dead=True), "asking for a password": lambda: Proxy(REFUSAL)}
SLOW: dict[str, Any] = {"silent": lambda: Proxy(None), "dripping": lambda: Proxy(None, drips=True)}


@pytest.fixture
def proxy(request: pytest.FixtureRequest) -> Iterator[Proxy]:
    proxy = (QUICK | SLOW)[request.param]()
    yield proxy
    proxy.close()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def refusals(server: str, settings: dict[str, Any], timeout: float = PATIENCE) -> Iterator[str]:
    """What the library says where the server is not reached, in both faces."""
    more = {"timeout": timeout, "max_retries": 0, "allow_http": True, "offline": False, **settings}
    with LicenseClient(server, **more) as client, pytest.raises(ServerUnreachable) as caught:
        client.seat()
    yield str(caught.value)

    async def hold() -> None:
        async with AsyncLicenseClient(server, **more) as client, client.seat():
            pass

    with pytest.raises(ServerUnreachable) as caught:
        asyncio.run(hold())
    yield str(caught.value)


@pytest.mark.parametrize("proxy", QUICK, indirect=True)
@pytest.mark.parametrize(("origin", "server"), ORIGINS)
def test_a_proxy_that_does_not_help_is_named_with_where_it_was_taken_from(
    proxy: Proxy, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, origin: str, server: str
) -> None:
    url = f"http://somebody:secret@127.0.0.1:{proxy.port}"
    if origin == "proxy=…":
        settings["proxy"] = url
    else:
        monkeypatch.setenv(origin, url)
    for said in refusals(server, settings):
        assert f"through the proxy 127.0.0.1:{proxy.port} (from {origin})" in said
        assert "somebody" not in said and "secret" not in said
        assert "Check the network" not in said
        assert ("NO_PROXY" in said) == (origin not in ("proxy=…", "CODITECT_LICENSE_PROXY"))


@pytest.mark.parametrize("proxy", SLOW, indirect=True)
@pytest.mark.parametrize(("origin", "server"), [("HTTPS_PROXY", SECURE), ("HTTP_PROXY", PLAIN)])
def test_a_proxy_that_keeps_a_request_waiting_is_named_too(
    proxy: Proxy, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, origin: str, server: str
) -> None:
    """No timeout of a socket ends the wait for one whose answer drips, but the time of the call."""
    monkeypatch.setenv(origin, f"http://somebody:secret@127.0.0.1:{proxy.port}")
    for said in refusals(server, settings, SHORT):
        assert f"through the proxy 127.0.0.1:{proxy.port} (from {origin})" in said
        assert "NO_PROXY" in said and "secret" not in said


def test_a_request_that_no_timeout_of_httpx_ends_names_its_proxy_too(
    settings: dict[str, Any], clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine the time of the call is over before httpx notices its own."""
    entered = threading.Event()

    async def never(_http: AsyncHttp, _effect: SendRequest, way: RequestWay) -> None:
        entered.set()
        way.note("connection.connect_tcp.started", {"host": "127.0.0.1", "port": 9})
        await asyncio.Event().wait()

    async def hold() -> None:
        more: dict[str, Any] = {"timeout": 0.5, "max_retries": 0, "offline": False, "clock": clock}
        async with AsyncLicenseClient(SECURE, **settings, **more) as client:
            client._http.make_ready()
            await client.seat()

    patience.begin_with(entered, monkeypatch)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setattr(AsyncHttp, "send", never)
    with pytest.raises(ServerUnreachable, match=r"through the proxy 127\.0\.0\.1:9 \(from HTTPS_PROXY\)"):
        asyncio.run(hold())


def test_no_proxy_is_named_where_the_server_is_asked_without_one(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = Proxy(None, dead=True)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "localhost")
    for said in refusals(f"https://localhost:{dead.port}", settings):
        assert "proxy" not in said.lower()


@pytest.mark.parametrize("url", ["socks://somebody:secret@127.0.0.1:9", "ftp://somebody:secret@127.0.0.1:9"])
def test_a_proxy_of_a_kind_that_cannot_be_used_is_named(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", url)
    for said in refusals(SECURE, settings):
        assert "the proxy 127.0.0.1:9 (from ALL_PROXY)" in said
        assert "somebody" not in said and "secret" not in said


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_at(tmp_path / "home") as world:
        yield world


@pytest.mark.parametrize("origin", ["--proxy", "HTTPS_PROXY"])
@pytest.mark.parametrize("words", [["run", "--", "true"], ["login"], ["status"]], ids=lambda words: words[0])
def test_the_commands_name_a_dead_proxy(world: World, words: list[str], origin: str) -> None:
    dead = Proxy(None, dead=True)
    world.set(server=SECURE)
    url = f"http://somebody:secret@127.0.0.1:{dead.port}"
    if origin == "--proxy":
        words = [words[0], "--proxy", url, *words[1:]]
    else:
        world.env[origin] = url
    done = world.run(*words)
    said = done.stdout + done.stderr
    assert done.returncode == 69, said
    assert f"through the proxy 127.0.0.1:{dead.port} (from {origin})" in said
    assert "secret" not in said and "proxy=" not in said
