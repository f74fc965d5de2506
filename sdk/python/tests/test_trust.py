"""Whose certificates are believed, and what is said of one that is not."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import socket
import ssl
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from coditect_license import AsyncLicenseClient, ConfigurationError, LicenseClient, ServerUnreachable
from coditect_license._tls import tls_context

from .fake_server import Http


def certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for this machine as a company's inspection of its network makes one, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example Inspection")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "ca.pem", directory / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@pytest.fixture
def inspected(http: Http, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a server whose certificate no system knows, and the file of the authority that made it."""
    ca, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca, key)
    http.server.socket = context.wrap_socket(http.server.socket, server_side=True)
    url = f"https://localhost:{http.server.server_address[1]}"
    http.fake.issuer = url
    http.fake.signer = type(http.fake.signer)(int(http.fake.now()), issuer=url)
    yield url, ca


def test_a_certificate_that_is_not_trusted_is_named_with_both_ways_out(
    inspected: tuple[str, Path], settings: dict[str, Any]
) -> None:
    url, _ = inspected
    client = LicenseClient(url, max_retries=0, **settings)
    async_client = AsyncLicenseClient(url, max_retries=0, **settings)
    for ask in (client.seat, client.validate, lambda: asyncio.run(async_client.acquire())):
        with pytest.raises(ServerUnreachable) as caught:
            ask()
        said = str(caught.value)
        assert "Example Inspection" in said and "operating system" in said and "verify=" in said
        assert "Check the network" not in said and caught.value.request_id


class Tunnel:
    """A proxy that carries what it is asked to connect to, as those of companies do."""

    def __init__(self) -> None:
        self._open: list[socket.socket] = [socket.create_server(("127.0.0.1", 0))]
        self.url: str = f"http://127.0.0.1:{self._open[0].getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._open[0].accept()
                host, _, port = near.recv(65536).split()[1].decode().rpartition(":")
                far = socket.create_connection((host, int(port)))
                self._open += [near, far]
                near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                sink.sendall(chunk)
            sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for it in self._open:
            it.close()


def test_a_certificate_that_is_refused_behind_a_proxy_names_the_proxy(
    inspected: tuple[str, Path], settings: dict[str, Any]
) -> None:
    tunnel = Tunnel()
    more = {"max_retries": 0, "proxy": tunnel.url, **settings}
    client, async_client = LicenseClient(inspected[0], **more), AsyncLicenseClient(inspected[0], **more)
    try:
        for ask in (client.seat, lambda: asyncio.run(async_client.acquire())):
            with pytest.raises(ServerUnreachable) as caught:
                ask()
            said = str(caught.value)
            assert f"through the proxy {tunnel.url.removeprefix('http://')} (from proxy=…)" in said
            assert "is not trusted here" in said and "verify=" in said
    finally:
        tunnel.close()


@pytest.mark.parametrize("kind", ["a file", "a directory", "a context", "no check", "the environment"])
def test_the_authorities_are_given_as_httpx_has_it(
    http: Http, inspected: tuple[str, Path], settings: dict[str, Any], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, ca = inspected
    verify: Any = {"a file": ca, "a context": ssl.create_default_context(cafile=ca), "no check": False}.get(kind)
    more: dict[str, Any] = {} if verify is None else {"verify": verify}
    if kind == "a directory":
        value = ca.rename(ca.parent / "company.crt")
        hashed = ca.parent / "hashed"
        hashed.mkdir()
        more = {"verify": str(hashed)}
        # OpenSSL finds a certificate in a directory by the hash of its name.
        import subprocess

        name = subprocess.run(
            ["openssl", "x509", "-hash", "-noout", "-in", value], capture_output=True, text=True, check=True
        ).stdout.strip()
        (hashed / f"{name}.0").write_bytes(value.read_bytes())
    if kind == "the environment":
        monkeypatch.setenv("CODITECT_LICENSE_VERIFY", str(ca))
    with LicenseClient(url, **settings, **more) as client, client.seat():
        pass

    async def program() -> None:
        async with AsyncLicenseClient(url, **settings, **more) as client, client.seat():
            pass

    asyncio.run(program())
    assert len(http.fake.released) == 2


def test_a_file_without_certificates_is_named(inspected: tuple[str, Path], settings: dict[str, Any]) -> None:
    url, ca = inspected
    (ca.parent / "empty.pem").write_text("nothing\n")
    for path in ("/no/such/file.pem", ca.parent / "empty.pem"):
        client = LicenseClient(url, verify=path, **settings)
        async_client = AsyncLicenseClient(url, verify=path, **settings)
        for ask in (client.seat, client.validate, lambda it=async_client: asyncio.run(it.acquire())):
            with pytest.raises(ConfigurationError, match="verify"):
                ask()


@pytest.mark.parametrize("begins", ["CERTIFICATE", "X509 CERTIFICATE"])
def test_a_certificate_is_read_with_either_head_that_openssl_writes(tmp_path: Path, begins: str) -> None:
    ca, _ = certificate(tmp_path)
    ca.write_text(ca.read_text().replace(" CERTIFICATE-", f" {begins}-"))
    assert tls_context(str(ca)).cert_store_stats()["x509_ca"] == 1


def test_a_file_of_openssls_own_form_is_refused_with_how_to_convert_it(tmp_path: Path) -> None:
    ca, _ = certificate(tmp_path)
    ca.write_text(ca.read_text().replace(" CERTIFICATE-", " TRUSTED CERTIFICATE-"))
    with pytest.raises(ConfigurationError, match=r"TRUSTED CERTIFICATE.*openssl x509 -in"):
        tls_context(str(ca))


def test_the_systems_own_store_is_asked_where_truststore_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ssl.create_default_context()
    module = types.ModuleType("truststore")
    module.SSLContext = lambda _: made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "truststore", module)
    assert tls_context(True) is made
    monkeypatch.setitem(sys.modules, "truststore", None)
    context = tls_context(True)
    assert context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname


def test_a_proxy_that_is_given_is_used_and_one_that_is_dead_is_named(
    http: Http, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = LicenseClient("http://licenses.example.com", allow_http=True, proxy=http.url, issuer=http.url, **settings)
    with client.seat() as seat:
        assert seat.number == 0
    assert http.fake.verbs() == ["acquire", "release"], "the proxy was asked"
    monkeypatch.setenv("ALL_PROXY", "socks://proxy.example.com:1080")
    dead = LicenseClient("https://licenses.example.com", max_retries=0, timeout=2, **settings)
    with pytest.raises(ServerUnreachable, match="proxy"):
        dead.seat()
