"""What is promised of the image, on the image itself. `tests/cloud/parts/image` built the binaries; buildah puts them
together here.

check.py CONTEXT        the directory that .ci/image wrote
"""

import argparse
import json
import os
import pathlib
import re
import select
import socket
import stat
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from image import authority, container
from image.elf import Elf

BUNDLE = "etc/ssl/certs/ca-certificates.crt"
KEY = "1:" + "A" * 43
CHECKED = 0


def holds(fact: bool, otherwise: str) -> None:
    global CHECKED
    CHECKED += 1
    if not fact:
        sys.exit(f"image: {otherwise}")


def described() -> tuple[dict[str, dict[str, object]], list[str]]:
    """The services and the jobs of opentofu/functions.json."""
    description = json.loads(pathlib.Path("opentofu/functions.json").read_text())
    return description["functions"], list(description["jobs"])


def check_binaries(root: pathlib.Path, names: list[str], publishers: set[str]) -> None:
    """Each needs nothing of a system, and says what it is made of. Google's client is only in publishers."""
    locked = set(re.findall(r'^name = "(.*)"\nversion = "(.*)"$', pathlib.Path("Cargo.lock").read_text(), re.MULTILINE))
    for name in names:
        binary = Elf(root / name)
        wants = binary.wants_from_the_system()
        holds(not wants, f"/{name} is not static: it wants {', '.join(wants)}.")
        packages = binary.packages()
        holds(packages <= locked, f"/{name} is made of what Cargo.lock does not have: {sorted(packages - locked)}")
        holds(len(packages) > 100, f"/{name} names only {len(packages)} packages that it is made of.")
        # The list has what the workspace could make it of (cargo-auditable asks for all features that any member
        # wants), so it is no answer here. The places of possible panics name the crates that are really in it; the
        # list itself is compressed.
        client = b"google-cloud-pubsub-" in binary.data
        holds(client == (name in publishers), f"/{name} {'has' if client else 'lacks'} the Cloud Pub/Sub client.")


def check_files(root: pathlib.Path, names: list[str], built: int) -> None:
    """Nothing but the binaries and the certificates is there, and nobody but root may change them."""
    directories = {str(parent) for parent in pathlib.Path(BUNDLE).parents} - {"."}
    expected = {*names, BUNDLE, *directories}
    found = {}
    for directory, subdirectories, files in os.walk(root):
        for name in [*subdirectories, *files]:
            path = pathlib.Path(directory, name)
            found[str(path.relative_to(root))] = path.lstat()
    holds(
        set(found) == expected,
        f"the image has {sorted(set(found) - expected)} and lacks {sorted(expected - set(found))}.",
    )
    for name, status in found.items():
        kind = stat.S_IFDIR | 0o755 if name in directories else stat.S_IFREG | (0o644 if name == BUNDLE else 0o755)
        holds(status.st_mode == kind, f"/{name} has the mode {stat.filemode(status.st_mode)}.")
        holds((status.st_uid, status.st_gid) == (0, 0), f"/{name} does not belong to root.")
        holds(int(status.st_mtime) == built, f"/{name} is not of the time of the commit.")


def environment(records: int = 1, seats: int = 1, keys: str = "https://127.0.0.1:1/keys") -> dict[str, str]:
    """What every service starts with; nobody answers at the stores' ports unless a check does."""
    return {
        "DATABASE_URL": f"postgres://127.0.0.1:{records}/license",
        "REDIS_URL": f"redis://127.0.0.1:{seats}",
        "HANDLE_KEY": KEY,
        "LICENSE_PEPPER": KEY,
        "WEBHOOK_KEY": KEY,
        "ROOT_KEY": "kms:projects/p/locations/us/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
        "TOKEN_ISSUER": "https://licenses.test",
        "IDENTITY_ISSUER": "https://people.test",
        "IDENTITY_AUDIENCE": "people",
        "IDENTITY_JWKS_URL": keys,
        "PUSH_ISSUER": authority.ISSUER,
        "PUSH_AUDIENCE": authority.AUDIENCE,
        "PUSH_EMAIL": authority.EMAIL,
        "PUSH_JWKS_URL": keys,
        "PUBSUB_PROJECT": "project",
        "PUBSUB_EMULATOR_HOST": "127.0.0.1:1",
    }


def check_rights(process: container.Process) -> None:
    """It is the first process, and nobody: its root is read-only, or container.py would not have started it."""
    status = process.status()
    holds(status["NSpid"][-1] == "1", f"/{process.name} is not the first process.")
    holds(
        set(status["Uid"] + status["Gid"]) == {str(container.UID)},
        f"/{process.name} runs as {status['Uid']}, {status['Gid']}.",
    )
    holds(int(status["CapEff"][0], 16) == 0, f"/{process.name} has capabilities: {status['CapEff'][0]}.")


def exit_codes() -> dict[int, str]:
    """What docs/OPERATING.md says that the job's exit codes mean."""
    rows = pathlib.Path("docs/OPERATING.md").read_text().partition("| Exit code | Means |\n|---|---|\n")[2]
    return {int(code): means for code, means in re.findall(r"^\| (\d+) \| (.*) \|$", rows.split("\n\n")[0], re.M)}


def check_job(root: pathlib.Path, name: str) -> None:
    """It runs as a service does and listens nowhere; it ends with its last line, and a code that the page has."""
    with socket.create_server(("127.0.0.1", 0)) as records:
        variables = environment(records.getsockname()[1]) | {"START_PATIENCE_SECONDS": "0"}
        with container.started(root, name, variables, "status") as process:
            # It waits for an answer until the store hangs up.
            records.settimeout(10)
            connection, _ = records.accept()
            check_rights(process)
            listening = process.listening()
            holds(not listening, f"/{name} listens at {listening}.")
            records.close()
            connection.close()
            check_end(process, 3, "does not answer", "Look whether the address in DATABASE_URL is right")
    without = {"START_PATIENCE_SECONDS": "0"}
    with container.started(root, name, without, "status") as process:
        check_end(process, 2, "a variable is wrong", "DATABASE_URL is not set")


def check_end(process: container.Process, wanted: int, means: str, says: str) -> None:
    code = process.exit_code(within=20)
    last = json.loads(process.lines.strip().splitlines()[-1])
    holds(code == wanted, f"/{process.name} ended with {code} and not with {wanted}: {last}")
    holds((last["severity"], last["exit_code"]) == ("ERROR", wanted), f"/{process.name} says of its end: {last}")
    holds(says in last["message"], f"/{process.name} says {last['message']!r}, and not {says!r}.")
    holds(means in exit_codes()[wanted], f"docs/OPERATING.md says of exit code {wanted}: {exit_codes()[wanted]}")


def check_service(root: pathlib.Path, name: str) -> tuple[float, float]:
    """It runs as the first process, without any right of root's, and finishes what is under way on SIGTERM. Gives the
    seconds from its start to its first answer, the making of its container included, and those that its end took.

    The first answer is to what Cloud Run asks a new instance: /health/started, 503 while its stores are away. The one to
    /health/live may be two seconds later: it waits until each store was tried, and PostgreSQL is for as long.
    """
    with socket.socket() as records, socket.socket() as seats:
        for store in (records, seats):
            store.bind(("127.0.0.1", 0))  # and does not listen: connections are refused
        ports = [store.getsockname()[1] for store in (records, seats)]
        started = time.monotonic()
        with container.started(root, name, environment(*ports)) as process:
            holds(process.get("/health/started")[0] == 503, f"/{name} says that it has started without its stores.")
            answered = time.monotonic() - started
            holds(process.get("/health/live")[0] == 200, f"/{name} does not live.")
            check_rights(process)
            # From here on the stores take connections and say nothing, so a request that needs one is under way until
            # they hang up.
            for store in (records, seats):
                store.listen()
            with under_way(process, [records, seats]) as client:
                process.terminate()
                began = time.monotonic()
                await_refusal(process)
                holds(not select.select([client], [], [], 0)[0], f"/{name} answered before a store did.")
                records.close()
                seats.close()
                answer = client.makefile("rb").readline().decode()
                holds(
                    answer.startswith("HTTP/1.1 503"),
                    f"/{name} answered {answer!r} to the request that was under way at SIGTERM.",
                )
            code = process.exit_code(within=60)
            took = time.monotonic() - began
            holds(code == 0, f"/{name} ended with {code} after SIGTERM; it wrote:\n{process.lines}")
            holds(took < 9, f"/{name} took {took:.1f} s to end; Cloud Run waits ten.")
            return answered, took


def under_way(process: container.Process, stores: list[socket.socket]) -> socket.socket:
    """A connection with a request that waits for a store. A service that has just met a closed store may answer at
    once a few times."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        client = socket.create_connection(("127.0.0.1", process.port), 10)
        client.sendall(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        select.select([*stores, client], [], [], 10)
        # A store may have been found by what the service tries by itself while it starts, and the request be answered
        # all the same: one that waits for a store is not answered for seconds.
        if not select.select([client], [], [], 0.3)[0]:
            return client
        client.close()
        time.sleep(0.01)
    raise RuntimeError(f"{process.name} asks no store for /health/ready; it wrote:\n{process.lines}")


def await_refusal(process: container.Process) -> None:
    """A service that is ending takes no connection any more."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", process.port), 1).close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:
            pass  # it was in the queue when the service closed it
        time.sleep(0.01)
    raise RuntimeError(f"{process.name} still takes connections a minute after SIGTERM.")


def push(process: container.Process, token: str) -> str:
    """The code that the reaper answers a tick with."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{process.port}/tick",
        data=b'{"message":{"data":"e30=","messageId":"1"},"subscription":"s"}',
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return str(answer.status)
    except urllib.error.HTTPError as error:
        return json.loads(error.read())["code"]


def check_silent_metadata(root: pathlib.Path, publishers: set[str]) -> None:
    """Who publishes asks the metadata server for its credentials when it starts. Where that takes the question and says
    nothing, the service ends and says so, instead of waiting without a word."""
    for name in publishers:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            variables = environment() | {"GCE_METADATA_HOST": f"127.0.0.1:{silent.getsockname()[1]}"}
            del variables["PUBSUB_EMULATOR_HOST"]
            with container.started(root, name, variables) as process:
                code = process.exit_code(within=60)
                holds(code != 0, f"/{name} ended with 0 although it cannot publish.")
                says = "look whether the metadata server of this machine (GCE_METADATA_HOST) answers"
                holds(says in process.lines, f"/{name} says {process.lines!r} where the metadata server is silent.")


def check_tls(
    root: pathlib.Path, known: authority.Authority, unknown: authority.Authority, issuer: authority.Issuer
) -> None:
    """The reaper fetches the keys of those who push over TLS before it asks a store, so its answer says whether it
    believed the server."""
    for who, believed in ((known, True), (unknown, False)):
        with (
            authority.serving(issuer.keys, who) as (url, asked),
            container.started(root, "reaper", environment(keys=url)) as reaper,
        ):
            reaper.get("/health/live")
            code = push(reaper, issuer.token())
            wanted = "records_unavailable" if believed else "identity_unavailable"
            holds(
                code == wanted,
                f"a server {'of a known' if believed else 'of an unknown'} authority: {code}. {reaper.lines}",
            )
            holds(bool(asked) == believed, f"the keys were asked for {len(asked)} times.")
            if believed:
                other = push(reaper, issuer.token("somebody@example.com"))
                holds(other == "token_invalid", f"a push of somebody else was answered {other}.")


def check_tick(root: pathlib.Path, issuer: authority.Issuer) -> None:
    """The command of the CronJob `tick` gets a token from the metadata server, and the reaper and notify believe it:
    then they ask their stores."""
    documents = yaml.safe_load_all(pathlib.Path("kubernetes/base/tick.yaml").read_text())
    (job,) = (document for document in documents if document["kind"] == "CronJob")
    (container_spec,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    command = [*container_spec["command"], *container_spec["args"]]
    with (
        authority.serving(issuer.keys) as (keys, _),
        container.started(root, "reaper", environment(keys=keys)) as reaper,
        container.started(root, "notify", environment(keys=keys)) as notify,
    ):
        reaper.get("/health/live")
        notify.get("/health/live")
        for email, wanted in ((authority.EMAIL, "records_unavailable"), ("somebody@example.com", "token_invalid")):
            with authority.serving(issuer.token(email).encode()) as (metadata, asked):
                there = {
                    "PATH": os.environ["PATH"],
                    "REAPER_URL": f"http://127.0.0.1:{reaper.port}",
                    "NOTIFY_URL": f"http://127.0.0.1:{notify.port}",
                    "GCE_METADATA_HOST": metadata.removeprefix("http://"),
                    "PUSH_AUDIENCE": authority.AUDIENCE,
                }
                done = subprocess.run(command, env=there, capture_output=True, text=True, check=False)
            (url,) = map(urllib.parse.urlsplit, asked)
            identity = "/computeMetadata/v1/instance/service-accounts/default/identity"
            wants = {"audience": [authority.AUDIENCE], "format": ["full"]}
            holds(
                url.path == identity and urllib.parse.parse_qs(url.query) == wants,
                f"the metadata server is asked for {asked}.",
            )
            holds(done.returncode == 22, f"the CronJob ended with {done.returncode}: {done.stdout} {done.stderr}")
            # One answer behind the other, in whatever order.
            codes = [json.loads(answer)["code"] for answer in done.stdout.replace("}{", "}\n{").splitlines()]
            holds(codes == [wanted] * 2, f"the CronJob's pushes as {email} were answered {codes}, and not {wanted}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("context", type=pathlib.Path)
    context = parser.parse_args().context
    functions, jobs = described()
    names = [*functions, *jobs]
    publishers = {name for name, function in functions.items() if function["publishes"]}
    built = int((context / "built").read_text())
    check_binaries(context / "root", names, publishers)
    with tempfile.TemporaryDirectory() as scratch, container.storage() as storage:
        directory = pathlib.Path(scratch)
        known, unknown = (authority.Authority(directory / name, name) for name in ("known", "unknown"))
        # The bundle of the image, with one authority more.
        with (context / "root" / BUNDLE).open("ab") as bundle:
            bundle.write(known.certificate.read_bytes())
        os.utime(context / "root" / BUNDLE, (built, built))
        digests = set()
        for tag in ("localhost/license-server:first", "localhost/license-server:second"):
            storage.build("cloud", context, tag, built)
            digests.add(storage.digest(tag))
        holds(len(digests) == 1, f"built twice from the same binaries, the image has two digests: {digests}.")
        config = storage.config("localhost/license-server:first")
        holds(config.get("User") == "65532:65532", f"the image runs as {config.get('User')!r}.")
        holds(not config.get("Entrypoint") and not config.get("Cmd"), "the image has a command of its own.")
        root = storage.mount("localhost/license-server:first")
        check_files(root, names, built)
        size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
        compressed = storage.compressed("localhost/license-server:first")
        sizes = {name: (root / name).stat().st_size for name in names}
        times = {name: check_service(root, name) for name in functions}
        for name in jobs:
            check_job(root, name)
        check_silent_metadata(root, publishers)
        issuer = authority.Issuer(directory)
        check_tls(root, known, unknown, issuer)
        check_tick(root, issuer)
    took = {name: end for name, (_, end) in times.items()}
    slowest = max(took, key=took.get)
    for name in names:
        start = f", {times[name][0] * 1000:.0f} ms to its first answer, stores away" if name in times else ""
        print(f"image: /{name} {sizes[name] / 1e6:.1f} MB{start}")
    print(
        f"image: {len(names)} binaries, {size / 1e6:.1f} MB, {compressed / 1e6:.1f} MB as pushed; twice the same bytes"
    )
    print(
        f"image: {len(took)} services answered what was under way at SIGTERM; "
        f"the slowest, {slowest}, ended after {took[slowest]:.2f} s"
    )
    print(f"image: {', '.join(f'/{name}' for name in jobs)} ended with the codes of docs/OPERATING.md")
    print(f"image: {CHECKED} checks")


if __name__ == "__main__":
    main()
