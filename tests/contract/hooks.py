"""What schemathesis cannot know: a license key that opens something, sessions, and the ids of what there is."""

import itertools
import json
import os
import time
import uuid

import requests
import schemathesis

FRONT, TOKEN, LICENSE = (os.environ[f"CONTRACT_{name}"] for name in ("FRONT", "TOKEN", "LICENSE"))
# The organization's own license, so that its sessions are seen by the management API; and another organization's, for when this one was
# suspended or got a new key by one of the requests.
KEYS = os.environ["CONTRACT_KEYS"].split()
CALLS = itertools.count(1)


# Five machines, as many as either license has seats, so that a session is always to be had: requests to acquire come from two of them; the
# others hold one session each, since too many processes of a machine are refused.
MACHINES = ["contract-0", "contract-1"]
HOLDERS = {"/api/v1/licenses/heartbeat": "contract-heartbeat", "/api/v1/licenses/release": "contract-release", "ids": "contract-ids"}
ATTEMPTS = {name: str(uuid.uuid4()) for name in HOLDERS.values()}


def session(machine):
    """The acquire answer of a machine, the same session until it is over."""
    answers = []
    for key in KEYS:
        body = {"license_key": key, "hardware_id": machine, "attempt": ATTEMPTS[machine]}
        answer = requests.post(f"{FRONT}/api/v1/licenses/acquire", json=body, timeout=10)
        if answer.ok:
            return answer.json()
        answers.append(answer.text)
    raise RuntimeError(f"no seat for {machine}: {answers}")


def there(name):
    """The id of something there is, for a parameter of a path."""
    return LICENSE if name == "license" else session(HOLDERS["ids"])["session_id"]


AGAIN = json.loads(os.environ["CONTRACT_AGAIN"])


@schemathesis.hook
def after_call(context, case, response):
    """Whoever voided all tokens signs in again; within the same second the new one is void too."""
    global TOKEN
    if not case.operation.path.endswith("/void-tokens") or response.status_code != 200:
        return
    headers = {"Authorization": f"Bearer {AGAIN['secret']}"} if AGAIN["secret"] else {}
    for _ in range(50):
        TOKEN = requests.post(AGAIN["url"], json=AGAIN["person"], headers=headers, timeout=10).json()["id_token"]
        if requests.get(f"{FRONT}/api/v1/plans", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10).status_code != 401 \
                and requests.get(f"{FRONT}/api/v1/me", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10).status_code != 401:
            return
        time.sleep(0.1)
    # All that is asked after this would be refused, and the fuzzing would find nothing.
    raise RuntimeError("whoever voided all tokens could not sign in again within five seconds")


@schemathesis.hook
def before_call(context, case, kwargs):
    path, number = case.operation.path, next(CALLS)
    # What is meant to be wrong stays wrong.
    meant = case.meta is None or case.meta.generation.mode.value == "positive"
    if meant and path in ("/api/v1/licenses/acquire", "/api/v1/licenses/validate") and isinstance(case.body, dict):
        case.body["license_key"] = KEYS[number % len(KEYS)]
        if "hardware_id" in case.body:
            case.body["hardware_id"] = MACHINES[len(str(case.body["hardware_id"])) % len(MACHINES)]
    if meant and path.endswith("/access-policy") and case.method == "PUT":
        # A policy would shut the owner, whose token grows old meanwhile, out of half of what is asked after it.
        case.body = {}
    for name in ("license", "session"):
        if meant and number % 2 and name in (case.path_parameters or {}):
            case.path_parameters[name] = there(name)
    # Now and then nobody asks, so that a 401 is looked at as well.
    if number % 20:
        machine = HOLDERS.get(path)
        bearer = session(machine)["session"] if machine else TOKEN
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {bearer}"}
