"""What Cloud Run and Cloud Logging make of a line that a service writes to standard output.

Fields with a meaning are taken out of the object, the rest is jsonPayload:
https://cloud.google.com/run/docs/logging#using-json, https://cloud.google.com/logging/docs/structured-logging.
"""

from __future__ import annotations

import json
from typing import Any

from .run_of_services import PROJECT


def entry_of(line: str, number: int, service: str = "service") -> dict[str, Any]:
    """The entry of one line. Its service is not known where all of them run in one process."""
    payload = json.loads(line)
    entry: dict[str, Any] = {
        "insertId": f"{number:012d}",
        "logName": f"projects/{PROJECT}/logs/run.googleapis.com%2Fstdout",
        "resource": {"type": "cloud_run_revision", "labels": {"service_name": service, "project_id": PROJECT}},
        "severity": payload.pop("severity", "DEFAULT"),
        "timestamp": payload.pop("time", None),
    }
    if "httpRequest" in payload:
        entry["httpRequest"] = payload.pop("httpRequest")
    if trace := payload.pop("logging.googleapis.com/trace", None):
        entry["trace"] = trace
    payload.pop("logging.googleapis.com/spanId", None)
    payload.pop("logging.googleapis.com/trace_sampled", None)
    entry["jsonPayload"] = payload
    return entry


def request_entry(entry: dict[str, Any]) -> dict[str, Any]:
    """The line that Cloud Run itself writes of the request that `entry` ended: no payload, and 5xx is an error."""
    http = entry["httpRequest"]
    status = http["status"]
    severity = "ERROR" if status >= 500 else "WARNING" if status >= 400 else "INFO"
    return {
        "insertId": f"r{entry['insertId']}",
        "logName": f"projects/{PROJECT}/logs/run.googleapis.com%2Frequests",
        "resource": entry["resource"],
        "severity": severity,
        "httpRequest": http,
    }


def audit_entry(service: str, method: str, who: str) -> dict[str, Any]:
    """An entry of the audit log of what people and programs change."""
    return {
        "insertId": "audit",
        "logName": f"projects/{PROJECT}/logs/cloudaudit.googleapis.com%2Factivity",
        "resource": {"type": "audited_resource", "labels": {"service": service}},
        "severity": "NOTICE",
        "protoPayload": {
            "serviceName": service, "methodName": method, "authenticationInfo": {"principalEmail": who},
        },
    }
