"""The bytes of a run: what docs/COST.md is computed from (tests/cloud/cost/measured.json).

`python -m watch.sizes` plays the run and prints them.
"""

from __future__ import annotations

import json
from typing import Any

from .log_entries import entry_of
from .run_of_services import PROJECT, Run

# What Cloud Logging adds to a line that comes from Cloud Run: names and labels, as its entries show them.
ADDED = {
    "logName": f"projects/{PROJECT}/logs/run.googleapis.com%2Fstdout",
    "insertId": "0" * 24,
    "receiveTimestamp": "2026-11-28T00:00:00.000000000Z",
    "resource": {"type": "cloud_run_revision", "labels": {
        "project_id": PROJECT, "service_name": "heartbeat", "revision_name": "heartbeat-00001-abc",
        "configuration_name": "heartbeat", "location": "us-central1",
    }},
    "labels": {"instanceId": "0" * 150},
}


def sizes(run: Run) -> dict[str, Any]:
    """Bytes of a request and of its answer with their heads, and of the line that ends it."""
    requests: dict[str, dict[str, int]] = {}
    for asked in run.asked:
        name = asked.path.rpartition("/")[2]
        if asked.status in (200, 201) and name in ("acquire", "heartbeat", "release", "validate"):
            if name == "heartbeat" and "certificate" in asked.answer:
                name = "heartbeat_with_certificate"
            requests[name] = {"request": asked.bytes_in, "answer": asked.bytes_out}
    lines: dict[str, list[int]] = {}
    for number, line in enumerate(run.lines):
        entry = entry_of(line, number)
        if "trace" in entry and entry.get("httpRequest", {}).get("status", 500) < 300:
            lines.setdefault(entry["jsonPayload"]["metric"].split("/")[0], []).append(len(line) + 1)
    return {
        "requests": requests,
        "lines": {name: round(sum(found) / len(found)) for name, found in sorted(lines.items())},
        "added_to_a_line": len(json.dumps(ADDED, separators=(",", ":"))),
    }


if __name__ == "__main__":
    from .scenario import play

    print(json.dumps(sizes(play()), indent=2))
