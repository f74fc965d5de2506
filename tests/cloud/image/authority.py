"""Certificate authorities of a test, a TLS server, and the tokens that an issuer behind it signs."""

import base64
import contextlib
import http.server
import json
import pathlib
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator

ISSUER, AUDIENCE, EMAIL = "https://issuer.test", "https://reaper.test", "push@project.iam.gserviceaccount.com"


def _openssl(*arguments: str, text: bytes = b"") -> bytes:
    done = subprocess.run(["openssl", *arguments], input=text, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr.decode()}")
    return done.stdout


class Authority:
    """An authority with one server certificate, for 127.0.0.1."""

    def __init__(self, directory: pathlib.Path, name: str) -> None:
        directory.mkdir()
        self.certificate, self.server = directory / "ca.pem", directory / "server.pem"
        ca_key, key, request, extensions = (
            str(directory / f) for f in ("ca.key", "server.key", "server.csr", "extensions")
        )
        pathlib.Path(extensions).write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n")
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        _openssl(
            "req",
            "-x509",
            *curve,
            "-keyout",
            ca_key,
            "-out",
            str(self.certificate),
            "-days",
            "2",
            "-subj",
            f"/CN={name}",
        )
        _openssl("req", *curve, "-keyout", key, "-out", request, "-subj", "/CN=127.0.0.1")
        _openssl(
            "x509", "-req", "-in", request, "-CA", str(self.certificate), "-CAkey", ca_key, "-CAcreateserial",
            "-days", "2", "-extfile", extensions, "-out", str(self.server),
        )  # fmt: skip
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.server, key)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """Signs what the reaper believes: tokens of the account that pushes."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.key = directory / "issuer.key"
        _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(self.key))
        modulus = _openssl("rsa", "-in", str(self.key), "-noout", "-modulus").decode().strip().removeprefix("Modulus=")
        key = {
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "kid": "test",
            "n": _base64url(bytes.fromhex(modulus)),
            "e": "AQAB",
        }
        self.keys = json.dumps({"keys": [key]}).encode()

    def token(self, email: str = EMAIL) -> str:
        now = int(time.time())
        claims = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": "1", "email": email, "email_verified": True,
            "iat": now, "exp": now + 600,
        }  # fmt: skip
        parts = [{"alg": "RS256", "kid": "test", "typ": "JWT"}, claims]
        signed = ".".join(_base64url(json.dumps(part).encode()) for part in parts)
        return signed + "." + _base64url(_openssl("dgst", "-sha256", "-sign", str(self.key), text=signed.encode()))


@contextlib.contextmanager
def serving(body: bytes, authority: Authority | None = None) -> Iterator[tuple[str, list[str]]]:
    """Serves a body at every path, over TLS where there is an authority. Gives the address and a list of the paths
    that were asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A handshake that the other end refused is what is being tested."""

    server = Server(("127.0.0.1", 0), Handler)
    if authority is not None:
        # The handshake is made by the thread of the connection, not by the one that accepts.
        server.socket = authority.context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{'https' if authority else 'http'}://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
