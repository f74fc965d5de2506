"""The environments: what their files say, and whether this is the right place to change them from."""

import os
import pathlib
import re

from failures import Failure
from reading import parse, read_text
from streams import say

ROOT = pathlib.Path(__file__).resolve().parent.parent
NAMES = ("dev", "staging", "prod")
# Where a wrong deploy costs most: edited files, drift and changes of platform beside changes of services are refused.
STRICT = ("staging", "prod")
NEXT = {"dev": "staging", "staging": "prod"}
DIGEST = re.compile(r"^[a-z0-9][a-z0-9./_-]*@sha256:[0-9a-f]{64}$")
VALUE = re.compile(r'^(\w+)\s*=\s*(?:"([^"\n]*)"|(true|false|[0-9]+))\s*(?:#.*)?$', re.MULTILINE)


def read_values(path: pathlib.Path) -> dict:
    """The plain values (texts, numbers, yes and no) at the top of a file of values. Lists and objects are tofu's."""
    text = read_text(path, "usage", f"Take back what was changed in {_shown(path)}: git checkout -- {_shown(path)}")
    return {name: quoted if plain == "" else plain for name, quoted, plain in VALUE.findall(text)}


def _shown(path: pathlib.Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


class Environment:
    """One environment and the names that follow from its values."""

    def __init__(self, name: str):
        if name not in NAMES:
            raise Failure("usage", f"There is no environment {name!r}. There are: {', '.join(NAMES)}.")
        self.name = name
        self.files = opentofu() / "environments" / name
        self.platform = read_values(self.files / "platform.tfvars")
        self.services = read_values(self.files / "services.tfvars")
        self.project = self._value("platform", "project")
        self.region = self._value("platform", "region")
        self.build = Build()

    def _value(self, which: str, name: str) -> str:
        value = getattr(self, which).get(name)
        if not value:
            raise Failure("usage", f'{_shown(self.files / which)}.tfvars does not say {name} = "…". Write it there.')
        return value

    @property
    def services_region(self) -> str:
        """Where the functions run: another region than the stores' home only after that one was lost."""
        return self.services.get("region", self.region)

    @property
    def strict(self) -> bool:
        return self.name in STRICT

    @property
    def seat_ttl(self) -> int:
        """The lease of a session in seconds."""
        found = re.search(r"\bttl_seconds\s*=\s*([0-9]+)", (self.files / "services.tfvars").read_text("utf-8"))
        return int(found.group(1)) if found else 360

    @property
    def work(self) -> pathlib.Path:
        """Where one step leaves what the next one needs. In Cloud Build, /workspace lives as long as the build."""
        return ROOT / ".deploy" / self.name


class Build:
    """The project that builds and keeps images, and its buckets, as the root bootstrap names them."""

    def __init__(self):
        values = read_values(opentofu() / "bootstrap" / "bootstrap.tfvars")
        self.project = values.get("project", "")
        self.region = values.get("region", "")
        self.location = values.get("location", "")
        if not (self.project and self.region and self.location):
            needed = 'project = "…", region = "…" and location = "…"'
            raise Failure("usage", f"opentofu/bootstrap/bootstrap.tfvars must say {needed}.")
        self.images = f"{self.location}-docker.pkg.dev/{self.project}/images"
        self.repository = f"{self.images}/functions"
        self.plans = f"gs://{self.project}-plans"
        self.releases = f"gs://{self.project}-releases"
        # What is built is put here first. Not where gcloud would put it: only this bucket may image-build@ read.
        self.source = f"gs://{self.project}-source/source"


def opentofu() -> pathlib.Path:
    return ROOT / "opentofu"


def functions() -> dict:
    """What opentofu/functions.json says of each function."""
    path = opentofu() / "functions.json"
    way = "Take back what was changed in it: git checkout -- opentofu/functions.json"
    return parse(read_text(path, "usage", way), {"functions": {...: dict}}, "usage", f"{path} holds", way)["functions"]


def in_build() -> bool:
    """Whether Cloud Build runs this."""
    return bool(os.environ.get("BUILD_ID"))


def check_project(runner, environment: Environment):
    """Refuse where gcloud is set to another project: then the person means another environment, or another company."""
    wanted = environment.build.project if in_build() else environment.project
    # A build is told its project; whether gcloud is set to it there depends on the image of the step.
    told = os.environ.get("PROJECT_ID") if in_build() else None
    found = told or runner.run(["gcloud", "config", "get-value", "project"], capture=True).output.strip()
    if found != wanted:
        raise Failure(
            "project",
            f"gcloud is set to the project {found or '(none)'}, and {environment.name} belongs to {wanted}. Nothing "
            f"was changed. If you mean {environment.name}: gcloud config set project {wanted}",
        )


def check_edited(runner, environment: Environment):
    """Refuse files that differ from the commit, where what serves must be found in the repository afterwards."""
    if not (ROOT / ".git").exists():
        if environment.strict and not os.environ.get("COMMIT_SHA"):
            raise Failure(
                "edited",
                f"This is no clone, so nobody could say later what was deployed to {environment.name}. Use a clone.",
            )
        return
    # A build writes the numbers of versions and such into ignored files only, so nothing of its own is found here.
    edited = runner.run(["git", "-C", str(ROOT), "status", "--porcelain"], capture=True).output.splitlines()
    if not edited:
        return
    names = ", ".join(line[3:] for line in edited[:5]) + (f" and {len(edited) - 5} more" if len(edited) > 5 else "")
    if environment.strict:
        raise Failure(
            "edited",
            f"These files differ from the commit: {names}. {environment.name} is deployed from commits only. Commit "
            "them, or put them away with: git stash --include-untracked",
        )
    say(f"Note: these files differ from the commit and are deployed as they are: {names}.")


def commit(runner) -> str:
    """The commit that is deployed."""
    told = os.environ.get("COMMIT_SHA")
    if told:
        return told
    return runner.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture=True).output.strip()


def commit_time(runner) -> str:
    """The time of the commit in seconds since 1970: everything in the image has it, so that it can be made again."""
    return runner.run(["git", "-C", str(ROOT), "log", "-1", "--format=%ct"], capture=True).output.strip()
