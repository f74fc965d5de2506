"""What each function and job is told: opentofu/functions.json and prod's values, with nothing but hosts replaced.

The names and values follow opentofu/services/environment.tf and opentofu/platform/migrate.tf, and what Cloud Run itself
sets is set too (K_SERVICE, …). tests/cloud/parts/rehearse compares them with what OpenTofu plans.
A release with a root of its own finds Google's hosts by their names (doors.py), and is told where nothing but its
metadata server is. One without is led by the variables that exist for that (KMS_ENDPOINT, the addresses of key sets,
PUBSUB_EMULATOR_HOST); Cloud Run refuses them, so it is not told that it runs there.
"""

import dataclasses
import json
import urllib.parse

import tfvars
from place import ROOT

DESCRIBED = json.loads((ROOT / "opentofu/functions.json").read_text("utf-8"))
PROD = tfvars.read(ROOT / "opentofu/environments/prod/services.tfvars")
# Where prod's values say nothing, the defaults of opentofu/services/variables.tf hold.
TRUSTED_PROXIES = 2
LEASE = {"ttl_seconds": 360, "drain_seconds": 45} | PROD.get("lease", {})
PROJECT = "rehearsal"
EVERYBODY = {**DESCRIBED["functions"], **DESCRIBED["jobs"]}
EMAILS = {name: f"{row['account']}@{PROJECT}.iam.gserviceaccount.com" for name, row in EVERYBODY.items()}
# The login of a service account to PostgreSQL is its e-mail without what all of them end in.
LOGINS = {name: email.removesuffix(".gserviceaccount.com") for name, email in EMAILS.items()}
PUSH_EMAIL = f"{DESCRIBED['pushes']['account']}@{PROJECT}.iam.gserviceaccount.com"
KEY_VERSION = f"projects/{PROJECT}/locations/us/keyRings/license/cryptoKeys/root/cryptoKeyVersions/1"
IDENTITY = {"issuer": f"https://securetoken.google.com/{PROJECT}", "audience": PROJECT}
# In the order of their names, as OpenTofu goes through a map.
GRANTS = ",".join(f"{LOGINS[name]}={row['database_role']}" for name, row in sorted(DESCRIBED["functions"].items()))


@dataclasses.dataclass
class Wires:
    """What the platform root knows once it is applied, and where the stand-ins are."""

    records_url: str
    records_ca: str
    seats_url: str
    seats_ca: str
    by_name: bool
    """Whether Google is found by its names."""
    public_url: str
    run_urls: dict
    lease: dict
    secrets: dict
    metadata: dict
    kms_endpoint: str
    jwks_url: str
    pubsub_host: str


def _database_url(wires: Wires, name: str) -> str:
    return wires.records_url.replace("postgres://", f"postgres://{urllib.parse.quote(LOGINS[name], safe='')}@")


def _stores(wires: Wires, name: str) -> dict:
    """What functions and jobs are told alike."""
    return {
        "GOOGLE_CLOUD_PROJECT": PROJECT,
        "START_PATIENCE_SECONDS": "45",
        "DATABASE_URL": _database_url(wires, name),
        "DATABASE_AUTH": "iam",
        "DATABASE_CA": wires.records_ca,
        "REDIS_URL": wires.seats_url,
        "REDIS_AUTH": "iam",
        "REDIS_CA": wires.seats_ca,
        "SEAT_TTL_SECONDS": str(wires.lease["ttl_seconds"]),
        "SEAT_DRAIN_SECONDS": str(wires.lease["drain_seconds"]),
    }


def _values(wires: Wires, name: str) -> dict:
    if name in DESCRIBED["jobs"]:
        return _stores(wires, name) | {"DATABASE_GRANTS": GRANTS}
    row = DESCRIBED["functions"][name]
    staff = PROD.get("staff", {})
    own = {
        "DOCS_URL": PROD.get("docs_url"),
        "PUBLIC_URL": wires.public_url,
        "DATABASE_POOL_SIZE": str(PROD["sizes"][name].get("pool", PROD.get("pool_size", 4))),
        "HEARTBEAT_SECONDS": wires.lease.get("heartbeat_seconds"),
        "TRUSTED_PROXIES": str(PROD["front"].get("trusted_proxies", TRUSTED_PROXIES) if row["ingress"] == "lb" else 1),
        "TOKEN_ISSUER": PROD.get("token_issuer", wires.public_url),
        "ROOT_KEY": f"kms:{KEY_VERSION}",
        "IDENTITY_ISSUER": IDENTITY["issuer"],
        "IDENTITY_AUDIENCE": IDENTITY["audience"],
        "STAFF_IDENTITY_ISSUER": staff.get("issuer"),
        "STAFF_IDENTITY_AUDIENCE": staff.get("audience"),
        "STAFF_IDENTITY_JWKS_URL": staff.get("jwks_url") if wires.by_name else wires.jwks_url,
        "PUSH_AUDIENCE": wires.run_urls[name],
        "PUSH_EMAIL": PUSH_EMAIL,
        "PUBSUB_PROJECT": PROJECT,
    }
    return PROD.get("settings", {}) | _stores(wires, name) | own


def cloud_run(name: str) -> dict:
    """What Cloud Run sets for an instance of a service or for a job's task (its container runtime contract)."""
    if name in DESCRIBED["jobs"]:
        task = {"CLOUD_RUN_TASK_INDEX": "0", "CLOUD_RUN_TASK_ATTEMPT": "0", "CLOUD_RUN_TASK_COUNT": "1"}
        return {"CLOUD_RUN_JOB": name, "CLOUD_RUN_EXECUTION": f"{name}-rehearsal", **task}
    return {"K_SERVICE": name, "K_REVISION": f"{name}-00001-rehearsal", "K_CONFIGURATION": name}


def _hosts(wires: Wires, name: str, port: int) -> dict:
    """What leads to this machine in place of Google's hosts."""
    row = DESCRIBED["functions"][name]
    led = {"GCE_METADATA_HOST": wires.metadata[name].server.host, "PORT": str(port)}
    if wires.by_name:
        # Nobody but this machine is to reach it: on Cloud Run it listens at every address.
        return led | {"BIND_ADDRESS": "127.0.0.1"} | cloud_run(name)
    if row["kms"]:
        led["KMS_ENDPOINT"] = wires.kms_endpoint
    if "IDENTITY_JWKS_URL" in row["variables"]:
        led["IDENTITY_JWKS_URL"] = wires.jwks_url
    if "PUSH_AUDIENCE" in row["variables"]:
        led["PUSH_JWKS_URL"] = wires.jwks_url
    if row["publishes"]:
        led["PUBSUB_EMULATOR_HOST"] = wires.pubsub_host
    return led


def variables(name: str) -> list:
    """The variables that a function may be told in the clear."""
    row = DESCRIBED["functions"][name]
    of_stores = [variable for store in row["stores"] for variable in DESCRIBED["stores"][store]["variables"]]
    return [*DESCRIBED["every"]["variables"], *of_stores, *row["variables"]]


def told(wires: Wires, name: str) -> dict:
    """What a function or job is told in the clear, which is all that it is compared by with what OpenTofu plans."""
    reads = EVERYBODY[name]["variables"] if name in DESCRIBED["jobs"] else variables(name)
    return {key: str(value) for key, value in _values(wires, name).items() if key in reads and value is not None}


def environment(wires: Wires, name: str, port: int) -> dict:
    """The whole environment of a function's instance."""
    secrets = {key: wires.secrets[key] for key in DESCRIBED["functions"][name]["secrets"]}
    return told(wires, name) | secrets | _hosts(wires, name, port)


def job_environment(wires: Wires, name: str) -> dict:
    """The whole environment of a job."""
    return told(wires, name) | {"GCE_METADATA_HOST": wires.metadata[name].server.host} | cloud_run(name)
