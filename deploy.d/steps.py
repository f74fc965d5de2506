"""What one step of a deploy leaves for the next: files below .deploy, each written whole or not at all."""

import contextlib
import fcntl
import json
import os
import pathlib

from environments import ROOT, Environment
from failures import Failure, failure_of
from reading import parse, read_text

# What a plan is of, as it is kept beside the plan itself.
PLAN = {
    "id": str,
    "environment": str,
    "image": str,
    "commit": str,
    "only": (str, type(None)),
    "allowed": [str],
    "canary": int,
    "handed_over": (str, type(None)),
    "services_planned": bool,
    "fetched": bool,
    "files": {...: str},
}
# What each step leaves, and the verb that makes it anew.
LEFT = {
    "image": ({"digest": str}, "image"),
    "plan": (PLAN, "plan"),
    "platform": ({"plan": str}, "apply-platform"),
    "migrate": ({"image": str}, "migrate"),
    "services": ({"image": str}, "apply-services"),
    "smoke": ({"image": str}, "smoke"),
}


def write_file(path: pathlib.Path, text: str):
    """Write a file whole or not at all, so that a run that is killed or a full disk leaves no half of one."""
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, "utf-8")
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        # Where the disk is full, the system does not say of which file.
        error.filename = error.filename or path
        raise failure_of(error) from error


@contextlib.contextmanager
def alone(name: str):
    """While this lasts, no other ./deploy of this clone works on the environment. The system frees it with the process.

    What others do elsewhere is refused by the lock of tofu's state, and by the release record's generation.
    """
    path = ROOT / ".deploy" / f"{name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+b", buffering=0)  # noqa: SIM115 - closed below
    except OSError as error:
        raise failure_of(error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            process = file.read().decode("ascii", "replace").strip() or "unknown"
            raise Failure(
                "locked",
                f"Another ./deploy of this clone works on {name} at this moment (process {process}). Nothing was done. "
                "Wait until it has ended, then start this command again.",
            ) from error
        # Only for the message above: on a full disk it is left out.
        with contextlib.suppress(OSError):
            file.truncate(0)
            file.write(str(os.getpid()).encode())
        yield


class Steps:
    """What the steps of one deploy tell each other."""

    def __init__(self, environment: Environment):
        self.environment = environment
        self.directory = environment.work

    def write(self, name: str, value):
        write_file(self.directory / f"{name}.json", json.dumps(value, indent=2) + "\n")

    def read(self, name: str):
        """The value, or None where no step has written it."""
        path = self.directory / f"{name}.json"
        shape, verb = LEFT[name]
        way = f"Remove it, and make it anew: rm {path}; ./deploy {verb} {self.environment.name}"
        try:
            text = read_text(path, "machine", way)
        except Failure as failure:
            if failure.kind == "missing":
                return None
            raise
        return parse(text, shape, "machine", f"{path} was cut short or edited, and holds", way)

    def forget(self, *names: str):
        for name in names:
            (self.directory / f"{name}.json").unlink(missing_ok=True)
