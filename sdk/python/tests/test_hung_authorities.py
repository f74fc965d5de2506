"""A file of certificate authorities whose disk hangs: no fork waits for it, and a start ends in its time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from .conftest import until
from .fake_server import Http
from .test_given_back import kept
from .test_lifecycle import POSIX, Program, run
from .test_trust import certificate

pytestmark = POSIX

# A pipe with a name is such a file: who reads it waits until somebody writes.
HUNG = """
import asyncio, contextlib
from coditect_license import AsyncLicenseClient, ServerUnreachable, _flows as flows, _process as process
from tests.pulse import within
process.FORK_SECONDS = flows.TRY_SECONDS = 100.0
process._import_all(process._late_imports())
face, origin, path, ca = {face!r}, {origin!r}, {path!r}, {ca!r}
settings |= dict(timeout=3.0, offline=False)
if origin == "verify":
    settings["verify"] = path
elif origin == "SSL_CERT_FILE":
    os.environ[origin] = path
os.mkfifo(path)

def opened():  # for writing, which does only where somebody reads
    over = time.monotonic() + 20
    while time.monotonic() < over:
        with contextlib.suppress(OSError):
            return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        time.sleep(0.01)
    sys.exit("nobody reads the file")

def fork():
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    took = time.monotonic() - began
    assert took < 20, f"the fork took {{took:.1f}} s"

async def hold(client):
    async with client, client.seat() as seat:
        return seat.state

def start():
    if face == "task":
        return asyncio.run(hold(AsyncLicenseClient(client._context.server, **settings)))
    with LicenseClient(client._context.server, **settings).seat() as seat:
        return seat.state

def refused():
    try:
        within(20, start)
    except (ServerUnreachable, AssertionError) as error:
        said.append(error)

said = []
asking = threading.Thread(target=refused)
asking.start()
writing = opened()
fork()
asking.join()
fork()
text = str(said[0])
assert "certificate authorities" in text and path in text and "verify" in text, text
"""


def hung(directory: Path, face: str, origin: str) -> str:
    ca, _ = certificate(directory)
    return HUNG.format(face=face, origin=origin, path=str(directory / "hung.pem"), ca=str(ca))


@pytest.mark.parametrize("origin", ["verify", "SSL_CERT_FILE"])
@pytest.mark.parametrize("face", ["thread", "task"])
def test_a_fork_does_not_wait_for_a_hung_file_of_authorities(
    http: Http, tmp_path: Path, face: str, origin: str
) -> None:
    run(http, tmp_path, hung(tmp_path, face, origin))
    assert not http.fake.calls


@pytest.mark.parametrize("face", ["thread", "task"])
def test_the_next_start_gets_a_seat_once_the_file_can_be_read(http: Http, tmp_path: Path, face: str) -> None:
    again = """
with open(ca, "rb") as file:
    os.write(writing, file.read())
os.close(writing)
os.unlink(path)
os.rename(ca, path)
assert start() is SeatState.ONLINE
"""
    run(http, tmp_path, hung(tmp_path, face, "verify") + again)
    assert http.fake.sessions and not kept(http.fake)


OFFLINE = """
import asyncio
from coditect_license import AsyncLicenseClient, _flows as flows, _process as process
from tests.pulse import within
process.EXIT_SECONDS = flows.TRY_SECONDS = 100.0
process._import_all(process._late_imports())
settings |= dict(timeout=2.0, verify={path!r})
os.mkfifo({path!r})

async def held(client):
    async with client, client.seat() as seat:
        return seat.state

def start():
    if {face!r} == "task":
        return asyncio.run(held(AsyncLicenseClient(client._context.server, **settings)))
    with LicenseClient(client._context.server, **settings) as other, other.seat() as seat:
        return seat.state

state = within(20, start)
assert state is SeatState.OFFLINE, state
print(time.time())
"""


@pytest.mark.parametrize("face", ["thread", "task"])
def test_a_start_while_the_file_hangs_goes_on_offline_within_the_grace(http: Http, tmp_path: Path, face: str) -> None:
    earlier = Program(http, tmp_path, "seat = client.seat()\nprint(seat.state.value, flush=True)\nsys.stdin.read()")
    assert earlier.line() == "online"
    until(lambda: any(path.name.endswith(".json") for path in tmp_path.rglob("*")))
    earlier.kill()  # it gives nothing back, so the kept token stays
    earlier.end()
    ended = run(http, tmp_path, OFFLINE.format(path=str(tmp_path / "hung.pem"), face=face))
    assert time.time() - float(ended) < 20
