"""A small clone with the real ./deploy in it, and fakes of gcloud and tofu that record what they are asked."""

import ast
import compileall
import importlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import forked
import pytest
import within

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
IMAGE = "us-docker.pkg.dev/acme-build/images/functions@sha256:" + "a" * 64
BUILT = IMAGE.replace("a" * 64, "b" * 64)
OLD = IMAGE.replace("a" * 64, "0" * 64)
OLDER = IMAGE.replace("a" * 64, "1" * 64)
# The revisions of what was found good last.
GOOD = {"acquire": "acquire-00007"}
JOB_UPDATE = ["module.job.google_cloud_run_v2_job.migrate", ["update"]]
SERVICE_UPDATE = ['module.function["acquire"].google_cloud_run_v2_service.function', ["update"]]


FAKES = REPOSITORY / "tests/cloud/deploy/fakes"


class Template:
    """The clone as every test begins with it, and the fakes. Made once: each test takes a copy.

    Python keeps what it compiled beside the sources here. Without that, more than half of the time of a test is Python
    compiling the same lines for each of its processes.
    """

    def __init__(self, directory: pathlib.Path):
        self.clone = directory / "clone"
        self.programs = directory / "bin"
        for place in (self.clone, self.programs):
            place.mkdir()
        shutil.copy(REPOSITORY / "deploy", self.clone / "deploy")
        shutil.copytree(REPOSITORY / "deploy.d", self.clone / "deploy.d", ignore=shutil.ignore_patterns("__pycache__"))
        self._write_values()
        shutil.copy(FAKES / "fake.py", directory / "fake.py")
        for place in (self.clone / "deploy.d", directory):
            assert compileall.compile_dir(place, quiet=1, maxlevels=0)
        for program in (self.programs / "gcloud", self.programs / "tofu", self.clone / "dev"):
            # Not `env python3`: without the start of env, and without what a site adds to Python.
            begin = f"{forked.FIRST_LINE}import sys\nsys.path.insert(0, {str(directory)!r})\n"
            program.write_text(f"{begin}import fake\nsys.exit(fake.main())\n")
            program.chmod(0o755)
        (self.clone / ".gitignore").write_text("__pycache__\n/.deploy\n*.auto.tfvars.json\n")
        for words in (["init", "--quiet", "--template="], ["add", "--all"], ["commit", "--quiet", "--message", "first"]):
            git(self.clone, *words)
        # One file of objects, where each would have one in a folder of its own.
        git(self.clone, "repack", "-adq")
        self.first = self.content()
        within.know(directory / "fake.py")
        forked.know(self.clone / "deploy.d")

    def content(self) -> dict:
        return {path: path.read_bytes() for path in self.clone.rglob("*") if path.is_file()}

    def _write_values(self):
        opentofu = self.clone / "opentofu"
        for root in ("platform", "services", "bootstrap"):
            (opentofu / root).mkdir(parents=True)
            (opentofu / root / ".terraform.lock.hcl").write_text("# What tofu writes of the provider.\n")
        shutil.copy(REPOSITORY / "opentofu/functions.json", opentofu / "functions.json")
        (opentofu / "bootstrap/bootstrap.tfvars").write_text(
            'project  = "acme-build"\nregion   = "us-central1"\nlocation = "us"\n'
        )
        for name in ("dev", "staging", "prod"):
            files = opentofu / "environments" / name
            files.mkdir(parents=True)
            (files / "backend.hcl").write_text(f'bucket = "acme-build-state"\nprefix = "{name}"\n')
            (files / "platform.tfvars").write_text(f'project = "acme-{name}"\nregion  = "us-central1"\n')
            (files / "services.tfvars").write_text("lease = { ttl_seconds = 360 }\n")


def git(clone: pathlib.Path, *words) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *who, "-C", clone, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def linked_or_copied(source: str, target: str) -> str:
    """As shutil.copy2; but git's objects and the pieces of ./deploy are the same files in every copy.

    A new file is the dearest thing that a test asks of the disk. A test that changes a piece puts another file there.
    """
    if "/.git/objects/" not in source and "/deploy.d/" not in source:
        return shutil.copy2(source, target)
    os.link(source, target)
    return target


class Site:
    """A copy of the clone, the fakes and what they recorded."""

    def __init__(self, directory: pathlib.Path):
        self.clone = directory / "clone"
        self.home = directory / "fakes"
        self.programs = directory / "bin"

    def copied(self, directory: pathlib.Path) -> "Site":
        """The same once more, as it is now."""
        other = Site(directory)
        for mine, theirs in ((self.clone, other.clone), (self.home, other.home), (self.programs, other.programs)):
            shutil.copytree(mine, theirs, symlinks=True, copy_function=linked_or_copied)
        return other

    def begin(self, template: Template) -> "Site":
        """As every test begins."""
        self.home.mkdir()
        shutil.copytree(template.clone, self.clone, symlinks=True, copy_function=linked_or_copied)
        shutil.copytree(template.programs, self.programs)
        self.put("platform.outputs.json", {"platform": {"project": "acme", "records": {"max_connections": 50}}})
        self.put("services.outputs.json", {"revisions": GOOD})
        self.put("platform.changes.json", [JOB_UPDATE])
        self.put("services.changes.json", [SERVICE_UPDATE])
        return self

    def git(self, *words) -> str:
        return git(self.clone, *words)

    def put(self, name: str, value):
        (self.home / name).write_text(json.dumps(value))

    def fault(self, match: str, **rule):
        """What the fakes answer once to a call that matches, in place of what they would do."""
        path = self.home / "rules.json"
        rules = json.loads(path.read_text()) if path.exists() else []
        self.put("rules.json", [*rules, {"match": match, **rule}])

    def environment(self, project: str, **variables) -> dict:
        (self.home / "project").write_text(project)
        # The Python that runs the tests is the one that `env python3` finds.
        path = f"{self.programs}:{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("_")}
        here = ("BUILD_ID", "COMMIT_SHA", "TF_CLI_CONFIG_FILE", "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT")
        for name in here:
            kept.pop(name, None)
        return {**kept, "PATH": path, "FAKE_HOME": str(self.home), **variables}

    def deploy(self, *words, project=None, feed="", **variables):
        """Run ./deploy. gcloud is set to the environment's project unless the test says otherwise."""
        named = next((word for word in words if word in ("dev", "staging", "prod")), "dev")
        variables = self.environment(project or f"acme-{named}", **variables)
        return forked.run(self.clone / "deploy", words, env=variables, feed=feed)

    def ok(self, *words, **variables):
        done = self.deploy(*words, **variables)
        assert done.returncode == 0, f"./deploy {' '.join(words)}: {done.returncode}\n{done.stderr}"
        return done

    def refused(self, code: int, *words, **variables) -> str:
        done = self.deploy(*words, **variables)
        assert done.returncode == code, f"./deploy {' '.join(words)}: {done.returncode} and not {code}\n{done.stderr}"
        return done.stderr

    def calls(self) -> list:
        path = self.home / "calls"
        return [ast.literal_eval(line) for line in path.read_text().splitlines()] if path.exists() else []

    def lines(self, *starts) -> list:
        """The calls that begin with one of these words, without the paths of this test."""
        found = [call["line"].replace(f"{self.clone}/", "") for call in self.calls()]
        return [line for line in found if not starts or line.startswith(starts)]

    def await_file(self, name: str, child: subprocess.Popen):
        """Wait until a fake has left this file, which it does when it is in the midst of its work."""
        deadline = time.monotonic() + 30
        while not (self.home / name).exists():
            assert time.monotonic() < deadline and child.poll() is None, name
            time.sleep(0.01)

    def piece(self, name: str):
        """A module of deploy.d itself."""
        sys.path.insert(0, str(self.clone / "deploy.d"))
        try:
            return importlib.import_module(name)
        finally:
            sys.path.pop(0)

    def change_piece(self, name: str, old: str, new: str):
        """Have another file of deploy.d here: the one that is here, every other test has too."""
        path = self.clone / "deploy.d" / name
        text = path.read_text()
        assert old in text, f"{name} has no {old!r} any more"
        path.unlink()
        path.write_text(text.replace(old, new))

    def forget_calls(self):
        (self.home / "calls").unlink(missing_ok=True)

    def record(self, name: str, *images, **more):
        """Write the release record of an environment: images, newest first."""
        releases = [
            {
                "digest": image,
                "commit": self.git("rev-parse", "HEAD"),
                "time": f"2026-11-2{9 - at}T00:00:00+00:00",
                "build": "1",
                "good": True,
            }
            for at, image in enumerate(images)
        ]
        path = self.home / "buckets/acme-build-releases" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = {"releases": releases, "paused": None, "restored": False, "revisions": GOOD if images else {}}
        path.write_text(json.dumps({**kept, **more}))

    def read_record(self, name: str) -> dict:
        return json.loads((self.home / "buckets/acme-build-releases" / f"{name}.json").read_text())

    def planned(self, name: str = "dev"):
        """An environment with an image and a plan."""
        self.ok("image", name, "--image", IMAGE)
        self.ok("plan", name)


def sentence(words: str) -> str:
    """What a person reads last. Nobody is shown where in the program it was."""
    assert "Traceback" not in words and "Exception ignored" not in words, words
    last = words.strip().splitlines()[-1]
    # It ends as a sentence does, or with a command to be copied.
    assert len(last) > 40 and (last.endswith(".") or re.search(r"(?:\./deploy|git) [^\n]+[^.]$", last)), words
    return words


def real(site, *words, project="acme-dev", before=None, python=(), **options) -> subprocess.CompletedProcess:
    """./deploy as a shell starts it, where a fork of the tests' Python would hide how its own one starts or ends."""
    given = {**site.environment(project), **options.pop("env", {})}
    given = {name: value for name, value in given.items() if value is not None}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **options}
    command = [sys.executable, *python, site.clone / "deploy", *words]
    return subprocess.run(command, env=given, text=True, check=False, timeout=60, preexec_fn=before, **options)  # noqa: PLW1509


@pytest.fixture(scope="session")
def template(tmp_path_factory) -> Iterator[Template]:
    one = Template(tmp_path_factory.mktemp("template"))
    yield one
    assert one.content() == one.first, "a test wrote into a file that it shares with every other test"


@pytest.fixture
def site(tmp_path, template) -> Site:
    return Site(tmp_path).begin(template)
