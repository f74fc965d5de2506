"""./dev cloud rehearse: deploy, smoke test, rollback, pause and restore of the cloud, on one machine."""

import argparse
import pathlib
import signal
import sys
import time

import drills
import releases
import wiring
from cloud import Cloud
from place import Fault, Place

# With the cloud's own lease the restore drill waits for 360 s, and then for 405 s or more. The drain is the shortest
# that a service accepts on Cloud Run.
SHORT = {"ttl_seconds": 20, "drain_seconds": 35}
# Waiting for the minute, and for the ten seconds before a push comes again, would only cost time: what they do is the
# same.
TICK_SECONDS, BACKOFF_SECONDS = 5, 1

EXPLAIN = """Exit code 0: everything was green. 1: something was not, and the last line says what. 2: wrong arguments.
Not as in the cloud: nothing is behind Google's hosts but stand-ins; each service has a metadata server of its own
(GCE_METADATA_HOST); the TLS of the seats is spoken by a door in front of Valkey; there is no TLS between client, front
and services, which listen at 127.0.0.1 alone; each service has one instance. Under root the services find the other
stand-ins by Google's names, over TLS, and have what Cloud Run sets (K_SERVICE, K_REVISION; CLOUD_RUN_JOB for migrate).
Elsewhere, or with plain binaries, they are led by KMS_ENDPOINT, PUBSUB_EMULATOR_HOST and the addresses of key sets,
which they refuse where K_SERVICE is set, so it is not."""


def parse(words: list) -> argparse.Namespace:
    """The arguments."""
    parser = argparse.ArgumentParser(
        "./dev cloud rehearse",
        description=__doc__,
        epilog=EXPLAIN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--binaries", type=pathlib.Path, help="a directory with the binaries, in place of a build")
    parser.add_argument("--earlier", type=pathlib.Path, help="the same of the release before, for the rollback")
    parser.add_argument(
        "--exact", action="store_true", help="prod's own lease and a tick a minute: it waits much longer"
    )
    return parser.parse_args(words)


class Steps:
    """Runs step by step, and remembers how long each took."""

    def __init__(self):
        self.times: list = []

    def run(self, name: str, step, *given):
        """One step: what it answers."""
        print(f"\033[1m{name}\033[0m", flush=True)
        began = time.monotonic()
        try:
            answer = step(*given)
        finally:
            self.times.append((name, time.monotonic() - began))
        if isinstance(answer, str):
            print(f"  {answer} ({self.times[-1][1]:.1f} s)", flush=True)
        return answer

    def table(self):
        """The times of all of them."""
        for name, took in [*self.times, ("in all", sum(took for _, took in self.times))]:
            print(f"{took:8.1f} s  {name}")


def rehearse(given: argparse.Namespace, place: Place, steps: Steps):
    """Everything, in the order of a release's life."""
    now = steps.run("image: this release", releases.current, place, given.binaries)
    before = steps.run("image: the release before", releases.earlier, place, given.earlier)
    lease, tick, backoff = (wiring.LEASE, 60, 10) if given.exact else (SHORT, TICK_SECONDS, BACKOFF_SECONDS)
    print(
        f"Lease {lease['ttl_seconds']} s, drain {lease['drain_seconds']} s, a tick every {tick} s"
        + ("" if given.exact else " (prod: 360 s, 45 s, 60 s; shortened because waiting shows nothing more)")
    )
    how = "uid 65532 below the image's root, with K_SERVICE" if now.image else "plain binaries, without K_SERVICE"
    print(f"Services: {how}")
    cloud = steps.run("stores and stand-ins", Cloud, place, now, lease, tick, backoff)
    steps.run("migrate and services", drills.first_deploy, cloud)
    steps.run("customers", drills.customers, cloud)
    steps.run("smoke", drills.smoke, cloud)
    steps.run("rollback and forward", drills.roll_back, cloud, before)
    steps.run("pause", drills.pause, cloud)
    steps.run("restore", drills.restore, cloud)
    steps.run("smoke after the restore", drills.smoke, cloud)
    steps.run("end", drills.end, cloud)


def _end(number, _frame):
    raise Fault(f"ended by {signal.Signals(number).name}")


def main(words: list) -> int:
    """The exit code."""
    given = parse(words)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _end)
    place, steps, failed = Place(), Steps(), None
    try:
        rehearse(given, place, steps)
    except Fault as fault:
        failed = str(fault)
    finally:
        place.close()
    steps.table()
    print(f"RED: {failed}" if failed else "All green.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
