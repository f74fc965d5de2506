"""What a start of the server in memory costs: no more than people do not notice."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from coditect_license import SeatState
from coditect_license.testing import InMemoryServer, _signing as signing


def signature_seconds() -> float:
    """What one signature of the root key costs here and now, the dearest step of a start."""
    began = time.thread_time()
    signing._sign_rs256(signing.root_key(), b"x" * 600)
    return time.thread_time() - began


def test_a_server_starts_within_the_time_of_three_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is far below 50 ms wherever people run tests. It makes one signature, and waits for nothing."""
    with InMemoryServer() as warm:  # imports are paid once, and the client needs the same ones
        warm.client().validate()
    signed: list[bytes] = []
    sign = signing._sign_rs256

    def count(root: RSAPrivateKey, text: bytes) -> bytes:
        signed.append(text)
        return sign(root, text)

    starts, signatures = [], []
    for _ in range(5):
        signatures.append(signature_seconds())
        with monkeypatch.context() as watched:
            watched.setattr(signing, "_sign_rs256", count)
            watched.setattr(time, "sleep", lambda _: pytest.fail("a start waits for nothing"))
            watched.setattr(threading.Thread, "start", lambda _: pytest.fail("a start needs no thread"))
            watched.setattr(socket, "socket", lambda *_, **__: pytest.fail("a start needs no socket"))
            began = time.thread_time()
            with InMemoryServer() as server:
                # With its certificate, which is signed for the first answer.
                assert server.signer.certificate
                starts.append(time.thread_time() - began)
    assert len(signed) == len(starts)
    assert min(starts) < 3 * min(signatures), (starts, signatures)


def test_no_rsa_key_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    monkeypatch.setattr(rsa, "generate_private_key", lambda *_, **__: pytest.fail("drawing a key takes seconds"))
    with InMemoryServer() as server, server.client() as client, client.seat() as seat:
        assert seat.state is SeatState.ONLINE
