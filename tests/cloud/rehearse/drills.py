"""What is rehearsed, each a function of the cloud that answers what was seen."""

import threading
import time

import customer
from cloud import FUNCTIONS, Cloud, Release
from place import demand, until

SEATS = 2
# A later release's migration as it may be written: it adds, and nothing that serves has to know of it.
NEWER = """
begin;
set local role owner;
set local lock_timeout = '5s';
alter table licenses add column rehearsed_at timestamptz;
create table rehearsed (id bigint generated always as identity primary key, said text not null);
reset role;
insert into _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
  values (9999, '9999_rehearsed', now(), true, '\\x00', 0);
commit;
"""


class Client:
    """Asks for the published keys again and again, and remembers what was answered with anything but success."""

    def __init__(self, front: str):
        self.front, self.asked, self.failed, self.over = front, 0, [], threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.over.wait(0.05):
            status, said = customer.ask("GET", f"{self.front}/.well-known/license-keys")
            self.asked += 1
            if status != 200:
                self.failed.append((status, said))

    def stop(self) -> int:
        """How many requests were answered: all of them."""
        self.over.set()
        self.thread.join()
        demand(self.asked and not self.failed, f"{len(self.failed)} of {self.asked} requests failed: {self.failed[:3]}")
        return self.asked


def first_deploy(cloud: Cloud) -> str:
    """The job on an empty database, then the services."""
    lines = cloud.migrate("up")
    applied = sum(1 for line in lines if "migration" in line)
    demand(applied > 0, f"migrate applied nothing: {lines}")
    again = cloud.migrate("up")
    demand(not any("migration" in line for line in again), f"a second migrate was not harmless: {again}")
    demand(not cloud.migrate("status")[-1]["pending"], "migrate status has something left to do")
    cloud.deploy()
    return f"{applied} migrations applied, a second run changed nothing; {len(FUNCTIONS)} services started"


def customers(cloud: Cloud) -> str:
    """A plan by staff, a registration, the license of the smoke test, and one whose seats are counted."""
    cloud.canary = customer.Organization(cloud.front.url, cloud.issuer, "Canary", 3)
    cloud.describe(cloud.canary.key)
    cloud.counted = customer.Organization(cloud.front.url, cloud.issuer, "Counted", SEATS)
    cloud.canary.look_around()
    return f"registered through the front with tokens of people; {cloud.low_roles()}"


def smoke(cloud: Cloud) -> str:
    """The pipeline's own."""
    said = cloud.smoke()
    return f"{said.split('.')[0]}; the root key signed {cloud.kms.signed} times"


def _holder(cloud: Cloud, machine: str) -> customer.Holder:
    return customer.Holder(cloud.front.url, cloud.counted.key, machine)


def roll_back(cloud: Cloud, earlier: Release) -> str:
    """A newer schema, the earlier image's services on it, and forward again. A holder keeps its seat all the while."""
    now = cloud.release
    holder = _holder(cloud, "rollback").sit()
    client = Client(cloud.front.url)
    cloud.postgres.sql(NEWER)
    holder.keep()
    lines = cloud.migrate("up", release=earlier)
    demand(lines[-1].get("newer") == ["9999_rehearsed"], f"the earlier migrate does not see the newer schema: {lines}")
    demand(not any("migration" in line for line in lines), f"the earlier migrate changed something: {lines}")
    cloud.deploy(earlier)
    holder.keep()
    cloud.smoke()
    cloud.canary.look_around()
    cloud.deploy(now)
    holder.keep()
    cloud.canary.look_around()
    holder.release()
    asked = client.stop()
    return (
        f"{earlier.name} served the schema that is one migration newer, and {now.name} serves again; no seat was lost, "
        f"{asked} of {asked} requests meanwhile were answered"
    )


def pause(cloud: Cloud) -> str:
    """All services down and back. Nobody is answered meanwhile, and nobody loses a seat."""
    holders = [_holder(cloud, f"pause-{number}").sit() for number in range(SEATS)]
    cloud.pause()
    # Time for a tick and a half, the pushes of which nobody would take.
    before = cloud.bus.tell("publish reap")
    time.sleep(1.5 * cloud.tick_seconds)
    demand(cloud.bus.tell()["ticks"] == before["ticks"], "the clock ticks while everything is paused")
    until(lambda: cloud.bus.tell()["dead"] > before["dead"], "a message that nobody takes is a dead letter", 60)
    tried = cloud.bus.tell()["refused"] - before["refused"]
    status, _ = holders[0].heartbeat()
    demand(status == 503, f"the front answers {status} and not 503 while everything is paused")
    began = time.monotonic()
    cloud.deploy()
    took = time.monotonic() - began
    for holder in holders:
        holder.keep()
    status, code = _holder(cloud, "pause-late").acquire()
    demand(status == 409, f"a full pool answers {status} {code}")
    for holder in holders:
        holder.release()
    return (
        f"503 and no tick while paused, and a message was a dead letter after {tried} attempts; back within "
        f"{took:.1f} s, {SEATS} of {SEATS} holders kept their seats"
    )


def restore(cloud: Cloud) -> str:
    """PostgreSQL at an earlier point. Whom it does not know any more believes in a seat: no seat has two holders."""
    lease = cloud.wires.lease
    known = _holder(cloud, "restore-known").sit()
    cloud.postgres.back_up()
    cloud.postgres.mark("earlier")
    lost = _holder(cloud, "restore-lost").sit()
    stopped = cloud.pause()
    began = time.monotonic()
    cloud.postgres.restore("earlier")
    restored = time.monotonic() - began
    cloud.wires.records_url = cloud.postgres.url
    told = cloud.migrate("after-restore")[-1]
    wait, pools, free = told["wait_seconds"], told["pools"], time.monotonic()
    # OPERATING, section 4: not before the leases of before are over.
    until(lambda: time.monotonic() > stopped + lease["ttl_seconds"], "the leases of before the restore", 7200, 0.2)
    cloud.deploy()
    known.keep()
    status, why = lost.heartbeat()
    demand((status, why) == (410, "unknown"), f"a holder that the database lost is answered {status} {why}")
    late = _holder(cloud, "restore-late")
    status, code = late.acquire()
    demand(status == 409, f"right after the restore a seat is asked for, and the answer is {status} {code}")
    refused = 0

    def granted() -> bool:
        nonlocal refused
        if known.believes_until - time.monotonic() < lease["ttl_seconds"] / 2:
            known.keep()
        status, code = late.acquire()
        demand(status in (201, 409), f"acquire answers {status} {code}")
        refused += status == 409
        return status == 201

    until(granted, "a seat after the restore", 3 * wait + 120, 1)
    after = time.monotonic() - free
    demand(time.monotonic() > lost.believes_until, "a seat was granted in which the lost holder still may believe")
    demand(after >= wait, f"a seat was granted {after:.1f} s after the restore, before the {wait} s were over")
    known.keep()
    seats = {known.seat, late.seat}
    demand(len(seats) == SEATS, f"two holders were given the seats {seats}")
    status, code = lost.acquire()
    demand(status == 409, f"the pool of {SEATS} is full, and the lost holder is answered {status} {code}")
    known.release()
    late.release()
    # Until then the smoke test is red: its seats wait like all others.
    canary = customer.Holder(cloud.front.url, cloud.canary.key, "restore-canary")
    until(lambda: canary.acquire()[0] == 201, "a seat of the smoke test after the restore", 2 * wait + 120, 1)
    canary.release()
    cloud.canary.look_around()
    return (
        f"restored within {restored:.1f} s, {pools} pools; the known holder kept its seat, the lost one was answered "
        f"410; {refused} requests were refused (409) until {after:.0f} s after it (at least {wait} s); never more "
        f"than {SEATS} holders of {SEATS} seats; the smoke test's license had one after {time.monotonic() - free:.0f} s"
    )


def end(cloud: Cloud) -> str:
    """Everything stops in good order; nothing was refused by Redis, and no service said that something is broken."""
    cloud.pause()
    counts = cloud.bus.tell()
    refused = cloud.redis.refused()
    demand(not refused, f"Redis refused what a managed server would not know either: {refused}")
    errors = [
        line
        for name in FUNCTIONS
        for line in (cloud.place.directory / f"{name}.lines").read_text().splitlines()
        if '"severity":"ERROR"' in line
    ]
    demand(not errors, f"{len(errors)} lines of services say ERROR, the first: {errors[:1]}")
    demand(counts["delivered"] > 0, f"Pub/Sub delivered nothing: {counts}")
    # That of the pause; what was under way when everything stopped for the restore may be one too.
    demand(1 <= counts["dead"] <= 5, f"there are more dead letters than pauses explain: {counts}")
    return (
        f"all services ended with 0 at SIGTERM; no line of theirs says ERROR, Redis refused nothing; {counts['ticks']} "
        f"ticks, {counts['delivered']} pushes delivered, {counts['refused']} came again, dead letters: {counts['dead']}"
    )
