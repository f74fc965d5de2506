"""`python -m cost.page` prints docs/COST.md, all of it."""

from __future__ import annotations

import copy
from typing import Any

from . import model as m

SEEDS = {"dev": "310 to 340", "prod": "1,200 to 1,500", "1M": "46,500"}


def dollars(value: float) -> str:
    return f"{value:,.0f}"


def table(head: list[str], lines: list[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def cases() -> str:
    listed = m.CASES["cases"]
    found = [m.rows(case) for case in listed]
    lines = [[name, *(dollars(rows[name]) for rows in found)] for name in found[0]]
    lines.append(["**sum**", *(f"**{dollars(sum(rows.values()))}**" for rows in found)])
    loads = [m.load_of(case) for case in listed]
    lines.append(["*requests, millions*", *(dollars(load.requests / m.MILLION) for load in loads)])
    lines.append(["*heartbeats a second, while seats are held*", *(dollars(load.rate) for load in loads)])
    lines.append(["*instances of heartbeat*", *(str(load.instances) for load in loads)])
    lines.append(["*GiB of answers*", *(dollars(load.gib("answer")) for load in loads)])
    lines.append(["*if TLS handshakes are charged as well*", *("+" + dollars(handshakes(load)) for load in loads)])
    return table(["", *(case["name"] for case in listed)], lines)


def handshakes(load: m.Load) -> float:
    """What the handshakes of a new connection for each request would add to the answers."""
    more = (load.heartbeats + 2 * load.sessions) * m.MEASURED["handshake"]["answer"] / m.GIB
    return m.egress(load.gib("answer") + more) - m.egress(load.gib("answer"))


def log_lines() -> str:
    lines = []
    for case in m.CASES["cases"]:
        load = m.load_of(case)
        if load.seats:
            lines.append([case["name"], *(f"{m.logs_gib(load, excluded):,.0f}" for excluded in (False, True)),
                          *(dollars(m.logs(load, excluded)) for excluded in (False, True))])
    return table(["", "GiB, all lines stored", "GiB, with the exclusions", "$, all", "$, with the exclusions"], lines)


def billing() -> tuple[str, float]:
    """The rate from which an instance that is charged as a whole is cheaper, for a day of even load."""
    rate, flat = 0.0, m.flat_instance(m.SECONDS)
    second = m.price("run_vcpu_second") + m.MEMORY_GIB * m.price("run_gib_second")
    request = m.price("run_million_requests") / m.MILLION
    while m.busy_seconds(rate, m.SECONDS) * second + rate * m.SECONDS * request < flat:
        rate += 0.1
    return f"{rate:.0f}", flat


def careless() -> str:
    case = named("1M seats")
    load = m.load_of(case)
    right = sum(m.rows(case).values())
    lines = [
        ["Cloud Armor on heartbeats and releases too", m.armor(load, heartbeats=True) - m.armor(load)],
        ["every function charged by request", m.by_request(load) - m.by_instance(load)],
        ["every line stored", m.logs(load, excluded=False) - m.logs(load)],
    ]
    total = right + sum(line[1] for line in lines)
    lines += [["together with the column \"1M seats\"", total]]
    return table(["", "$ a month"], [[name, dollars(value)] for name, value in lines])


def named(name: str) -> dict[str, Any]:
    return next(case for case in m.CASES["cases"] if case["name"] == name)


def levers() -> tuple[str, float, float]:
    """From the last column to less: each lever's saving after those before it."""
    case = copy.deepcopy(m.CASES["cases"][-1])
    load, big, small = m.load_of(case), m.sizes_of(case), m.CASES["sizes"]["less"]
    start = sum(m.rows(case).values())
    gib, disk = load.gib("answer"), m.disk_gb(load)
    fewer = m.logs_gib(load, True) - 0.9 * 0.01 * (m.logs_gib(load, False))
    steps = [
        (f"PostgreSQL with two vCPUs ({small['tier']})", m.postgresql(big, disk) - m.postgresql(small, disk)),
        (f"Valkey on {small['node_type']}", m.valkey(big) - m.valkey(small)),
        ("answers by the standard tier (one region's address, no anycast)",
         m.egress(gib) - min(gib, 10240) * m.price("egress_standard")),
        ("ended sessions kept for 100 days and not 400",
         m.postgresql(small, disk) - m.postgresql(small, m.disk_gb(load, 100))),
        ("of heartbeats' lines 1 in 1,000 stored and not 1 in 100",
         m.logs(load) - max(0, fewer - m.free("logs_gib")) * m.price("logs_gib")),
    ]
    left, lines = start, [["the last column", "", dollars(start)]]
    for name, saved in steps:
        left -= saved
        lines.append([name, "−" + dollars(saved), dollars(left)])
    return table(["", "$ a month", "left"], lines), left, start


def assumptions() -> str:
    a = m.ASSUMED
    return table(["Assumed, not measured", ""], [
        ["seats held, in the columns 10k and 100k", "30 % of the month; in those of 1M always"],
        ["sessions", "one a seat and day: an acquire and a release"],
        ["CPU of a request in Cloud Run", f"{a['cpu_factor']} times what it is here: TLS to the stores, shared CPU"],
        ["an instance is full", f"at {a['full_instance']:.0%} of its CPU"],
        ["a line that Cloud Run writes itself", f"{a['cloud_run_line_bytes']:,} bytes"],
        ["ended sessions are kept", f"{a['days_kept']} days, as catalog.retention says"],
        ["alerts", f"{a['alert_conditions']} conditions, each with one time series"],
        ["time series of metrics", f"{a['metric_series']['counters']} counts, {a['metric_series']['distributions']} "
         "distributions, all written each minute"],
        ["pushes to the reaper", "one a minute where nobody holds a seat, else 65, which is the most there can be"],
    ])


def measured() -> str:
    found, cpu = m.MEASURED["bytes"], m.MEASURED["cpu_us"]
    lines = [[f"{name.replace('_', ' ')}: request, answer", f"{it['request']:,} and {it['answer']:,} bytes"]
             for name, it in found["requests"].items()]
    lines += [[f"log line of {name}", f"{size:,} bytes, and {found['added_to_a_line']} that Cloud Logging adds"]
              for name, size in found["lines"].items() if name in ("acquire", "heartbeat", "release")]
    lines += [
        ["TLS handshake: client, server", f"{m.MEASURED['handshake']['request']:,} and "
         f"{m.MEASURED['handshake']['answer']:,} bytes ({m.MEASURED['handshake']['how']})"],
        ["CPU of a heartbeat, an acquire, a release", f"{cpu['heartbeat']}, {cpu['acquire']}, {cpu['release']} µs"],
        ["memory of a seat in Valkey", f"{m.MEASURED['memory_bytes_a_seat']} bytes"],
        ["disk of an ended session", f"{m.MEASURED['disk_bytes_an_ended_session']} bytes"],
    ]
    return table(["Measured", ""], lines)


def prices() -> str:
    return table(["Price", "$", "from", "seen"], [
        [it["what"], f"{it['dollars']:.8f}".rstrip("0").rstrip("."), it["source"], it["seen"]]
        for it in m.PRICES["prices"].values()
    ])


def sizes() -> str:
    return table(["", "PostgreSQL", "standby", "Valkey", "replicas", "root key"], [
        [name, it["tier"], "yes" if it["ha"] else "no", it["node_type"], str(it["replicas"]), it["protection_level"]]
        for name, it in m.CASES["sizes"].items()
    ])


def page() -> str:
    rate, flat = billing()
    steps, left, start = levers()
    last, huge = m.load_of(m.CASES["cases"][-1]), m.load_of(named("1M, thrift"))
    sums = {case["name"]: sum(m.rows(case).values()) for case in m.CASES["cases"]}
    text = (m.HERE / "page.md").read_text()
    values = {
        "cases": cases(), "log_lines": log_lines(), "careless": careless(), "levers": steps, "sizes": sizes(),
        "assumptions": assumptions(), "measured": measured(), "prices": prices(), "where": m.PRICES["where"],
        "warm": f"{m.warm_instance():.2f}", "warm_three": dollars(3 * m.warm_instance()), "rate": rate,
        "flat": f"{flat:.2f}", "left": dollars(left), "start": dollars(start), "missing": dollars(start - 1500),
        "handshakes": dollars(handshakes(last)), "left_handshakes": dollars(left + handshakes(last)),
        "short_lease": dollars(sums["1M, thrift"]), "short_more": dollars(sums["1M, thrift"] - start),
        "valkey_core": f"{last.rate * m.MEASURED['cpu_us']['valkey_heartbeat'] / 1e6:.0%}",
        "valkey_core_short": f"{huge.rate * m.MEASURED['cpu_us']['valkey_heartbeat'] / 1e6:.0%}",
        "records_core": f"{last.seats / 3600 * m.MEASURED['cpu_us']['postgresql_acquire_and_release'] / 1e6:.0%}",
        "seeds": table(["", "GKE, Citus and Redis, as first planned", "this"], [
            ["dev", SEEDS["dev"], dollars(sums["dev"])],
            ["prod", SEEDS["prod"], f"{dollars(sums['prod, nobody'])} to {dollars(sums['100k seats'])}"],
            ["a million (tenants there, seats here)", SEEDS["1M"],
             f"{dollars(start)} to {dollars(sums['1M seats'])}"],
        ]),
    }
    for name, value in values.items():
        text = text.replace("{{" + name + "}}", value)
    return text


if __name__ == "__main__":
    print(page(), end="")
