"""The real server, license-local, on free ports and with data of its own, and changes to licenses made in SQL."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

from ..conftest import until

TTL = 6
MEMORY = "/dev/shm"
DATA = MEMORY if Path(tempfile.gettempdir()).is_relative_to(MEMORY) else "/tmp"
"""Where a server keeps its data: in memory, where `./dev` has found room there. Its stores wait for the disk at every
commit, which takes seconds where others write to that disk."""
REPO = Path(__file__).resolve().parents[4]


def binary() -> Path:
    """The server's program: LICENSE_LOCAL, else what `cargo build -p license-local` makes."""
    given = os.environ.get("LICENSE_LOCAL")
    path = Path(given) if given else REPO / "target/debug/license-local"
    if not path.is_file():
        raise AssertionError(
            f"{path} is not there: these tests need the real server. "
            "Build it (cargo build -p license-local) or set LICENSE_LOCAL."
        )
    return path


@dataclass
class NewLicense:
    """A license of an organization of its own."""

    key: str
    number: str
    tenant: str
    license: str
    pool: str


@dataclass
class Machine:
    """A running license-local."""

    data: Path
    port: int = 0
    ttl: int = TTL
    process: subprocess.Popen[bytes] | None = None
    endpoints: dict[str, str] = field(default_factory=dict)
    _roots: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.endpoints["front"]

    def start(self) -> None:
        """Start it, on the port it had before if it had one, and wait until it serves."""
        told = self.data / "endpoints.json"
        told.unlink(missing_ok=True)
        times = {"SEAT_TTL_SECONDS": str(self.ttl), "SEAT_DRAIN_SECONDS": "2", "REAPER_PERIOD_SECONDS": "2"}
        # Every test registers an organization of its own, and crowds of one machine are what some are made of.
        rates = {"RATE_REGISTER": "off", "RATE_ACQUIRE": "off"}
        env = os.environ | times | rates
        program, log = binary(), (self.data.parent / "license-local.log").open("ab")
        # A session of its own: a Ctrl-C for the tests is no Ctrl-C for the server, which is stopped in order.
        self.process = subprocess.Popen(
            [program, "--port", str(self.port), "--data", self.data],
            stdout=log,
            stderr=log,
            env=env,
            start_new_session=True,
        )
        log.close()

        def started() -> bool:
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError((self.data.parent / "license-local.log").read_text())
            self.endpoints = json.loads(told.read_text()) if told.exists() else {}
            return bool(self.endpoints) and self.serves()

        until(started, 300)
        self.attach()

    def attach(self) -> None:
        """Use one that runs, whoever started it."""
        self.endpoints = json.loads((self.data / "endpoints.json").read_text())
        self.port = int(self.url.rsplit(":", 1)[1])
        self._roots = httpx.get(f"{self.url}/.well-known/license-keys").json()

    def serves(self) -> bool:
        """Whether it answers, stores and all."""
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        """Stop it in order: its stores with it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
        self.process = None

    def kill(self) -> None:
        """It dies, and its stores with it, in the middle of whatever they do."""
        assert self.process is not None
        mine = self._descendants()
        for pid in [self.process.pid, *mine]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(30)
        self.process = None
        # PostgreSQL does not start beside what is left of an earlier one.
        until(lambda: not any(_alive(pid) for pid in mine), 30)

    def _descendants(self) -> list[int]:
        """The processes it started, and those they started."""
        assert self.process is not None
        told = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        parents = {int(pid): int(parent) for pid, parent in (line.split() for line in told.splitlines())}
        found = [self.process.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found[1:]

    def pause(self) -> None:
        """It neither answers nor closes connections."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def roots(self) -> dict[str, Any]:
        """The keys to pin. A test may fetch them; a program has them in it."""
        return self._roots

    def flush_redis(self) -> None:
        with socket.socket(socket.AF_UNIX) as redis:
            redis.connect(str(self.data / "redis" / "redis.sock"))
            redis.sendall(b"FLUSHALL\r\n")
            assert redis.recv(64) == b"+OK\r\n"

    def license(
        self,
        *,
        seats: int = 5,
        grace_hours: int = 24,
        processes: int = 32,
        holder_by: str = "machine",
        features: str = "{}",
    ) -> NewLicense:
        """A new organization with a license for the product `demo`."""
        person = {"email": f"{uuid.uuid4()}@example.com", "name": "T", "provider": "google.com"}
        token = httpx.post(f"{self.endpoints['issuer']}/token", json=person).json()["id_token"]
        answer = httpx.post(
            f"{self.endpoints['register']}/api/v1/auth/register",
            json={"product": "demo"},
            headers={"Authorization": f"Bearer {token}"},
        )
        told = answer.json()["license"]
        tenant, pool = self._ids(told["number"])
        found = NewLicense(told["key"], told["number"], tenant, told["id"], pool)
        policy = "grace" if grace_hours else "none"
        with self._sql("postgres") as sql:
            sql.execute(
                "update licenses set offline_policy = %s, grace_hours = %s, grace_after_heartbeats = 0,"
                " processes_per_seat = %s, holder_by = %s, features = %s"
                " where tenant_id = %s and license_id = %s",
                (policy, grace_hours, processes, holder_by, features, tenant, found.license),
            )
        self.resize(found, seats)
        return found

    def resize(self, license_: NewLicense, seats: int) -> None:
        with self._sql("admin") as sql:
            sql.execute("select resize_pool(%s, %s, %s)", (license_.tenant, license_.pool, seats))

    def suspend(self, license_: NewLicense) -> None:
        with self._sql("admin") as sql:
            sql.execute("select suspend_license(%s, %s)", (license_.tenant, license_.license))

    def resume_license(self, license_: NewLicense) -> None:
        with self._sql("admin") as sql:
            sql.execute("select resume_license(%s, %s)", (license_.tenant, license_.license))

    def kick(self, license_: NewLicense, seat: int) -> None:
        with self._sql("admin") as sql:
            sql.execute("select kick_seat(%s, %s, %s, false, 'a test')", (license_.tenant, license_.pool, seat))

    def held(self, license_: NewLicense) -> int:
        """Seats with a holder, by the records."""
        with self._sql("postgres") as sql:
            row = sql.execute(
                "select count(*) from seats where pool_id = %s and holder is not null", (license_.pool,)
            ).fetchone()
        assert row is not None
        return int(row[0])

    def open_sessions(self, license_: NewLicense) -> int:
        """Sessions that have not ended, by the records."""
        with self._sql("postgres") as sql:
            row = sql.execute(
                "select count(*) from sessions where pool_id = %s and ended_at is null", (license_.pool,)
            ).fetchone()
        assert row is not None
        return int(row[0])

    def ends(self, license_: NewLicense) -> list[tuple[str, float]]:
        """Why and when, in Unix time, its sessions ended, by the records, in that order."""
        with self._sql("postgres") as sql:
            rows = sql.execute(
                "select end_reason, extract(epoch from ended_at)::float8 from sessions"
                " where pool_id = %s and ended_at is not null order by ended_at",
                (license_.pool,),
            ).fetchall()
        return [(str(reason), float(at)) for reason, at in rows]

    def _ids(self, number: str) -> tuple[str, str]:
        with self._sql("postgres") as sql:
            row = sql.execute(
                "select p.tenant_id, p.pool_id from pools p "
                "join licenses l using (tenant_id, license_id) where l.number = %s",
                (number,),
            ).fetchone()
        assert row is not None
        return str(row[0]), str(row[1])

    @contextlib.contextmanager
    def _sql(self, user: str) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(
            host=str(self.data / "postgres"), dbname="license", user=user, autocommit=True
        ) as connection:
            yield connection


def _alive(pid: int) -> bool:
    told = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return told != "" and not told.startswith("Z")


@contextlib.contextmanager
def running(ttl: int = TTL) -> Iterator[Machine]:
    """A license-local in a directory of its own, stopped and gone afterwards."""
    # Short: the path of a Unix socket has some hundred characters. And passable: as root the stores run under another
    # account.
    with tempfile.TemporaryDirectory(prefix="sdk-", dir=DATA, ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        machine = Machine(Path(name) / "data", ttl=ttl)
        try:
            machine.start()
            yield machine
        finally:
            if machine.process is not None:
                machine.resume()
            machine.stop()
