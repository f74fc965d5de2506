"""The offline verification of the smoke test: a sound token passes, and what is wrong with another one is named."""

import base64
import json
import subprocess
import sys
import time

import pytest
from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "deploy.d"))
import license_keys  # noqa: E402 - the path comes first
import signed_token  # noqa: E402
from failures import Failure  # noqa: E402

ISSUER, NONCE, HARDWARE = "https://licenses.example.com", "nonce-nonce-nonce", "machine"


def encode(value) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Signer:
    """Keys as the server has them: an RSA-4096 root and an Ed25519 instance key, made and used by openssl."""

    def __init__(self, directory):
        self.directory = directory
        self.root, self.instance = directory / "root.pem", directory / "instance.pem"
        self.openssl("genrsa", "-out", self.root, "4096")
        self.openssl("genpkey", "-algorithm", "ed25519", "-out", self.instance)
        public = self.openssl("pkey", "-in", self.instance, "-pubout", "-outform", "DER")
        self.jwk = {"kty": "OKP", "crv": "Ed25519", "x": encode(public[-32:])}
        self.roots = signed_token.RootKeys(self.root)

    def openssl(self, *words) -> bytes:
        return subprocess.run(["openssl", *words], capture_output=True, check=True).stdout

    def jws(self, header: dict, claims: dict) -> str:
        text = f"{encode(header)}.{encode(claims)}"
        message = self.directory / "message"
        message.write_text(text)
        if header["alg"] == "RS256":
            signature = self.openssl("dgst", "-sha256", "-sign", self.root, message)
        else:
            signature = self.openssl("pkeyutl", "-sign", "-inkey", self.instance, "-rawin", "-in", message)
        return f"{text}.{encode(signature)}"

    def pair(self, *, certified=None, claims=None, root_header=None, header=None):
        now = int(time.time())
        certified = {
            **{"iss": ISSUER, "iat": now, "nbf": now - 60, "exp": now + 3600, "cnf": {"jwk": self.jwk}},
            **{"max_token_ttl": 600, "max_grace": 86400, **(certified or {})},
        }
        claims = {
            **{
                "iss": ISSUER,
                "iat": now,
                "exp": now + 360,
                "offline_until": now + 3600,
                "nonce": NONCE,
                "hw": HARDWARE,
            },
            **(claims or {}),
        }
        root_kid = next(iter(self.roots.keys))
        root_header = {"alg": "RS256", "typ": "license-cert+jwt", "kid": root_kid, **(root_header or {})}
        header = {
            "alg": "EdDSA",
            "typ": "license-token+jwt",
            "kid": signed_token.thumbprint(self.jwk),
            **(header or {}),
        }
        return self.jws(header, claims), self.jws(root_header, certified)

    def verify(self, token, certificate):
        expected = {"issuer": ISSUER, "nonce": NONCE, "hardware": HARDWARE, "now": time.time()}
        return signed_token.verify(token, certificate, self.roots, **expected)


@pytest.fixture(scope="module")
def signer(tmp_path_factory) -> Signer:
    return Signer(tmp_path_factory.mktemp("keys"))


def test_a_sound_token_is_believed(signer):
    assert signer.verify(*signer.pair())["nonce"] == NONCE


NOW = int(time.time())
WRONG = {
    "not pinned": {"root_header": {"kid": "another"}},
    "certificate has a header": {"root_header": {"typ": "license-token+jwt"}},
    "token has a header": {"header": {"crit": []}},
    "another key signed it": {"header": {"kid": "another"}},
    "its certificate is of the issuer": {"certified": {"iss": "https://evil.example.com"}},
    "while its certificate was valid": {"certified": {"nbf": NOW + 3000}},
    "while its certificate was valid ": {"certified": {"nbf": NOW - 90000, "exp": NOW + 3600}},
    "valid for too long": {"claims": {"exp": NOW + 7200}},
    "its grace is too long": {"claims": {"offline_until": NOW + 864000}},
    "its issuer is": {"claims": {"iss": "https://evil.example.com"}},
    "answers another request": {"claims": {"nonce": "other"}},
    "of another machine": {"claims": {"hw": "other"}},
    "lacks a claim": {"certified": {"cnf": None}},
    "lacks a claim ": {"claims": {"exp": None}},
    "another kind of key": {"certified": {"cnf": {"jwk": {"kty": "RSA"}}}},
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named(signer, what):
    with pytest.raises(Failure, match=what.strip()):
        signer.verify(*signer.pair(**WRONG[what]))


@pytest.mark.parametrize("which", ["token", "certificate"])
def test_an_altered_signature_is_refused(signer, which):
    token, certificate = signer.pair()

    def alter(text):
        head, signature = text.rsplit(".", 1)
        data = bytearray(signed_token.unbase64url(signature))
        data[5] ^= 1
        return f"{head}.{encode(bytes(data))}"

    if which == "token":
        token = alter(token)
    else:
        certificate = alter(certificate)
    with pytest.raises(Failure, match="signature"):
        signer.verify(token, certificate)


def test_a_clock_that_is_a_day_wrong_is_told(signer):
    token, certificate = signer.pair()
    expected = {"issuer": ISSUER, "nonce": NONCE, "hardware": HARDWARE, "now": time.time() + 90000}
    with pytest.raises(Failure, match="clock"):
        signed_token.verify(token, certificate, signer.roots, **expected)


@pytest.mark.parametrize("text", ["", "a", "a.b.c", "e30.e30.e30", "..."])
def test_what_is_no_token_is_refused(signer, text):
    with pytest.raises(Failure):
        signer.verify(text, text)


def test_keys_that_were_never_issued_are_spelt_as_the_client_spells_them():
    """The reader of the Python client refuses a wrong check symbol and a number that cannot be."""
    text = (REPOSITORY / "sdk/python/src/coditect_license/_key.py").read_text()
    total = text[text.index("def _luhn") :]
    scope = {}
    exec(total, scope)  # the client's own sum, without the packages that importing the client would need
    for _ in range(200):
        key = license_keys.unknown_key()
        body = key.replace("-", "")[4:]
        values = [license_keys.ALPHABET.index(symbol) for symbol in body]
        assert len(body) == 30 and values[0] < 16 and scope["_luhn"](values) == 0
        assert license_keys.number_of(key) == body[:13]
