"""The test server on a port of this machine, for programs that run in processes of their own."""

from __future__ import annotations

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import httpx

from ._routing import ReachableServer


class LoopbackServer:
    """A port of 127.0.0.1 behind which a server in memory answers. A context manager.

    Its threads and its sockets are over when :meth:`close` returns.
    """

    def __init__(self, server: ReachableServer) -> None:
        self.server = server
        """The server in memory that answers here."""
        self._listener = _Listener(server)
        host, port = self._listener.server_address[:2]
        self.url: str = f"http://{host!s}:{port}"
        """The address of the port."""
        # The address is the issuer, so what was signed before is of no use any more.
        server.url = server.issuer = self.url
        server.addresses.append(self.url)
        server.forget_signer()
        self._thread = threading.Thread(
            target=self._listener.serve_forever, kwargs={"poll_interval": 0.02}, name="test-license-server", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop. A second time does nothing. Requests under way are cut off."""
        if not self._thread.is_alive():
            return
        self._listener.shutdown()
        self._thread.join()
        self._listener.cut_connections()
        self._listener.server_close()

    def __enter__(self) -> LoopbackServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Listener(ThreadingHTTPServer):
    # So that the thread of each connection is waited for at the end.
    daemon_threads = False
    block_on_close = True

    def __init__(self, server: ReachableServer) -> None:
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()

        class Handler(_Handler):
            answers = server

        super().__init__(("127.0.0.1", 0), Handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as socketserver has it
        with self._connections_lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as above
        with self._connections_lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        """End every connection, so that whoever reads from it or writes to it goes on."""
        with self._connections_lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as above
        """Nothing: a client that went away in the middle of an answer is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answers: ReachableServer

    def do_POST(self) -> None:
        """Carry a request to the server in memory."""
        content = self.rfile.read(int(self.headers.get("content-length") or 0))
        request = httpx.Request(self.command, f"http://x{self.path}", headers=dict(self.headers), content=content)
        try:
            response = self.answers.handle(request)
        except httpx.TransportError:
            # An outage: the connection ends without an answer.
            self.close_connection = True
            return
        self.send_response(response.status_code)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.content)

    do_GET = do_POST

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - as the base class names it
        """Nothing: a test's output is its own."""
