"""TLS in front of what speaks none here: the seats, and the stand-ins that answer under Google's names."""

import asyncio
import contextlib
import dataclasses
import os
import pathlib
import ssl
import threading

from authority import Authority
from place import Fault, Place

_CHUNK = 1 << 16


@dataclasses.dataclass(frozen=True)
class Backend:
    """Who is behind a door: a `host:port` or the path of a socket. `protocol` is what is agreed on in TLS (ALPN)."""

    address: str = ""
    path: str = ""
    protocol: str = ""

    async def connect(self) -> tuple:
        if self.path:
            return await asyncio.open_unix_connection(self.path)
        host, port = self.address.rsplit(":", 1)
        return await asyncio.open_connection(host, int(port))


def _started_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


_LOOP = _started_loop()


class Door:
    """Listens for TLS with an authority's certificate, and passes on what it hears to who is behind the name that was
    asked for (SNI). `None` is who is behind every other name, and where none was asked for.
    """

    def __init__(self, address: str, port: int, authority: Authority, backends: dict):
        self.backends = backends
        self.contexts = {name: self._context(authority, backend) for name, backend in backends.items()}
        first = next(iter(self.contexts.values()))
        first.sni_callback = self._named
        listening = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._pass_on, address, port, ssl=first), _LOOP
        )
        try:
            self.server = listening.result(10)
        except OSError as error:
            raise Fault(f"a door cannot listen at {address}:{port}: {error}") from error
        self.port = self.server.sockets[0].getsockname()[1]

    @staticmethod
    def _context(authority: Authority, backend: Backend) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.directory / "server.pem", authority.directory / "server.key")
        if backend.protocol:
            context.set_alpn_protocols([backend.protocol])
        return context

    def _named(self, connection: ssl.SSLObject, name: str | None, _context) -> int | None:
        found = name if name in self.backends else None
        if found not in self.backends:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = self.contexts[found]
        connection.asked_for = found
        return None

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        backend = self.backends[getattr(writer.get_extra_info("ssl_object"), "asked_for", None)]
        try:
            behind = await backend.connect()
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, behind[1]), _pump(behind[0], writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
    """Until one end has nothing more to say; then the other is told so."""
    with contextlib.suppress(OSError, ssl.SSLError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()


class GoogleNames:
    """An address of this machine at which the stand-ins answer under Google's names, over TLS, as Google does.

    A release that has a root of its own finds them there: by its /etc/hosts, and by one authority more that it trusts.
    """

    KMS, KEYS, PUBSUB = "cloudkms.googleapis.com", "www.googleapis.com", "pubsub.googleapis.com"

    def __init__(self, place: Place):
        self.authority = Authority(place.folder("google-authority"), "Google", hosts=(self.KMS, self.KEYS, self.PUBSUB))
        # Of its own for each rehearsal that runs: the port is the one that Google has.
        self.address = f"127.90.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"

    def open(self, kms: str, keys: str, pubsub: str):
        """Let the stand-ins at these addresses (`host:port`) be found."""
        backends = {
            self.KMS: Backend(kms, protocol="http/1.1"),
            self.KEYS: Backend(keys, protocol="http/1.1"),
            self.PUBSUB: Backend(pubsub, protocol="h2"),
        }
        self.door = Door(self.address, 443, self.authority, backends)

    def tell(self, root: pathlib.Path):
        """Write into a root what a container's runtime and Google's own certificates would say."""
        hosts = "".join(f"{self.address} {name}\n" for name in (self.KMS, self.KEYS, self.PUBSUB))
        (root / "etc/hosts").write_text(f"127.0.0.1 localhost\n{hosts}")
        bundle = root / "etc/ssl/certs/ca-certificates.crt"
        known = bundle.read_text("utf-8")
        # It may be a link to the image's own.
        bundle.unlink()
        bundle.write_text(known + self.authority.pem)
        for written in (root / "etc/hosts", bundle):
            written.chmod(0o644)
