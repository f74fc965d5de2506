"""Whether every event reaches every webhook while everything is killed: license-local as it is shipped, real receivers, real kills.

Holders take seats and give them back, which writes events, while license-local, its PostgreSQL, its Redis and the receivers are killed or
misbehave in turns. Then everything is left alone until nothing waits, and each receiver must have been sent each event that PostgreSQL has.
Every request's signature is checked. Last, with nothing killed, it is measured how long an event is under way.
"""

import argparse
import base64
import hashlib
import hmac
import http.client
import http.server
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KINDS = ["seat.granted", "seat.freed"]
SEATS = 400


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def until(what: str, holds, seconds: float, pause: float = 0.2):
    """What `holds` answers, once that is true. Whatever cannot be asked yet is asked again."""
    end = time.monotonic() + seconds
    why = None
    while time.monotonic() < end:
        try:
            if answer := holds():
                return answer
        except (OSError, ValueError, KeyError, http.client.HTTPException, subprocess.CalledProcessError) as error:
            why = error
        time.sleep(pause)
    raise SystemExit(f"after {seconds:.0f} s still not: {what} ({why!r})")


class Machine:
    """A license-local with data of its own, which can be killed and started again on the same ports."""

    def __init__(self, directory: Path) -> None:
        self.data = directory / "data"
        self.log = open(directory / "log", "ab")  # noqa: SIM115 - for as long as this lives
        # Below the ports that connections get, so that each start finds it and the eight behind it free.
        self.port = random.randrange(20_000, 30_000)
        self.start()

    def start(self) -> None:
        (self.data / "endpoints.json").unlink(missing_ok=True)
        program = [ROOT / "target/debug/license-local", "--port", str(self.port), "--data", self.data]
        # A process group of its own is not needed: who dies leaves its stores to their keepers, as on a user's machine.
        self.child = subprocess.Popen(program, stdout=self.log, stderr=self.log)
        until("license-local serves", self.endpoints, 90)

    def endpoints(self) -> dict:
        if self.child.poll() is not None:
            raise SystemExit(f"license-local ended with {self.child.returncode}; see its log")
        return json.loads((self.data / "endpoints.json").read_text())

    def kill(self) -> None:
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()

    def restart(self) -> None:
        self.kill()
        self.start()

    def kill_postgres(self) -> None:
        kill_now(int((self.data / "postgres/data/postmaster.pid").read_text().split()[0]))

    def kill_redis(self) -> None:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                started_here = str(self.data) in (command + os.readlink(process / "cwd"))
            except OSError:
                continue
            if started_here and re.match(r"\S*redis-server ", command):
                kill_now(int(process.name))

    def stop(self) -> None:
        self.child.terminate()
        self.child.wait()
        self.log.close()

    def records(self, statement: str) -> list[str]:
        """Rows of PostgreSQL, as the reaper sees them: events of every organization."""
        found = re.search(r"^DATABASE_URL='postgres://service@([^:]+):", (self.data / "env").read_text(), re.MULTILINE)
        host = urllib.request.unquote(found[1])
        asked = ["psql", "-X", "-At", "-h", host, "-U", "reaper", "-d", "license", "-c", statement]
        return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split("\n")[:-1]


def kill_now(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        pass


def ask(url: str, body=None, token: str | None = None) -> dict:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=30) as answer:
        return json.load(answer)


class Vendor:
    """An organization with a license of many seats, as a member of staff sells it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        ends = machine.endpoints()
        self.front, self.issuer = ends["front"], ends["issuer"]
        ask(f"{self.front}/api/v1/auth/register", {"organization_name": "Storm"}, self.admin())
        me = ask(f"{self.front}/api/v1/me", token=self.admin())
        self.organization = f"{self.front}/api/v1/organizations/{me['organizations'][0]['id']}"
        self.tenant = me["organizations"][0]["id"]
        staff = ask(f"{self.issuer}/token", {"email": "staff@example.com", "staff": True}, (machine.data / "staff.secret").read_text().strip())
        sold = ask(f"{self.organization}/licenses", {"product": "demo", "plan": "demo", "seats": SEATS}, staff["id_token"])
        self.key = sold["key"]

    def admin(self) -> str:
        return ask(f"{self.issuer}/token", {"email": "storm@example.com"})["id_token"]


class Receiver:
    """A webhook's receiver. `mood`: well, refusing (500), slow, closing (the connection, before an answer) or away."""

    def __init__(self) -> None:
        self.mood, self.secret = "well", b""
        self.got: dict[str, float] = {}
        self.requests = self.forged = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                outer.take(self)

            def log_message(self, *_) -> None:
                pass

        self.handler = Handler
        self.server = None
        self.port = 0
        self.open()

    def open(self) -> None:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), self.handler)
        server.daemon_threads = True
        self.server, self.port = server, server.server_address[1]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def take(self, request: http.server.BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        self.requests += 1
        mood = self.mood
        if mood == "closing" and random.random() < 0.5:
            # Some of them were taken all the same: the sender cannot know, and sends again.
            request.close_connection = True
            request.connection.close()
            return
        if mood == "slow":
            time.sleep(random.random())
        identity, sent = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        content = f"{identity}.{sent}.".encode() + body
        right = base64.b64encode(hmac.new(self.secret, content, hashlib.sha256).digest()).decode()
        if f"v1,{right}" not in request.headers["webhook-signature"].split(" "):
            self.forged += 1
        elif mood != "refusing":
            self.got.setdefault(identity, time.time())
        status = 500 if mood == "refusing" else 204
        request.send_response(status)
        request.send_header("Content-Length", "0")
        request.end_headers()


class Holders:
    """Machines that take a seat and give it back, over and over, until as many events as wanted may have been written."""

    def __init__(self, vendor: Vendor, threads: int) -> None:
        self.vendor, self.left = vendor, 0
        self.lock = threading.Lock()
        self.granted = self.released = 0
        self.threads = threads

    def run(self, events: int) -> list[threading.Thread]:
        self.left = events
        running = [threading.Thread(target=self.work, args=(n,), daemon=True) for n in range(self.threads)]
        for thread in running:
            thread.start()
        return running

    def work(self, number: int) -> None:
        host = self.vendor.front.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=10)
        turn = 0
        while self.take_two():
            turn += 1
            # Many machines, so that none of them asks more often than one may.
            hardware = f"machine-{number}-{turn % (SEATS // self.threads)}"
            wish = {"license_key": self.vendor.key, "hardware_id": hardware, "attempt": str(uuid.uuid4())}
            status, answer = self.post(connection, "acquire", wish)
            if status not in (200, 201):
                with self.lock:
                    self.left += 2
                time.sleep(0.2)
                continue
            status, _ = self.post(connection, "release", None, answer["session"])
            with self.lock:
                self.granted += 1
                self.released += status == 200

    def take_two(self) -> bool:
        with self.lock:
            self.left -= 2
            return self.left >= -1

    @staticmethod
    def post(connection, path: str, body, handle: str | None = None) -> tuple[int, dict]:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {handle}"} if handle else {})
        try:
            connection.request("POST", f"/api/v1/licenses/{path}", None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        except (OSError, ValueError, http.client.HTTPException):
            connection.close()
            return 0, {}


def troubles(machine: Machine, receivers: list[Receiver], over: threading.Event) -> None:
    """One trouble after another, each followed by a time without."""
    done = 0
    while not over.wait(8):
        receiver = receivers[done % len(receivers)]
        what = ["license-local", "refusing", "postgres", "away", "redis", "closing", "license-local", "slow"][done % 8]
        say(f"trouble: {what}")
        if what == "license-local":
            machine.restart()
        elif what == "postgres":
            machine.kill_postgres()
        elif what == "redis":
            machine.kill_redis()
        elif what == "away":
            receiver.close()
            over.wait(10)
            receiver.open()
        else:
            receiver.mood = what
            over.wait(10)
            receiver.mood = "well"
        done += 1


def count_events(machine: Machine, vendor: Vendor) -> int:
    """How many events PostgreSQL has for the webhooks, once it can be asked."""
    kinds = ", ".join(f"'{kind}'" for kind in KINDS)
    statement = f"select count(*) from outbox where tenant_id = '{vendor.tenant}' and kind in ({kinds})"
    return int(until("PostgreSQL answers", lambda: machine.records(statement), 90)[0])


def missing(machine: Machine, vendor: Vendor, receivers: list[Receiver]) -> tuple[int, list[int]]:
    """How many events PostgreSQL has, and how many of them each receiver lacks."""
    kinds = ", ".join(f"'{kind}'" for kind in KINDS)
    ids = machine.records(f"select id from outbox where tenant_id = '{vendor.tenant}' and kind in ({kinds})")
    return len(ids), [sum(identity not in receiver.got for identity in ids) for receiver in receivers]


def told_of_all(machine: Machine, vendor: Vendor, receivers: list[Receiver]) -> int:
    count, lacking = missing(machine, vendor, receivers)
    say(f"{count} events; not yet received: {lacking}")
    return 0 if any(lacking) else count


def under_way(machine: Machine, vendor: Vendor, receivers: list[Receiver], after: str) -> list[float]:
    """For how long each event written after this one was under way to each receiver, in seconds, in order."""
    rows = machine.records(
        f"select id, extract(epoch from created_at) from outbox where tenant_id = '{vendor.tenant}' "
        f"and kind in ('seat.granted', 'seat.freed') and id > '{after}'"
    )
    events = [row.split("|") for row in rows]
    return sorted(receiver.got[identity] - float(at) for receiver in receivers for identity, at in events)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000, help="written while everything is killed (100000)")
    parser.add_argument("--calm", type=int, default=2_000, help="written while nothing is (2000)")
    parser.add_argument("--patience", type=int, default=5400, help="how long the last of them may take, in seconds (5400)")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="storm-", ignore_cleanup_errors=True) as directory:
        machine = Machine(Path(directory))
        try:
            storm(machine, told)
        finally:
            machine.stop()


def storm(machine: Machine, told: argparse.Namespace) -> None:
    vendor = Vendor(machine)
    receivers = [Receiver() for _ in range(3)]
    for receiver in receivers:
        made = ask(f"{vendor.organization}/webhooks", {"url": f"http://127.0.0.1:{receiver.port}/", "events": KINDS}, vendor.admin())
        receiver.secret = base64.b64decode(made["secret"].removeprefix("whsec_"))
    began = time.monotonic()
    holders = Holders(vendor, 8)
    over = threading.Event()
    trouble = threading.Thread(target=troubles, args=(machine, receivers, over))
    trouble.start()
    # Who gets the seat that it had before is in no event.
    while (more := told.events - count_events(machine, vendor)) > 0:
        for thread in holders.run(more):
            thread.join()
    over.set()
    trouble.join()
    say(f"written in {time.monotonic() - began:.0f} s: {holders.granted} seats taken, {holders.released} given back")
    count = until("every event was received", lambda: told_of_all(machine, vendor, receivers), told.patience, 20)
    lasted = time.monotonic() - began
    requests, forged = sum(it.requests for it in receivers), sum(it.forged for it in receivers)
    say(f"{count} events, each received by each of 3 webhooks, after {lasted:.0f} s; {requests} requests, {forged} wrongly signed")
    if count < told.events or forged:
        raise SystemExit(f"wanted {told.events} events, and no wrong signature")

    last = machine.records("select max(id::text) from outbox")[0]
    for thread in holders.run(told.calm):
        thread.join()
    until("every event of the calm was received", lambda: told_of_all(machine, vendor, receivers), 600, 5)
    times = under_way(machine, vendor, receivers, last)
    at = lambda share: times[min(int(len(times) * share), len(times) - 1)]  # noqa: E731
    say(f"with nothing killed: {len(times)} deliveries, half within {at(0.5):.1f} s, 99 % within {at(0.99):.1f} s, all within {times[-1]:.1f} s")


if __name__ == "__main__":
    sys.exit(main())
