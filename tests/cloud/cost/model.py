"""What an environment costs a month: prices × what was measured × what a case assumes. Nothing here is rounded."""

from __future__ import annotations

import json
import math
import pathlib
import re
from dataclasses import dataclass, field
from typing import Any

HERE = pathlib.Path(__file__).parent
GIB, MILLION = 2**30, 1_000_000


def read(name: str) -> dict[str, Any]:
    return json.loads((HERE / f"{name}.json").read_text())


PRICES, MEASURED, CASES = read("prices"), read("measured"), read("cases")
ASSUMED = CASES["assumed"]
SECONDS = ASSUMED["hours_a_month"] * 3600
BYTES = MEASURED["bytes"]["requests"]
# An instance has one vCPU and a quarter of a GiB (opentofu/functions.json).
MEMORY_GIB = 0.25


def price(name: str) -> float:
    return PRICES["prices"][name]["dollars"]


def free(name: str) -> float:
    return PRICES["free"][name]


def sizes_of(case: dict[str, Any]) -> dict[str, Any]:
    return CASES["sizes"][case.get("sizes") or case["environment"]]


@dataclass
class Load:
    """What a case asks of the cloud in a month."""

    seats: int
    duty: float
    lease: int
    thrift: bool
    instances: int = field(init=False)

    def __post_init__(self) -> None:
        # A heartbeat is sent after 30 % of the lease, while the seat is held.
        self.heartbeats = self.seats * self.duty * SECONDS / (0.3 * self.lease)
        self.sessions = self.seats * ASSUMED["days_a_month"]
        self.rate = self.heartbeats / (SECONDS * self.duty) if self.seats else 0
        self.ticks = SECONDS / 60 * (65 if self.seats else 1)
        cpu = MEASURED["cpu_us"]["heartbeat"] / MILLION * ASSUMED["cpu_factor"]
        # Two at least, so that a release or a lost instance leaves one; a single one would always know its own key.
        self.instances = max(2, math.ceil(self.rate * cpu / ASSUMED["full_instance"])) if self.seats else 0

    @property
    def with_certificate(self) -> float:
        """The share of heartbeats whose answer carries a certificate: a client that names one key meets it by chance;
        one that names all keys it knows is given each anew twice a day."""
        if not self.seats:
            return 0
        if not self.thrift:
            return 1 - 1 / self.instances
        return min(1, self.instances * 2 / (86400 / (0.3 * self.lease)))

    def gib(self, way: str) -> float:
        """Gibibytes of all requests, or of all answers."""
        share = self.with_certificate
        beat = share * BYTES["heartbeat_with_certificate"][way] + (1 - share) * BYTES["heartbeat"][way]
        session = BYTES["acquire"][way] + BYTES["release"][way]
        return (self.heartbeats * beat + self.sessions * session) / GIB

    @property
    def requests(self) -> float:
        return self.heartbeats + 2 * self.sessions + self.ticks


def load_of(case: dict[str, Any]) -> Load:
    return Load(case["seats"], case.get("duty", 0), case["lease"], case["thrift"])


def postgresql(size: dict[str, Any], disk_gb: float) -> float:
    disk = disk_gb * (price("sql_gb_disk") * (2 if size["ha"] else 1) + price("sql_gb_backup"))
    if size["tier"] == "db-g1-small":
        return price("sql_g1_small") + disk
    vcpus, memory = map(int, re.fullmatch(r"db-custom-(\d+)-(\d+)", size["tier"]).groups())
    return (vcpus * price("sql_vcpu") + memory / 1024 * price("sql_gb_memory")) * (2 if size["ha"] else 1) + disk


def disk_gb(load: Load, days: float | None = None) -> float:
    kept = load.sessions / ASSUMED["days_a_month"] * (days or ASSUMED["days_kept"])
    return 10 + kept * MEASURED["disk_bytes_an_ended_session"] / 1e9


def valkey(size: dict[str, Any]) -> float:
    return (1 + size["replicas"]) * price(f"valkey_{size['node_type']}")


def busy_seconds(rate: float, seconds: float) -> float:
    """Seconds in which an instance has a request, counted in tenths, as they are charged."""
    return seconds * (1 - math.exp(-rate * 0.1))


def by_request(load: Load) -> float:
    """All functions charged by request: each tenth of a second in which there was one, and each request."""
    sessions = load.sessions / SECONDS
    busy = busy_seconds(load.rate, SECONDS * load.duty) * max(1, load.instances - 1 if load.instances > 2 else 1)
    busy += 2 * busy_seconds(sessions, SECONDS) + busy_seconds(load.ticks / SECONDS, SECONDS)
    cpu = max(0, busy - free("run_vcpu_seconds")) * price("run_vcpu_second")
    memory = max(0, busy * MEMORY_GIB - free("run_gib_seconds")) * price("run_gib_second")
    return cpu + memory + max(0, load.requests - free("run_requests")) / MILLION * price("run_million_requests")


def flat_instance(seconds: float) -> float:
    return seconds * (price("run_flat_vcpu_second") + MEMORY_GIB * price("run_flat_gib_second"))


def by_instance(load: Load) -> float:
    """heartbeat charged by instance while seats are held, the others by request."""
    others = Load(load.seats, load.duty, load.lease, load.thrift)
    others.heartbeats, others.rate = 0, 0
    return load.instances * flat_instance(SECONDS * load.duty) + by_request(others)


def warm_instance() -> float:
    """An instance at rest that is kept for the first request."""
    return SECONDS * (price("run_warm_vcpu_second") + MEMORY_GIB * price("run_warm_gib_second"))


def egress(gib: float) -> float:
    first, second = min(gib, 1024), min(max(gib - 1024, 0), 9 * 1024)
    rest = max(gib - 10 * 1024, 0)
    return first * price("egress_first_tib") + second * price("egress_to_10_tib") + rest * price("egress_beyond")


def front(load: Load) -> float:
    data = load.gib("request") + load.gib("answer")
    return ASSUMED["hours_a_month"] * price("front_rules_hour") + data * price("front_gib")


def armor(load: Load, heartbeats: bool = False) -> float:
    requests = load.sessions + (load.heartbeats + load.sessions if heartbeats else 0)
    return price("armor_policy") + 4 * price("armor_rule") + requests / MILLION * price("armor_million_requests")


def logs_gib(load: Load, excluded: bool) -> float:
    """Gibibytes of lines that are stored: the services' and Cloud Run's own."""
    lines, added = MEASURED["bytes"]["lines"], MEASURED["bytes"]["added_to_a_line"]
    beat = load.heartbeats * (lines["heartbeat"] + added) * (0.01 if excluded else 1)
    others = load.sessions * (lines["acquire"] + lines["release"] + 2 * added) + load.ticks * (lines["release"] + added)
    own = load.requests * ASSUMED["cloud_run_line_bytes"] * (0.01 if excluded else 1)
    return (beat + others + own) / GIB


def logs(load: Load, excluded: bool = True) -> float:
    return max(0, logs_gib(load, excluded) - free("logs_gib")) * price("logs_gib")


def watch() -> float:
    """Metrics from lines (a value of 8 bytes or 80 each minute for each series) and the conditions of alerts."""
    series = ASSUMED["metric_series"]
    mib = (series["counters"] * 8 + series["distributions"] * 80) * SECONDS / 60 / 2**20
    metrics = max(0, mib - free("metrics_mib")) * price("metrics_mib")
    looked_at = ASSUMED["alert_conditions"] * SECONDS / 30 / MILLION * price("alert_million_series")
    return metrics + ASSUMED["alert_conditions"] * price("alert_condition") + looked_at


def small_things(case: dict[str, Any]) -> float:
    version = price(f"kms_{sizes_of(case)['protection_level'].lower()}_version")
    return version + 2 * price("secret_version") + price("registry_gb")


def rows(case: dict[str, Any]) -> dict[str, float]:
    """The rows of a case, without their sum."""
    load, size = load_of(case), sizes_of(case)
    return {
        "PostgreSQL (Cloud SQL)": postgresql(size, disk_gb(load)),
        "Valkey (Memorystore)": valkey(size),
        "functions (Cloud Run)": min(by_request(load), by_instance(load)),
        "load balancer": front(load) if case["front"] else 0,
        "Cloud Armor (not for heartbeats)": armor(load) if case["front"] else 0,
        "answers to the internet": egress(load.gib("answer")),
        "log lines, with the exclusions": logs(load),
        "metrics and alerts": watch() if case["front"] else 0,
        "root key, secrets, registry": small_things(case),
    }
