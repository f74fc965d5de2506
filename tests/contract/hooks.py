"""What schemathesis cannot know: a license key that opens something, and sessions."""

import itertools
import os
import uuid

import requests
import schemathesis

FRONT, KEY, TOKEN = (os.environ[f"CONTRACT_{name}"] for name in ("FRONT", "KEY", "TOKEN"))
CALLS = itertools.count(1)


# Four machines and the one that releases: as many as the demo license has seats, so that a session is always to be had.
MACHINES = [f"contract-{number}" for number in range(4)]
ATTEMPTS = {name: str(uuid.uuid4()) for name in (*MACHINES, "contract-release")}


def session(machine):
    """The session of a machine, the same until it is released."""
    body = {"license_key": KEY, "hardware_id": machine, "attempt": ATTEMPTS[machine]}
    answer = requests.post(f"{FRONT}/api/v1/licenses/acquire", json=body, timeout=10)
    return answer.json()["session"] if answer.ok else None


@schemathesis.hook
def before_call(context, case, kwargs):
    path = case.operation.path
    # What is meant to be wrong stays wrong.
    meant = case.meta is None or case.meta.generation.mode.value == "positive"
    if meant and path in ("/api/v1/licenses/acquire", "/api/v1/licenses/validate") and isinstance(case.body, dict):
        case.body["license_key"] = KEY
        if "hardware_id" in case.body:
            case.body["hardware_id"] = MACHINES[len(str(case.body["hardware_id"])) % len(MACHINES)]
    # Now and then nobody asks, so that a 401 is looked at as well.
    if next(CALLS) % 20:
        machine = {"/api/v1/licenses/heartbeat": MACHINES[0], "/api/v1/licenses/release": "contract-release"}.get(path)
        bearer = session(machine) if machine else TOKEN
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {bearer}"}
