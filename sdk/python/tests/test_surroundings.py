"""Surroundings in which programs really live: no home, no user, slow disks, frozen programs, other interpreters."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coditect_license import (
    AsyncLicenseClient,
    ConfigurationError,
    LicenseClient,
    LicenseError,
    SeatState,
    ServerUnreachable,
    _flows as flows,
    _identity as identity,
    _store as store_module,
)
from coditect_license._files import write_private
from coditect_license._identity import MachineSources

from .conftest import SOON_SECONDS, SRC, longest_standstill, until
from .fake_server import ISSUER, KEY, ROOTS, FakeServer, Http
from .pulse import within
from .test_lifecycle import POSIX, Program


@POSIX
def test_a_user_without_passwd_entry_home_and_writable_disk_gets_a_seat(http: Http, tmp_path: Path) -> None:
    """As ``docker run -u 12345 --read-only`` has it."""
    code = """
import pwd, pathlib
for name in [n for n in os.environ if n == "HOME" or n.startswith("XDG_")]: del os.environ[name]
def nobody(*_): raise KeyError("getpwuid(): uid not found: 12345")
pwd.getpwuid = pwd.getpwnam = nobody
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
homeless = LicenseClient(client._context.server, key=settings["key"], product="studio", roots=roots)
with homeless.seat() as seat:
    assert seat.state is SeatState.ONLINE and seat.problem is None
    print(homeless.store_problem)
with homeless.seat() as seat: pass
assert homeless.validate() and homeless.hardware_id and homeless.deployment
"""
    status, out, err = Program(http, tmp_path, code).end()
    assert status == 0, err
    assert "no home directory" in out and "cache_dir" in out
    assert set(http.fake.sessions) == set(http.fake.released)


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root may become somebody else")
def test_a_uid_that_is_nobodys_gets_a_seat(http: Http, tmp_path: Path) -> None:
    code = """
os.setgid(54321); os.setuid(54321)
for name in ("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME", "XDG_DATA_HOME"): os.environ.pop(name, None)
with LicenseClient(client._context.server, key=settings["key"], product="studio", roots=roots).seat() as seat:
    print(seat.state.value)
"""
    # Everything it needs is imported first: the interpreter may stand where nobody may read.
    early = "import httpx, cryptography.hazmat.primitives.asymmetric.ed25519, platformdirs.unix\nclient.validate()\n"
    early += "with client.seat(): pass\n"
    status, out, err = Program(http, tmp_path, early + code).end()
    assert (status, out) == (0, "online\n"), err
    assert set(http.fake.sessions) == set(http.fake.released)


class Hang:
    """A disk that answers nothing until the test is over."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.began = self.ended = False

    def __call__(self, *_: Any, **__: Any) -> Any:
        self.began = True
        self.go.wait(600)
        self.ended = True
        raise OSError(5, "Input/output error")

    def beside(self, call: Callable[[], Any]) -> Any:
        """What a call returns or raises while the disk hangs, soon by the time in which it was run."""
        try:
            return within(SOON_SECONDS, call)
        finally:
            assert self.began and not self.ended, "it goes on while the disk hangs"


class LoopsDisk:
    """A disk that fails as soon as the event loop has run since it was asked, so that it hangs what stops the loop."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.asked = 0

    def __call__(self, *_: Any, **__: Any) -> Any:
        assert self.loop is not None
        self.asked += 1
        has_run = threading.Event()
        self.loop.call_soon_threadsafe(has_run.set)
        has_run.wait(60)
        raise OSError(5, "Input/output error")


def replace_disk(monkeypatch: pytest.MonkeyPatch, cache: Path, disk: Callable[..., Any]) -> None:
    """Have the kept token on this disk, and nothing else: pytest has files of its own."""

    def hanging(usual: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Path, *arguments: Any, **keywords: Any) -> Any:
            return (disk if cache in path.parents else usual)(path, *arguments, **keywords)

        return call

    monkeypatch.setattr(store_module, "write_private", hanging(write_private))
    for name in ("read_bytes", "unlink"):
        monkeypatch.setattr(Path, name, hanging(getattr(Path, name)))


@pytest.fixture
def hung_disk(monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]) -> Any:
    hang = Hang()
    replace_disk(monkeypatch, settings["cache_dir"], hang)
    yield hang
    hang.go.set()


def test_a_disk_that_hangs_holds_no_start_no_release_and_no_program_up(
    hung_disk: Hang, http: Http, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with LicenseClient(http.url, timeout=60.0, **settings) as client:
        seat = hung_disk.beside(client.seat)
        # The disk was waited for in vain, so nobody waits for it again while it hangs.
        monkeypatch.setattr(flows, "DISK_SECONDS", 60.0)
        assert hung_disk.beside(lambda: seat.state) is SeatState.ONLINE
        before = http.fake.verbs().count("heartbeat")
        seat.retry_now()
        until(lambda: http.fake.verbs().count("heartbeat") > before)
        assert hung_disk.beside(lambda: seat.release(timeout=60))
        lease = hung_disk.beside(client.acquire)
        hung_disk.beside(lambda: client.release(lease))
    assert set(http.fake.sessions) == set(http.fake.released)


@pytest.mark.parametrize(("timeout", "disk_seconds"), [(60.0, 1.0), (1.0, 60.0)])
def test_a_disk_that_hangs_while_the_server_is_away_is_told_in_time(
    hung_disk: Hang, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, timeout: float, disk_seconds: float
) -> None:
    """A start ends when its own time is over, and sooner when the time for the disk is."""
    monkeypatch.setattr(flows, "DISK_SECONDS", disk_seconds)
    settings |= {"timeout": timeout, "max_retries": 0}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    client = LicenseClient(url, **settings)
    with pytest.raises(ServerUnreachable, match="disk"):
        hung_disk.beside(client.seat)

    async def program() -> None:
        async with AsyncLicenseClient(url, **settings).seat():
            pass

    with pytest.raises(ServerUnreachable, match="disk"):
        hung_disk.beside(lambda: asyncio.run(program()))


async def hold_and_release(http: Http, settings: dict[str, Any]) -> None:
    async with AsyncLicenseClient(http.url, timeout=60.0, **settings) as client:
        async with client.seat() as seat:
            assert seat.state is SeatState.ONLINE
        lease = await client.acquire()
        await client.release(lease)


def test_a_disk_that_hangs_holds_no_asyncio_program_up(hung_disk: Hang, http: Http, settings: dict[str, Any]) -> None:
    hung_disk.beside(lambda: asyncio.run(hold_and_release(http, settings)))
    assert set(http.fake.sessions) == set(http.fake.released)


def test_a_disk_that_hangs_stops_no_event_loop(
    http: Http, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for the disk waits for a minute here, so a loop that waits itself stands still for that long."""
    disk = LoopsDisk()
    replace_disk(monkeypatch, settings["cache_dir"], disk)
    monkeypatch.setattr(flows, "DISK_SECONDS", 60.0)

    async def program() -> None:
        disk.loop = asyncio.get_running_loop()
        await hold_and_release(http, settings)

    longest = longest_standstill(program)
    assert longest < SOON_SECONDS, f"the loop stood still for {longest:.2f} s"
    assert disk.asked == 4, "a start reads and writes the kept token, and each release reads it"
    assert set(http.fake.sessions) == set(http.fake.released)


def sources(**more: Any) -> MachineSources:
    usual: dict[str, Any] = {
        "env": {},
        "root": Path("/nowhere"),
        "platform": "linux",
        "data_dir": lambda: Path("/nowhere"),
        "hostname": lambda: "host-1",
        "node": lambda: 1 << 40,
    }
    return MachineSources(**usual | more)


def fails(*_: object) -> Any:
    raise RuntimeError("Could not determine home directory.")


@pytest.mark.parametrize("source", ["data_dir", "hostname", "node"])
def test_a_source_of_the_machines_identity_that_fails_is_passed_over(source: str) -> None:
    assert identity.find_machine(sources(**{source: fails})).id
    assert identity.find_machine(sources(platform="win32", registry=fails)).id
    assert identity.find_machine(sources(platform="darwin", ioreg=fails)).id


def test_a_machine_whose_identity_cannot_be_read_in_time_is_told_so(
    server: FakeServer, settings: dict[str, Any]
) -> None:
    hang = Hang()
    del settings["hardware_id"]
    client = LicenseClient(ISSUER, timeout=0.5, system=sources(data_dir=hang), **settings)
    for ask in (client.seat, client.acquire, client.validate, lambda: client.hardware_id):
        with pytest.raises(LicenseError, match=r"disk|hardware_id"):
            hang.beside(ask)
    hang.go.set()
    until(lambda: client._context.is_found_out)
    assert client.hardware_id


def test_making_a_client_has_no_side_effects(settings: dict[str, Any], tmp_path: Path) -> None:
    del settings["hardware_id"]
    asked: list[str] = []

    def note(name: str) -> Callable[[], Any]:
        def ask() -> Any:
            asked.append(name)
            return fails()

        return ask

    system = sources(data_dir=note("data_dir"), node=note("node"), hostname=note("hostname"))
    before = threading.active_count()
    for kind in (LicenseClient, AsyncLicenseClient):
        client = kind(ISSUER, system=system, **settings)
        assert repr(client) and client.license_number and client.store_problem is None
    assert asked == [] and list(tmp_path.iterdir()) == [] and threading.active_count() == before


def test_a_machine_with_an_id_writes_no_file_and_asks_no_network_card(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    machine = identity.find_machine(sources(root=tmp_path, data_dir=fails, node=fails))
    assert machine.source == "machine-id"


def test_paths_that_are_no_text_are_part_of_an_identity(settings: dict[str, Any]) -> None:
    del settings["hardware_id"]
    client = LicenseClient(ISSUER, installation="/opt/\udcff", system=sources(), **settings)
    assert len(client.hardware_id) == 64


def test_a_zipped_program_knows_its_root_keys_and_gets_a_seat(http: Http, tmp_path: Path) -> None:
    import json

    archive = tmp_path / "program.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in (SRC / "coditect_license").rglob("*"):
            if path.suffix in (".py", ".json") and path.name != "roots.json":
                file.write(path, path.relative_to(SRC))
        file.writestr("coditect_license/roots.json", json.dumps(ROOTS))
        file.writestr(
            "__main__.py",
            "import sys, coditect_license; from coditect_license import LicenseClient\n"
            "assert '.zip' in coditect_license.__file__\n"
            f"with LicenseClient({http.url!r}, key={KEY!r}, product='studio', offline=False).seat() as seat:\n"
            "    print(seat.state.value)\n",
        )
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([sys.executable, archive], capture_output=True, text=True, env=env, check=False)
    assert (done.returncode, done.stdout) == (0, "online\n"), done.stderr


def test_a_frozen_program_without_the_data_of_the_package_is_told_what_is_missing(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import pkgutil

    for answer in (lambda *_: None, fails_with(OSError), fails_with(ImportError)):
        monkeypatch.setattr(pkgutil, "get_data", answer)
        with pytest.raises(ConfigurationError, match="No root key is pinned"):
            LicenseClient(ISSUER, **settings | {"roots": None})


def fails_with(kind: type[Exception]) -> Callable[..., Any]:
    def fail(*_: object) -> Any:
        raise kind("no such thing here")

    return fail


def test_an_interpreter_without_cryptography_is_told_so(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interpreters inside an interpreter cannot load it."""
    for name in [name for name in sys.modules if name.startswith("cryptography")]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigurationError, match="cryptography"):
        LicenseClient(ISSUER, **settings)


def test_an_interpreter_that_has_no_daemon_threads_gets_a_seat_and_ends(http: Http, tmp_path: Path) -> None:
    code = """
start = threading.Thread.start
def picky(self):
    if self.daemon: raise RuntimeError("daemon threads are disabled in this (sub)interpreter")
    start(self)
threading.Thread.start = picky
seat = client.seat()
assert seat.state is SeatState.ONLINE
"""
    status, _, err = Program(http, tmp_path, code).end()  # which ends it after a time if it does not end by itself
    assert status == 0, err
    assert http.fake.verbs() == ["acquire", "release"]


def test_files_in_other_encodings_are_read(settings: dict[str, Any], tmp_path: Path) -> None:
    import json

    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path = tmp_path / f"{encoding}.json"
        path.write_bytes(json.dumps(ROOTS).encode(encoding))
        LicenseClient(ISSUER, **settings | {"roots": path})


def test_root_keys_on_a_disk_that_hangs_are_told_of_in_time(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    hang = Hang()
    monkeypatch.setattr(Path, "read_bytes", hang)
    with pytest.raises(ConfigurationError, match="roots"):
        hang.beside(lambda: LicenseClient(ISSUER, **settings | {"roots": "/mnt/roots.json", "timeout": 0.5}))
    hang.go.set()


def test_a_command_finds_its_own_libraries_beside_a_packed_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from coditect_license._cli.run import commands_environment

    assert commands_environment() is None
    monkeypatch.setattr(sys, "_MEIPASS", "/packed", raising=False)
    monkeypatch.setenv("LD_LIBRARY_PATH", "/packed")
    monkeypatch.delenv("LD_LIBRARY_PATH_ORIG", raising=False)
    assert "LD_LIBRARY_PATH" not in (commands_environment() or {})
    monkeypatch.setenv("LD_LIBRARY_PATH_ORIG", "/own")
    environment = commands_environment() or {}
    assert environment["LD_LIBRARY_PATH"] == "/own" and "LD_LIBRARY_PATH_ORIG" not in environment
    assert environment["PATH"] == os.environ["PATH"]
