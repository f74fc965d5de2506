"""Servers whose certificate, name, time or protocol is wrong, on this machine: each has its word, and costs no seat."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from coditect_license import AsyncLicenseClient, LicenseClient, LicenseError, ServerUnreachable
from coditect_license._tls import tls_context

from .fake_server import Http
from .test_given_back import kept

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


class Authority:
    """A certificate authority of a company, in a file of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("Example Authority")
        self._identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
        )
        made = (
            _begun(self._name, self._name, self._key, NOW + DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(self._identifier, critical=False)
            .add_extension(
                x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, decipher_only=False, **usage),
                critical=True,
            )
            .sign(self._key, hashes.SHA256())
        )
        self.file = directory / "authority.pem"
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def context(self, host: str, until: datetime.datetime) -> ssl.SSLContext:
        """What a server shows that has this name until then."""
        key = ec.generate_private_key(ec.SECP256R1())
        identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._identifier)
        made = (
            _begun(_named("Example Server"), self._name, key, until)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(identifier, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        file = self._directory / f"{host}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


def _named(organization: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)])


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, until: datetime.datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    return builder.not_valid_before(NOW - 3 * DAY).not_valid_after(until)


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """One that the operating system believes, as far as OpenSSL asks it."""
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return authority


def speak_tls(http: Http, context: ssl.SSLContext, scheme: str = "https") -> str:
    """Have the server speak TLS; its address."""
    http.server.socket = context.wrap_socket(http.server.socket, server_side=True)
    url = f"{scheme}://localhost:{http.server.server_address[1]}"
    http.fake.issuer = url
    http.fake.signer = type(http.fake.signer)(int(http.fake.now()), issuer=url)
    return url


async def held(client: AsyncLicenseClient) -> str:
    async with client, client.seat() as seat:
        return seat.state.value


def states(url: str, settings: dict[str, Any]) -> Iterator[str]:
    with LicenseClient(url, **settings) as client, client.seat() as seat:
        yield seat.state.value
    yield asyncio.run(held(AsyncLicenseClient(url, **settings)))


def refusals(url: str, settings: dict[str, Any]) -> Iterator[LicenseError]:
    more = settings | {"timeout": 20.0, "max_retries": 0, "allow_http": True}
    with LicenseClient(url, **more) as client:
        for ask in (client.seat, client.validate):
            with pytest.raises(LicenseError) as caught:
                ask()
            yield caught.value
    with pytest.raises(LicenseError) as caught:
        asyncio.run(held(AsyncLicenseClient(url, **more)))
    yield caught.value


def test_an_authority_of_the_operating_system_is_believed(
    http: Http, authority: Authority, settings: dict[str, Any]
) -> None:
    url = speak_tls(http, authority.context("localhost", NOW + DAY))
    assert list(states(url, settings)) == ["online", "online"]
    assert len(http.fake.released) == 2 and not kept(http.fake)


def test_a_file_with_a_damaged_certificate_and_words_in_any_letters_is_read(
    http: Http, authority: Authority, settings: dict[str, Any]
) -> None:
    url = speak_tls(http, authority.context("localhost", NOW + DAY))
    damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    authority.file.write_text(f"# Prüfstelle\n{damaged}{authority.file.read_text()}", "utf-8")
    assert list(states(url, settings)) == ["online", "online"]


@pytest.mark.parametrize(
    ("host", "until", "word"),
    [("localhost", NOW - DAY, "expired"), ("licenses.example.com", NOW + DAY, "Hostname mismatch")],
    ids=["expired", "another host"],
)
def test_a_certificate_that_is_over_or_of_another_host_is_named_with_the_reason(
    http: Http, authority: Authority, settings: dict[str, Any], host: str, until: datetime.datetime, word: str
) -> None:
    url = speak_tls(http, authority.context(host, until))
    for error in refusals(url, settings):
        said = str(error)
        assert isinstance(error, ServerUnreachable) and error.request_id
        assert word.lower() in said.lower() and "Example Server" in said and "Example Authority" in said
        assert "Check the network" not in said
    assert not http.fake.calls and not http.fake.sessions


def test_a_server_without_encryption_at_an_https_address_is_told_of(http: Http, settings: dict[str, Any]) -> None:
    for error in refusals(http.url.replace("http://", "https://"), settings):
        assert isinstance(error, ServerUnreachable)
        assert "http://" in str(error) and "encrypt" in str(error)
    assert not http.fake.sessions


def test_a_server_with_encryption_at_an_http_address_is_told_of(
    http: Http, authority: Authority, settings: dict[str, Any]
) -> None:
    url = speak_tls(http, authority.context("localhost", NOW + DAY)).replace("https://", "http://")
    for error in refusals(url, settings):
        assert isinstance(error, ServerUnreachable)
        assert "https://" in str(error) and "encrypt" in str(error)
    assert not http.fake.sessions


def test_without_any_authority_those_of_certifi_are_believed(
    http: Http, authority: Authority, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in an empty container, where truststore is not installed either."""
    import certifi

    url = speak_tls(http, authority.context("localhost", NOW + DAY))
    monkeypatch.setitem(sys.modules, "truststore", None)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    with contextlib.suppress(StopIteration):
        assert isinstance(next(refusals(url, settings)), ServerUnreachable)
    monkeypatch.setattr(certifi, "contents", authority.file.read_text)
    assert list(states(url, settings)) == ["online", "online"]


def test_a_context_has_what_those_of_python_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "truststore", None)
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    ours, usual = tls_context(True), ssl.create_default_context()
    for name in ("verify_mode", "check_hostname", "verify_flags", "options", "minimum_version", "keylog_filename"):
        assert getattr(ours, name) == getattr(usual, name), name
    assert ours.cert_store_stats() == usual.cert_store_stats()


@pytest.mark.parametrize("kind", ["a folder", "no folder"])
def test_a_key_log_that_cannot_be_written_costs_nothing(
    http: Http,
    authority: Authority,
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kind: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Antivirus programs name a device there that other programs cannot write."""
    url = speak_tls(http, authority.context("localhost", NOW + DAY))
    paths = {"a folder": str(tmp_path), "no folder": str(tmp_path / "no/keys")}
    monkeypatch.setenv("SSLKEYLOGFILE", paths[kind])
    assert list(states(url, settings)) == ["online", "online"]
    assert list(states(url, settings | {"verify": authority.file})) == ["online", "online"]
    assert capfd.readouterr().err == "" and not kept(http.fake)


def test_what_fails_in_an_unexpected_way_is_told_as_it_is(
    http: Http, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> ssl.SSLContext:
        raise RuntimeError("this build has no such cipher")

    monkeypatch.setattr("coditect_license._tls.tls_context", fail)
    for error in refusals(http.url, settings):
        assert isinstance(error, ServerUnreachable) and "no such cipher" in str(error)
