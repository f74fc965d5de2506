"""Calls tofu on the roots platform and services of an environment."""

import hashlib
import json
import os
import re

import steps
from environments import ROOT, Environment, in_build, opentofu
from failures import Failure
from programs import UNREADABLE, explain
from reading import fits, parse
from streams import say

# What changes stores, keys and rights is an account that nobody is but for the time of an apply of platform. The one
# thing that says who acts is this variable of the environment: the provider reads it, and so does the state's backend.
# A variable of tofu would be kept in a saved plan, and prod applies the plan that staging's account made.
IMPERSONATE = "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT"
ROOTS = ("platform", "services")
# Longer than a request that is under way, shorter than anybody's patience: after it, the message names who holds it.
LOCK_TIMEOUT = "-lock-timeout=30s"


# What the store of states says of a lock that is not there.
NO_LOCK = re.compile(r"object doesn't exist|no such object", re.IGNORECASE)
CHANGES = [{"address": str, "type": str, "change": {"actions": [str]}}]
OUTPUTS = {...: {"value": object}}


def shown_plan(value) -> bool:
    """Whether this is a plan. Other words must never be taken for a plan that changes nothing."""
    named = ("resource_changes", "resource_drift")
    return fits(value, {"format_version": str}) and all(fits(value.get(name, []), CHANGES) for name in named)


def read_json(output: str, shape) -> dict:
    """The object that tofu printed.

    Before it, on the same stream, tofu warns of settings of the machine that it cannot read.
    """
    start = re.search(r"^\{", output, re.MULTILINE)
    return parse(output[start.start() :] if start else output, shape, "unreadable", "tofu answered", UNREADABLE)


# Of the provider, as the registry gave it out when `./deploy lock` was run.
LOCK_FILE = ".terraform.lock.hcl"
# What the pipeline runs on, and what people do.
PLATFORMS = ("linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64")
LOCKED_ROOTS = ("bootstrap", *ROOTS)


def lock(runner, *, upgrade: bool):
    """Write down which provider each root takes, and its checksums on every platform that tofu runs on here."""
    for root in LOCKED_ROOTS:
        directory = opentofu() / root
        data = {"TF_DATA_DIR": str(ROOT / ".deploy" / f"lock.{root}.terraform")}
        if upgrade:
            (directory / LOCK_FILE).unlink(missing_ok=True)
        # The modules say which providers they need, so they must be known first.
        runner.run(["tofu", f"-chdir={directory}", "get", "-no-color"], env=data, capture=True)
        platforms = [f"-platform={one}" for one in PLATFORMS]
        runner.run(["tofu", f"-chdir={directory}", "providers", "lock", *platforms], env=data)
    files = ", ".join(f"opentofu/{root}/{LOCK_FILE}" for root in LOCKED_ROOTS)
    say(f"Commit what was written: {files}.")


def as_locked(directory, *, demanded: bool) -> list:
    """The option by which tofu takes the provider that was written down, and no newer one."""
    if (directory / LOCK_FILE).exists():
        return ["-lockfile=readonly"]
    if demanded:
        raise Failure(
            "missing",
            f"opentofu/{directory.name}/{LOCK_FILE} is not there, so the provider that plans could be another one than "
            "the one that applies. Write it, and commit it: ./deploy lock",
        )
    return []


class Tofu:
    """One root of one environment."""

    def __init__(self, runner, environment: Environment, root: str, *, looks_only: bool = False):
        self.runner = runner
        self.environment = environment
        self.root = root
        self.looks_only = looks_only
        self.directory = opentofu() / root
        self.plan_file = environment.work / f"{root}.plan"

    def _run(self, *arguments, **options):
        # The backend's settings of each environment in a place of their own: those of one never meet those of another.
        variables = {"TF_DATA_DIR": str(self.environment.work / f"{self.root}.terraform")}
        if self.root == "platform" and not self.looks_only and IMPERSONATE not in os.environ:
            # A person may name another account, or nobody with an empty text: then the credentials at hand act.
            variables[IMPERSONATE] = f"tofu-platform@{self.environment.project}.iam.gserviceaccount.com"
        return self.runner.run(["tofu", f"-chdir={self.directory}", *arguments], env=variables, **options)

    def init(self):
        """Fetch the provider and connect to the state. -reconfigure: the last may have been another environment's."""
        self._run(
            "init",
            "-input=false",
            "-no-color",
            "-reconfigure",
            *as_locked(self.directory, demanded=self.environment.strict or in_build()),
            f"-backend-config={self.environment.files}/backend.hcl",
            capture=True,
        )

    def _values(self, variables: dict) -> list:
        values = [f"-var-file={self.environment.files}/{self.root}.tfvars"]
        return values + [f"-var={name}={_text(value)}" for name, value in variables.items() if value is not None]

    def plan(self, variables: dict) -> dict:
        """Make the plan, keep it, and return it as JSON (`tofu show -json`)."""
        self._plan(variables, self.plan_file)
        return self.show()

    def look(self, variables: dict) -> dict:
        """A plan that nobody is shown and that is never applied, as JSON."""
        file = self.plan_file.with_suffix(".look")
        self._plan(variables, file, capture=True)
        return self._show(file)

    def _plan(self, variables: dict, file, **options):
        file.parent.mkdir(parents=True, exist_ok=True)
        values = self._values(variables)
        self._run("plan", "-input=false", "-no-color", LOCK_TIMEOUT, f"-out={file}", *values, **options)

    def show(self) -> dict:
        return self._show(self.plan_file)

    def _show(self, file) -> dict:
        return read_json(self._run("show", "-json", str(file), capture=True).output, shown_plan)

    def checksum(self) -> str | None:
        """What the kept plan is recognised by; None where there is none."""
        try:
            return hashlib.sha256(self.plan_file.read_bytes()).hexdigest()
        except FileNotFoundError:
            return None

    def is_as_planned(self, variables: dict) -> bool:
        """Whether a plan with these values would change nothing."""
        done = self._run(
            "plan",
            "-detailed-exitcode",
            "-input=false",
            "-no-color",
            LOCK_TIMEOUT,
            *self._values(variables),
            allowed=(0, 2),
        )
        return done.code == 0

    def apply(self):
        """Apply the plan that was kept. tofu refuses it where anything was applied in between."""
        self._run("apply", "-input=false", "-no-color", LOCK_TIMEOUT, str(self.plan_file))

    def destroy(self, variables: dict):
        self._run("destroy", "-auto-approve", "-input=false", "-no-color", LOCK_TIMEOUT, *self._values(variables))

    def outputs(self) -> dict:
        """The values of the outputs; none before the first apply."""
        read = read_json(self._run("output", "-json", "-no-color", capture=True).output, OUTPUTS)
        return {name: one["value"] for name, one in read.items()}

    def addresses(self, *, allowed=(0, 1)) -> list:
        """What the state has. Exit code 1 is a state that is not there yet, and everything that went wrong."""
        return self._run("state", "list", "-no-color", capture=True, allowed=allowed).output.splitlines()

    def forget(self, addresses: list) -> list:
        """Take what is at these addresses, or below them, out of the state. Returns what was there."""
        found = [
            one
            for one in self.addresses(allowed=(0,))
            if any(one == address or one.startswith((f"{address}.", f"{address}[")) for address in addresses)
        ]
        if found:
            self._run("state", "rm", "-no-color", LOCK_TIMEOUT, *found)
        return found

    def unlock(self, lock: str) -> bool:
        """Remove a lock; no, where it is gone already."""
        command = ("force-unlock", "-force", "-no-color", lock)
        done = self._run(*command, allowed=(0, 1))
        if done.code and not NO_LOCK.search(done.words):
            raise explain(["tofu", *command], done.code, done.words)
        return done.code == 0


def _text(value) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def hand_over(platform: Tofu, services: Tofu) -> str | None:
    """Write platform's outputs where services reads them. Returns their checksum; None before platform was applied."""
    path = services.directory / "platform.auto.tfvars.json"
    outputs = platform.outputs()
    if "platform" not in outputs:
        # What lies there is another environment's.
        path.unlink(missing_ok=True)
        return None
    text = json.dumps({"platform": outputs["platform"]}, indent=2, sort_keys=True) + "\n"
    steps.write_file(path, text)
    return hashlib.sha256(text.encode()).hexdigest()
