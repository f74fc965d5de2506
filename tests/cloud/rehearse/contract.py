"""The contract of functions.json under prod's values: each binary starts with exactly what OpenTofu plans to tell it,
and of what is taken away it names everything that has no default which is as good in prod.
"""

import json
import os
import pathlib
import select
import subprocess
import tempfile
import time

import wiring
from authority import Authority
from place import demand

# What need not be said, and what holds then. Everything else that prod's values say must be named when it is missing.
DEFAULTS = {
    "GOOGLE_CLOUD_PROJECT": "trace ids in lines are no links",
    "DOCS_URL": "errors lead to the pages of the services themselves",
    "PUBLIC_URL": "TOKEN_ISSUER is said besides",
    "TOKEN_ISSUER": "PUBLIC_URL takes its place",
    "SECURITY_CONTACT": "there is no security.txt",
    "LOG_LEVEL": "info, as in prod",
    "START_PATIENCE_SECONDS": "2: the first requests of a fresh instance may be answered 503",
    "DATABASE_POOL_SIZE": "4, as in prod",
    "SEAT_TTL_SECONDS": "360, as in prod",
    "SEAT_DRAIN_SECONDS": "45, as in prod",
}
_KEY = "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
_SECONDS = 30
_INTO = "target/image-of-contract"


def _built(root: pathlib.Path) -> pathlib.Path:
    """The binaries of the image, built where they are not as their sources are."""
    profile = os.environ.get("IMAGE_PROFILE", "dev")
    need = ". dev.d/need.sh && need_rust && need compiler python && warm_build"
    build = f"{need} && .ci/image --into {_INTO} --profile {profile} binaries"
    subprocess.run(["nice", "-n", "19", "bash", "-c", build], cwd=root, check=True, stdout=subprocess.DEVNULL)
    return root / _INTO / "root"


def _outcome(binary: pathlib.Path, environment: dict) -> tuple:
    """Whether it listens, and what it wrote until then or until its end."""
    child = subprocess.Popen(
        [binary], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said, deadline = b"", time.monotonic() + _SECONDS
    try:
        while b'"message":"listening"' not in said:
            demand(time.monotonic() < deadline, f"{binary.name} neither listens nor ends: {said.decode()}")
            if select.select([child.stdout], [], [], 1)[0]:
                read = os.read(child.stdout.fileno(), 1 << 16)
                if not read:
                    return False, said.decode()
                said += read
        return True, said.decode()
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def _environment(name: str, planned: dict, ca: str) -> dict:
    secrets = {secret: _KEY for secret in wiring.DESCRIBED["functions"][name]["secrets"]}
    # What the test of the root `services` has in place of certificates are words.
    certificates = {variable: ca for variable in ("DATABASE_CA", "REDIS_CA") if variable in planned}
    return planned | certificates | secrets


def broken(root: pathlib.Path, planned: dict) -> int:
    """How many promises are broken; each is told, and what was tried."""
    directory, wrong, named, kept = _built(root), [], 0, 0
    with tempfile.TemporaryDirectory(prefix="license-contract-") as scratch:
        ca = Authority(pathlib.Path(scratch), "anybody").pem
    for name in sorted(planned):
        told = _environment(name, planned[name], ca)
        # Nobody answers at its stores, nor where the metadata server would be.
        platform = wiring.cloud_run(name) | {
            "PORT": "0",
            "BIND_ADDRESS": "127.0.0.1",
            "GCE_METADATA_HOST": "127.0.0.1:1",
        }
        listens, said = _outcome(directory / name, told | platform)
        if not listens:
            wrong.append(f"{name} does not start with what OpenTofu tells it: {said}")
            continue
        for variable in sorted(told):
            less = {key: value for key, value in told.items() if key != variable}
            listens, said = _outcome(directory / name, less | platform)
            if listens and variable in DEFAULTS:
                kept += 1
            elif not listens and variable in said:
                named += 1
            else:
                wrong.append(f"{name} without {variable}: {'it starts' if listens else json.dumps(said)}")
    print("\n".join([*wrong, f"{named} times a missing variable was named, {kept} times it has a default"]))
    return len(wrong) or int(named == 0)
