"""Stand-ins for what of Google answers over HTTP: the metadata server, Cloud KMS, and the issuers of tokens."""

import base64
import hashlib
import http.server
import json
import pathlib
import secrets
import threading
import time
import urllib.parse

from authority import openssl

TOKEN_SECONDS = 3600
# Where Google publishes the keys of its own tokens, and those of Identity Platform.
KEYS = ("/oauth2/v3/certs", "/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com")


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _crc32c_table() -> list:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _crc32c_table()


def crc32c(data: bytes) -> int:
    """The checksum that Cloud KMS sends beside what it sends (RFC 3720, appendix B.4)."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


class Answers:
    """An HTTP server on a free port whose answers a function gives: (method, path, headers, body) → status, JSON."""

    def __init__(self, answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def reply(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, content = answer(self.command, self.path, self.headers, body)
                data = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = reply

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{self.host}"


class Metadata:
    """The metadata server of one service account: the token that it gives is the account's password in both stores."""

    def __init__(self, email: str):
        self.email = email
        self.token = f"ya29.{secrets.token_urlsafe(48)}"
        self.server = Answers(self._answer)

    def _answer(self, _method, path, headers, _body):
        if headers.get("Metadata-Flavor") != "Google":
            return 403, {"error": "Metadata-Flavor"}
        # Google's own libraries name the scopes that they want.
        if urllib.parse.urlsplit(path).path != "/computeMetadata/v1/instance/service-accounts/default/token":
            return 404, {"error": path}
        return 200, {"access_token": self.token, "expires_in": TOKEN_SECONDS, "token_type": "Bearer"}


class Kms:
    """Cloud KMS with one RSA-4096 key, which signs for the accounts that the module signer lets sign."""

    def __init__(self, directory: pathlib.Path, version: str):
        self.version, self.key = version, directory / "root-key.pem"
        openssl(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096", "-out", str(self.key)])
        self.key.chmod(0o600)
        self.public = openssl(["pkey", "-in", str(self.key), "-pubout"]).decode()
        self.may_sign: set = set()
        self.signed = 0
        self.server = Answers(self._answer)

    def _answer(self, method, path, headers, body):
        if headers.get("Authorization", "").removeprefix("Bearer ") not in self.may_sign:
            return 403, {
                "error": {"code": 403, "message": "the account has no permission", "status": "PERMISSION_DENIED"}
            }
        if (method, path) == ("GET", f"/v1/{self.version}/publicKey"):
            return 200, {
                "name": self.version,
                "pem": self.public,
                "pemCrc32c": str(crc32c(self.public.encode())),
                "algorithm": "RSA_SIGN_PKCS1_4096_SHA256",
                "protectionLevel": "HSM",
            }
        if (method, path) == ("POST", f"/v1/{self.version}:asymmetricSign"):
            return self._sign(json.loads(body))
        return 404, {"error": {"code": 404, "message": f"no such key version: {path}", "status": "NOT_FOUND"}}

    def _sign(self, asked: dict):
        digest = base64.b64decode(asked["digest"]["sha256"])
        intact = int(asked["digestCrc32c"]) == crc32c(digest)
        if not intact or len(digest) != 32:
            return 400, {"error": {"code": 400, "message": "the digest is damaged", "status": "INVALID_ARGUMENT"}}
        signature = openssl(
            [
                "pkeyutl",
                "-sign",
                "-inkey",
                str(self.key),
                "-pkeyopt",
                "rsa_padding_mode:pkcs1",
                "-pkeyopt",
                "digest:sha256",
            ],
            feed=digest,
        )
        self.signed += 1
        return 200, {
            "name": self.version,
            "signature": base64.b64encode(signature).decode(),
            "signatureCrc32c": str(crc32c(signature)),
            "verifiedDigestCrc32c": True,
            "protectionLevel": "HSM",
        }


class Issuer:
    """Who signs the tokens of people, of staff and of pushes: one key, which every service is told the address of."""

    def __init__(self, directory: pathlib.Path):
        self.key = directory / "issuer-key.pem"
        openssl(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(self.key)])
        modulus = openssl(["rsa", "-in", str(self.key), "-noout", "-modulus"]).decode().strip().split("=")[1]
        self.jwk = {
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "kid": secrets.token_hex(8),
            "n": base64url(bytes.fromhex(modulus)),
            "e": base64url(b"\x01\x00\x01"),
        }
        self.server = Answers(self._answer)
        self.push_email = ""

    def _answer(self, _method, path, _headers, _body):
        where = urllib.parse.urlsplit(path)
        if where.path in (*KEYS, "/certs"):
            return 200, {"keys": [self.jwk]}
        if where.path == "/push-token":
            audience = urllib.parse.parse_qs(where.query)["audience"][0]
            return 200, {"token": self.push_token(audience)}
        return 404, {"error": path}

    @property
    def jwks_url(self) -> str:
        return f"{self.server.url}/certs"

    def sign(self, claims: dict) -> str:
        """A JWS of these claims, good for an hour from now."""
        now = int(time.time())
        claims = {"iat": now, "exp": now + TOKEN_SECONDS, **claims}
        header = {"alg": "RS256", "kid": self.jwk["kid"], "typ": "JWT"}
        message = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
        signature = openssl(["dgst", "-sha256", "-sign", str(self.key)], feed=message.encode())
        return f"{message}.{base64url(signature)}"

    def id_token(self, issuer: str, audience: str, email: str) -> str:
        """What Identity Platform gives to a person who signed in with Google just now."""
        subject = hashlib.sha256(email.encode()).hexdigest()[:28]
        return self.sign(
            {
                "iss": issuer,
                "aud": audience,
                "sub": subject,
                "user_id": subject,
                "auth_time": int(time.time()),
                "email": email,
                "email_verified": True,
                "name": email.split("@")[0],
                "firebase": {
                    "identities": {"google.com": [subject], "email": [email]},
                    "sign_in_provider": "google.com",
                },
            }
        )

    def push_token(self, audience: str) -> str:
        """What Pub/Sub shows with a push."""
        subject = str(int(hashlib.sha256(self.push_email.encode()).hexdigest(), 16))[:21]
        return self.sign(
            {
                "iss": "https://accounts.google.com",
                "aud": audience,
                "azp": subject,
                "sub": subject,
                "email": self.push_email,
                "email_verified": True,
            }
        )
