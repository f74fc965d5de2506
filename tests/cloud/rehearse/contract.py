"""The contract of functions.json under prod's values: each binary starts with exactly what OpenTofu plans to tell it,
and of what is taken away it names everything that has no default which is as good in prod.

A service has started when it listens. A job listens nowhere: it has read what it is told when it asks the metadata
server for the token that it logs in with, and it is tried with each verb that Cloud Run executes it with.
"""

import json
import os
import pathlib
import re
import select
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

import wiring
from authority import Authority
from place import demand

# What need not be said, and what holds then. Everything else that prod's values say must be named when it is missing,
# unless the default of functions/src/edge/config/variables.rs is what prod says.
DEFAULTS = {
    "GOOGLE_CLOUD_PROJECT": "trace ids in lines are no links; `foreign_user` shows what it does for the job",
    "DOCS_URL": "errors lead to the pages of the services themselves",
    "PUBLIC_URL": "TOKEN_ISSUER is said besides",
    "TOKEN_ISSUER": "PUBLIC_URL takes its place",
    "SECURITY_CONTACT": "there is no security.txt",
    "START_PATIENCE_SECONDS": "2: the first requests of a fresh instance may be answered 503, and migrate tries less",
}
# What the job is executed with: by the pipeline, and by people in an emergency.
VERBS = {"migrate": ("up", "grants", "after-restore")}
_KEY = "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
_SECONDS = 30
_INTO = "target/image-of-contract"
_WRONG_DATABASE = 5


def built(root: pathlib.Path) -> pathlib.Path:
    """The binaries of the image, built where they are not as their sources are."""
    profile = os.environ.get("IMAGE_PROFILE", "dev")
    need = ". dev.d/need.sh && need_rust && need compiler python && warm_build"
    build = f"{need} && .ci/image --into {_INTO} --profile {profile} binaries"
    subprocess.run(["nice", "-n", "19", "bash", "-c", build], cwd=root, check=True, stdout=subprocess.DEVNULL)
    return root / _INTO / "root"


def same_defaults(root: pathlib.Path, told: dict) -> set:
    """The variables of which the default of the code is what prod says."""
    table = (root / "functions/src/edge/config/variables.rs").read_text("utf-8")
    defaults = dict(re.findall(r'name: "(\w+)",(?:(?!name: ").)*?default: Value\("([^"]*)"\)', table, re.S))
    return {variable for variable, value in told.items() if defaults.get(variable) == value}


def names(said: str, variable: str) -> bool:
    """Whether a sentence is about this variable, and not about one whose name has this one in it."""
    return re.search(rf"(?<![A-Z0-9_]){variable}(?![A-Z0-9_])", said) is not None


def _outcome(command: list, environment: dict) -> tuple:
    """Whether it has read what it is told, what it wrote until then or until its end, and how it ended if it did."""
    with socket.create_server(("127.0.0.1", 0)) as metadata:
        job = pathlib.Path(command[0]).name in VERBS
        # A service that asks one who never answers would wait before it listens: nobody is there, and it is refused.
        host = f"127.0.0.1:{metadata.getsockname()[1] if job else 1}"
        child = subprocess.Popen(
            command,
            env=environment | {"GCE_METADATA_HOST": host},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        said, deadline = b"", time.monotonic() + _SECONDS
        try:
            while b'"message":"listening"' not in said:
                demand(time.monotonic() < deadline, f"{command} neither begins nor ends: {said.decode()}")
                ready = select.select([child.stdout, *([metadata] if job else [])], [], [], 1)[0]
                if metadata in ready:
                    break
                if child.stdout in ready:
                    read = os.read(child.stdout.fileno(), 1 << 16)
                    if not read:
                        return False, said.decode(), child.wait(_SECONDS)
                    said += read
            return True, said.decode(), None
        finally:
            child.kill()
            child.wait()
            child.stdout.close()


def _environment(name: str, planned: dict, ca: str) -> dict:
    secrets = {secret: _KEY for secret in wiring.EVERYBODY[name].get("secrets", [])}
    # What the tests of the roots have in place of certificates are words.
    certificates = {variable: ca for variable in ("DATABASE_CA", "REDIS_CA") if variable in planned}
    return planned | certificates | secrets


def _commands(directory: pathlib.Path, name: str) -> list:
    return [[directory / name, verb] for verb in VERBS[name]] if name in VERBS else [[directory / name]]


def _platform(name: str) -> dict:
    """What is set besides. Nobody answers at its stores."""
    own = {} if name in VERBS else {"PORT": "0", "BIND_ADDRESS": "127.0.0.1"}
    return wiring.cloud_run(name) | own


def _outcomes(directory: pathlib.Path, name: str, told: dict) -> list:
    return [_outcome(command, told | _platform(name)) for command in _commands(directory, name)]


def _of_one(root: pathlib.Path, directory: pathlib.Path, name: str, told: dict) -> Iterator[tuple]:
    """(`named`, `kept` or `wrong`, what there is to say) of each variable of a function or job."""
    refused = [said for begins, said, _ in _outcomes(directory, name, told) if not begins]
    if refused:
        yield "wrong", f"{name} does not start with what OpenTofu tells it: {refused[0]}"
        return
    same = same_defaults(root, told)
    for variable in sorted(told):
        less = {key: value for key, value in told.items() if key != variable}
        refused = [said for begins, said, _ in _outcomes(directory, name, less) if not begins]
        if refused and all(names(said, variable) for said in refused):
            yield "named", variable
        elif not refused and variable in same | DEFAULTS.keys():
            yield "kept", variable
        else:
            yield "wrong", f"{name} without {variable}: {json.dumps(refused) if refused else 'it starts'}"


def _foreign_user(directory: pathlib.Path, name: str, told: dict) -> Iterator[tuple]:
    """A job that is told of a database of another project does nothing there."""
    elsewhere = told | {"GOOGLE_CLOUD_PROJECT": "another-project"}
    for begins, said, code in _outcomes(directory, name, elsewhere):
        if begins or code != _WRONG_DATABASE or not names(said, "DATABASE_URL"):
            yield "wrong", f"{name} in another project than its user's: {'it begins' if begins else (code, said)}"


def broken(root: pathlib.Path, planned: dict, directory: pathlib.Path) -> int:
    """How many promises are broken; each is told, and what was tried."""
    found = []
    with tempfile.TemporaryDirectory(prefix="license-contract-") as scratch:
        ca = Authority(pathlib.Path(scratch), "anybody").pem
    for name in sorted(wiring.EVERYBODY):
        told = _environment(name, planned[name], ca)
        found += _of_one(root, directory, name, told)
        if name in VERBS:
            found += _foreign_user(directory, name, told)
    # A variable that nobody reads is neither named nor needed, and must be found.
    surplus = [what for what, _ in _of_one(root, directory, "migrate", told_more(planned, ca))]
    if surplus.count("wrong") != 1:
        found.append(("wrong", f"A variable that nobody reads was not found: {surplus}"))
    wrong, kinds = [text for what, text in found if what == "wrong"], [what for what, _ in found]
    print(
        "\n".join([
            *wrong,
            f"{kinds.count('named')} times a missing variable was named, {kinds.count('kept')} times it has a default",
        ])
    )
    return len(wrong) or int("named" not in kinds)


def told_more(planned: dict, ca: str) -> dict:
    """What the job is told, and something that means nothing to it."""
    return _environment("migrate", planned["migrate"], ca) | {"NOBODY_READS_THIS": "1"}


def misread_names() -> list:
    """Sentences that are about another variable than the one whose name they have in them, and pass as about it."""
    lies = (("IDENTITY_ISSUER", "STAFF_IDENTITY_ISSUER is not set"), ("ROOT_KEY", "ROOT_KEY_NEXT is no key"))
    wrong = [f"{said!r} passes as being about {variable}" for variable, said in lies if names(said, variable)]
    true = "error: IDENTITY_ISSUER is not set; STAFF_IDENTITY_ISSUER is"
    return wrong if names(true, "IDENTITY_ISSUER") else [*wrong, f"{true!r} passes as about something else"]
