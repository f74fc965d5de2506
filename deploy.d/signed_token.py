"""Verifies a license token offline, in the order of docs/PROTOCOL.md section 8, with openssl and nothing else.

The Python client (sdk/python) does the same with a library. Here nothing may be needed that a tired person would
have to install first.
"""

import base64
import hashlib
import json
import pathlib
import subprocess
import tempfile

from failures import Failure
from programs import cannot_be_started
from reading import read_text

ROOT_BYTES = 512
WANTED = "Put in what /.well-known/license-keys answered once, compared with Cloud KMS."
MAX_TOKEN, MAX_CERTIFICATE = 16 * 1024, 4 * 1024
DAY = 24 * 3600
# What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410 section 4).
ED25519_PREFIX = bytes.fromhex("302a300506032b6570032100")


def unbase64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def thumbprint(members: dict) -> str:
    """The name of a key (RFC 7638)."""
    text = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return base64url(hashlib.sha256(text.encode()).digest())


def hardware_hash(license_number: str, hardware_id: str) -> str:
    """The machine's public hash under one license."""
    digest = hashlib.sha256(b"hw-v1")
    for part in (license_number.encode(), hardware_id.encode()):
        digest.update(len(part).to_bytes(4, "big") + part)
    return base64url(digest.digest())


class RootKeys:
    """The root keys that are pinned, by name. What the server publishes proves nothing."""

    def __init__(self, path: pathlib.Path):
        text = read_text(path, "usage", f"It holds the root keys that are pinned. {WANTED}")
        self.keys = {}
        try:
            if "-----BEGIN" in text:
                self._add(_public_pem(path))
            else:
                for jwk in json.loads(text)["keys"]:
                    self._add(_rsa_pem(unbase64url(jwk["n"]), unbase64url(jwk["e"])))
        except (ValueError, KeyError, TypeError, Failure) as error:
            if isinstance(error, Failure) and error.kind != "smoke":
                raise
            raise Failure("usage", f"{path} holds no RSA keys of 4096 bits. {WANTED}") from error
        if not self.keys:
            raise Failure("usage", f"{path} holds no root key. {WANTED}")

    def _add(self, pem: bytes):
        listed = _openssl(["rsa", "-pubin", "-noout", "-modulus"], feed=pem)
        modulus = bytes.fromhex(listed.decode().strip().split("=", 1)[1])
        if len(modulus) != ROOT_BYTES:
            raise ValueError(f"a root key has {len(modulus)} bytes")
        exponent = _exponent(pem)
        kid = thumbprint({"e": base64url(exponent), "kty": "RSA", "n": base64url(modulus)})
        self.keys[kid] = pem


def _openssl(arguments: list, *, feed: bytes = b"") -> bytes:
    try:
        # Without the terminal: where a file has a passphrase, nobody is asked for it in the midst of a test.
        done = subprocess.run(
            ["openssl", *arguments], input=feed, capture_output=True, check=False, start_new_session=True
        )
    except OSError as error:
        raise cannot_be_started("openssl", error) from error
    if done.returncode:
        raise Failure("smoke", f"openssl {arguments[0]} refused: {done.stderr.decode(errors='replace').strip()[:300]}")
    return done.stdout


def _public_pem(path: pathlib.Path) -> bytes:
    """The public half of a PEM file, which may hold the private key of one machine (.local/root.pem)."""
    if "PRIVATE KEY" in path.read_text("utf-8"):
        return _openssl(["pkey", "-in", str(path), "-pubout"])
    return _openssl(["pkey", "-pubin", "-in", str(path), "-pubout"])


def _exponent(pem: bytes) -> bytes:
    text = _openssl(["rsa", "-pubin", "-noout", "-text"], feed=pem).decode()
    line = next(line for line in text.splitlines() if line.strip().startswith("Exponent:"))
    number = int(line.split()[1])
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _rsa_pem(modulus: bytes, exponent: bytes) -> bytes:
    numbers = b"".join(_der(0x02, (b"\0" if part[0] & 0x80 else b"") + part) for part in (modulus, exponent))
    algorithm = bytes.fromhex("300d06092a864886f70d0101010500")
    return _pem(_der(0x30, algorithm + _der(0x03, b"\0" + _der(0x30, numbers))))


def _pem(der: bytes) -> bytes:
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{text}-----END PUBLIC KEY-----\n".encode()


def _verifies(pem: bytes, algorithm: str, message: bytes, signature: bytes) -> bool:
    with tempfile.TemporaryDirectory() as directory:
        place = pathlib.Path(directory)
        for name, data in (("key", pem), ("message", message), ("signature", signature)):
            (place / name).write_bytes(data)
        way = {
            "RS256": [
                "dgst",
                "-sha256",
                "-verify",
                str(place / "key"),
                "-signature",
                str(place / "signature"),
                str(place / "message"),
            ],
            "EdDSA": [
                "pkeyutl",
                "-verify",
                "-pubin",
                "-inkey",
                str(place / "key"),
                "-rawin",
                "-in",
                str(place / "message"),
                "-sigfile",
                str(place / "signature"),
            ],
        }[algorithm]
        try:
            _openssl(way)
        except Failure as failure:
            if failure.kind != "smoke":
                raise
            return False
        return True


def _parse(text: str, typ: str, algorithm: str, size: int):
    """Header, claims, what was signed, and the signature. Algorithm and type are ours to say, not the text's."""
    what = "token" if typ == "license-token+jwt" else "certificate"
    try:
        parts = text.split(".")
        header, claims = (json.loads(unbase64url(part)) for part in parts[:2])
        signature = unbase64url(parts[2])
    except (ValueError, IndexError, AttributeError) as error:
        raise Failure("smoke", f"The {what} is no JWS.") from error
    if len(text) > size or len(parts) != 3:
        raise Failure("smoke", f"The {what} is too long or has not three parts.")
    if header.get("typ") != typ or header.get("alg") != algorithm or set(header) != {"alg", "typ", "kid"}:
        raise Failure("smoke", f"The {what} has a header that the server never writes.")
    return header, claims, f"{parts[0]}.{parts[1]}".encode(), signature


def _demand(condition: bool, what: str):
    if not condition:
        raise Failure("smoke", f"The token is not to be believed: {what}.")


def verify(token: str, certificate: str, roots: RootKeys, **expected) -> dict:
    """The claims of a token that answers a request made just now. Expected are issuer, nonce, hardware and now."""
    try:
        return _verify(token, certificate, roots, **expected)
    except (KeyError, TypeError, AttributeError) as error:
        raise Failure("smoke", f"The token or its certificate lacks a claim: {error}.") from error


def _verify(
    token: str, certificate: str, roots: RootKeys, *, issuer: str, nonce: str, hardware: str, now: float
) -> dict:
    header, claims, signed, signature = _parse(token, "license-token+jwt", "EdDSA", MAX_TOKEN)
    root, certified, certificate_signed, certificate_signature = _parse(
        certificate, "license-cert+jwt", "RS256", MAX_CERTIFICATE
    )
    _demand(root["kid"] in roots.keys, "its certificate is of a root key that is not pinned")
    _demand(
        _verifies(roots.keys[root["kid"]], "RS256", certificate_signed, certificate_signature),
        "the signature of its certificate is wrong",
    )
    jwk = certified["cnf"]["jwk"]
    _demand(jwk.get("kty") == "OKP" and jwk.get("crv") == "Ed25519", "its certificate is of another kind of key")
    _demand(header["kid"] == thumbprint({"crv": "Ed25519", "kty": "OKP", "x": jwk["x"]}), "another key signed it")
    _demand(certified["iss"] == issuer, f"its certificate is of the issuer {certified['iss']} and not of {issuer}")
    _demand(
        certified["exp"] - certified["nbf"] <= DAY and certified["nbf"] <= claims["iat"] < certified["exp"],
        "it was not made while its certificate was valid",
    )
    _demand(0 <= claims["exp"] - claims["iat"] <= certified["max_token_ttl"], "it is valid for too long")
    grace = claims["iat"] + certified["max_grace"]
    _demand(claims["offline_until"] <= max(claims["exp"], grace), "its grace is too long")
    _demand(
        _verifies(_pem(ED25519_PREFIX + unbase64url(jwk["x"])), "EdDSA", signed, signature), "its signature is wrong"
    )
    _demand(claims["iss"] == issuer, f"its issuer is {claims['iss']} and not {issuer}")
    _demand(claims.get("nonce") == nonce, "it answers another request")
    _demand(claims["hw"] == hardware, "it is of another machine")
    _demand(abs(now - claims["iat"]) <= DAY, "it was not made just now, or this machine's clock is a day wrong")
    return claims
