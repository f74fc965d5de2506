"""The cloud on one machine: stores, stand-ins, the job `migrate` and the services, wired as OpenTofu wires them."""

import base64
import json
import os
import pathlib
import secrets
import subprocess
import sys
import time

import wiring
from customer import ask
from doors import GoogleNames
from front import load_balancer, run_address
from google import Issuer, Kms, Metadata
from place import ROOT, SERVICE_UID, Fault, Place, demand, free_port, until
from stores import Postgres, Programs, Redis

FUNCTIONS = wiring.DESCRIBED["functions"]
JOB_SECONDS = 120
# Longer than START_PATIENCE_SECONDS, after which a service says that it has started whatever its stores do.
START_SECONDS = 60


class Release:
    """What an image holds: a directory with one binary for each function and job. `image`: it is the image's root."""

    def __init__(self, name: str, directory: pathlib.Path, image: bool):
        self.name, self.directory, self.image = name, directory.resolve(), image
        self.told = False
        missing = [it for it in wiring.EVERYBODY if not (self.directory / it).exists()]
        demand(not missing, f"{directory} has no {', '.join(missing)}")

    def find_google(self, names: GoogleNames):
        """Have its root say where Google is."""
        if self.image and not self.told:
            names.tell(self.directory)
            self.told = True

    def start(self, place: Place, name: str, words: list, environment: dict, **more):
        """Start one of its binaries as the image says: as uid 65532, below the image's root where there is one."""
        if self.image:
            return place.start(name, [f"/{name}", *words], environment, uid=SERVICE_UID, root=self.directory, **more)
        # Opened as this user: the services' one may not be let into the clone.
        binary = os.open(self.directory / name, os.O_RDONLY)
        try:
            return place.start(
                name, [f"/proc/self/fd/{binary}", *words], environment, uid=SERVICE_UID, pass_fds=(binary,), **more
            )
        finally:
            os.close(binary)


class Bus:
    """Google's own in-memory Pub/Sub, its push subscriptions and the clock."""

    def __init__(self, place: Place, issuer: Issuer, run_urls: dict, seconds: float, backoff: float):
        program = place.directory / "push"
        subprocess.run(["go", "build", "-o", str(program), "./push"], cwd=ROOT / "tests/pstest", check=True)
        pushes = wiring.DESCRIBED["pushes"]["subscriptions"]
        words = [
            f"-push={name}={push['topic']}={run_urls[push['function']]}{push['path']}" for name, push in pushes.items()
        ]
        self.process = place.start(
            "pubsub",
            [
                str(program),
                f"-project={wiring.PROJECT}",
                f"-tick={seconds}s",
                f"-backoff={backoff}s",
                *words,
                f"-tokens={issuer.server.url}/push-token",
            ],
            {"PATH": os.environ["PATH"]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(place.directory / "pubsub.errors").open("wb"),
            text=True,
        )
        self.host = self.process.child.stdout.readline().strip()
        demand(self.host, "Pub/Sub did not start")
        self.tell("pause")

    def tell(self, word: str = "") -> dict:
        """Pause or resume the clock, publish to a topic (`publish TOPIC`), or nothing; what was counted so far."""
        self.process.child.stdin.write(f"{word}\n")
        self.process.child.stdin.flush()
        return json.loads(self.process.child.stdout.readline())


def _key() -> str:
    return f"1:{base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b'=').decode()}"


def _status(port: int, path: str) -> int:
    try:
        return ask("GET", f"http://127.0.0.1:{port}{path}")[0]
    except OSError:
        return 0


def _end(processes: dict):
    """End services in good order: each with 0."""
    for process in processes.values():
        process.child.terminate()
    for name, process in processes.items():
        ended = process.stop()
        demand(ended == 0, f"{name} ended with {ended} at SIGTERM:\n{process.tail()}")


class Cloud:
    """Everything, as `deploy` would have made it."""

    def __init__(self, place: Place, release: Release, lease: dict, tick_seconds: float, backoff_seconds: float):
        self.place, self.release, self.tick_seconds = place, release, tick_seconds
        self.running: dict = {}
        self.instances: dict = {}
        keys = place.folder("keys")
        metadata = {name: Metadata(email) for name, email in wiring.EMAILS.items()}
        self.kms = Kms(keys, wiring.KEY_VERSION)
        self.kms.may_sign = {metadata[name].token for name, row in FUNCTIONS.items() if row["kms"]}
        self.issuer = Issuer(keys)
        self.issuer.push_email = wiring.PUSH_EMAIL
        self.programs = Programs(place)
        print("".join(f"  {line}\n" for line in self.programs.had), end="", flush=True)
        self.redis = Redis(place, self.programs, [it.token for it in metadata.values()])
        self.postgres = Postgres(place, self.programs)
        logins = {wiring.LOGINS[name]: it.token for name, it in metadata.items()}
        self.postgres.make_as_cloud_sql(logins, wiring.LOGINS["migrate"])
        self.front = load_balancer(FUNCTIONS, self.instances)
        run_urls = {name: run_address(name, self.instances).url for name in FUNCTIONS}
        self.bus = Bus(place, self.issuer, run_urls, tick_seconds, backoff_seconds)
        self.names = None
        if release.image:
            self.names = GoogleNames(place)
            self.names.open(self.kms.server.host, self.issuer.server.host, self.bus.host)
        self.wires = wiring.Wires(
            records_url=self.postgres.url,
            records_ca=self.postgres.authority.pem,
            seats_url=self.redis.url,
            seats_ca=self.redis.authority.pem,
            by_name=release.image,
            public_url=f"https://{wiring.PROD['front']['domain']}" if release.image else self.front.url,
            run_urls=run_urls,
            lease=lease,
            secrets={"HANDLE_KEY": _key(), "LICENSE_PEPPER": _key(), "WEBHOOK_KEY": _key()},
            metadata=metadata,
            kms_endpoint=self.kms.server.url,
            jwks_url=self.issuer.jwks_url,
            pubsub_host=self.bus.host,
        )

    def _start(self, release: Release, name: str, words: list, environment: dict, **more):
        if self.names:
            demand(release.image, f"{release.name} has no root of its own, and would not find Google's names")
            release.find_google(self.names)
        return release.start(self.place, name, words, environment, **more)

    def migrate(self, *words: str, release: Release | None = None, code: int = 0) -> list:
        """Run the job to its end: its lines."""
        environment = wiring.job_environment(self.wires, "migrate")
        job = self._start(release or self.release, "migrate", list(words), environment, stdout=subprocess.PIPE)
        output, _ = job.child.communicate(timeout=JOB_SECONDS)
        ended = job.child.returncode
        demand(ended == code, f"migrate {' '.join(words)} ended with {ended}:\n{output.decode()[-1500:]}")
        return [json.loads(line) for line in output.decode().splitlines() if line.startswith("{")]

    def deploy(self, release: Release | None = None):
        """Start an instance of every function; each takes the place of the one before once it says that it has started,
        as a revision of Cloud Run does."""
        self.release = release or self.release
        ports = {name: free_port() for name in FUNCTIONS}
        fresh = {}
        for name, port in ports.items():
            fresh[name] = self._start(self.release, name, [], wiring.environment(self.wires, name, port))
        before, self.running = self.running, fresh
        for name, process in fresh.items():

            def started(name=name, process=process):
                demand(process.alive(), f"{name} ended:\n{process.tail()}")
                return _status(ports[name], "/health/started") == 200

            try:
                until(started, f"{name} says that it has started", START_SECONDS)
            except Fault as late:
                raise Fault(f"{late}; it wrote:\n{process.tail()}") from late
            self.instances[name] = ports[name]
        _end(before)
        self.bus.tell("resume")

    def pause(self) -> float:
        """Stop the clock and every service; when the last one had stopped."""
        self.bus.tell("pause")
        self.instances.clear()
        _end(self.running)
        self.running = {}
        return time.monotonic()

    def describe(self, license_key: str):
        """Write what `./deploy smoke` reads of a server on this machine."""
        data = self.place.directory / "data"
        data.mkdir(mode=0o700, exist_ok=True)
        endpoints = {"front": self.front.url, "token_issuer": self.wires.public_url, **self.wires.run_urls}
        (data / "endpoints.json").write_text(json.dumps(endpoints))
        (data / "root.pem").write_text(self.kms.public)
        (data / "license-key").write_text(license_key + "\n")
        self.data = data

    def smoke(self) -> str:
        """The pipeline's own smoke test, against the front: what it printed last."""
        words = [
            sys.executable,
            str(ROOT / "deploy"),
            "smoke",
            self.front.url,
            "--data",
            str(self.data),
            "--lines",
            str(self.running["reaper"].lines),
        ]
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
        for line in done.stderr.splitlines():
            print(f"    {line.strip()}")
        demand(done.returncode == 0, f"./deploy smoke ended with {done.returncode}: {done.stdout[-500:]}")
        return done.stderr.strip().splitlines()[-1]

    def low_roles(self) -> str:
        """Who is connected, as what. Nobody may be more than a member of one serving role."""
        rows = self.postgres.sql(
            "select usename || ' ' || application_name from pg_stat_activity where datname = current_database() "
            "and application_name in ('service', 'reaper', 'notify', 'admin') group by 1 order by 1"
        ).splitlines()
        wanted = {f"{wiring.LOGINS[name]} {row['database_role']}" for name, row in FUNCTIONS.items()}
        demand(rows and set(rows) <= wanted, f"the services are connected as {rows}, and may be {sorted(wanted)}")
        able = self.postgres.sql(
            "select count(*) from pg_roles r join pg_stat_activity a on a.usesysid = r.oid where "
            "a.application_name in ('service', 'reaper', 'notify', 'admin') and (r.rolsuper or r.rolcreaterole "
            "or r.rolbypassrls or r.rolcreatedb)"
        )
        demand(able == "0", "a service is connected as somebody who may do more than serve")
        insecure = self.postgres.sql(
            "select count(*) from pg_stat_ssl s join pg_stat_activity a using (pid) where "
            "a.application_name in ('service', 'reaper', 'notify', 'admin') and not s.ssl"
        )
        demand(insecure == "0", "a service is connected without TLS")
        return f"{len(rows)} logins connected over TLS, each as its own account with one low role"
