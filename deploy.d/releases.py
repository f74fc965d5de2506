"""What serves in an environment, what served before, and whether it is paused: one object in a bucket."""

import datetime
import json
import os
import re

from environments import Environment
from programs import explain, unreadable
from streams import say

KEPT = 20
# Not merely "not found": that is also said of a host, where there is no network, and a record that was taken for
# missing would be written anew without the releases in it.
NO_OBJECT = re.compile(r"matched no objects|no urls matched|\b404\b", re.IGNORECASE)
# What a write demands of an object that is not there.
NOTHING = "0"


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def moment(text) -> datetime.datetime | None:
    """A time with its zone, as gcloud and this program write it; None where it is none."""
    for form in ("%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z"):
        try:
            return datetime.datetime.strptime(text, form)
        except (ValueError, TypeError):
            continue
    return None


RECORD = {
    "releases": [{"digest": str, "commit": str, "time": str, "good": bool}],
    "paused": lambda value: value is None or moment(value),
}


class ReleaseRecord:
    """What serves in an environment, what served before, and whether it is paused: one object in the bucket.

    It is written only as it was read: where a deploy, a pause or a rollback elsewhere wrote it in between, that holds,
    and this one is refused ("locked").
    """

    def __init__(self, runner, environment: Environment):
        self.runner = runner
        self.address = f"{environment.build.releases}/{environment.name}.json"
        self.environment = environment
        self.value = {"releases": [], "paused": None, "restored": False}
        self.generation, self.written_at = self._describe()
        if self.generation != NOTHING:
            self.value = self._read()

    def _describe(self) -> tuple:
        """The generation of the object, and Google's time of it."""
        question = ["gcloud", "storage", "objects", "describe", self.address]
        done = self.runner.run([*question, "--format=value(generation,creation_time)"], capture=True, allowed=(0, 1))
        if done.code:
            if NO_OBJECT.search(done.words):
                return NOTHING, None
            raise explain(question, done.code, done.words)
        generation, _, time = done.output.strip().partition("\t")
        if not generation.isdecimal():
            raise unreadable(question, done.output)
        return generation, moment(time.strip())

    def _read(self) -> dict:
        return self.runner.ask(["gcloud", "storage", "cat", f"{self.address}#{self.generation}"], RECORD)

    @property
    def releases(self) -> list:
        """Newest first: digest, commit, time, build, and whether it is good."""
        return self.value["releases"]

    @property
    def latest(self) -> str | None:
        """The image that was put into service last, good or not."""
        return self.releases[0]["digest"] if self.releases else None

    @property
    def serving(self) -> str | None:
        """The image that was put into service last and found good."""
        return next((one["digest"] for one in self.releases if one["good"]), None)

    @property
    def previous(self) -> dict | None:
        """The newest good release before the latest one."""
        return next((one for one in self.releases[1:] if one["good"]), None)

    def add(self, digest: str, commit: str):
        kept = [one for one in self.releases if one["digest"] != digest]
        entry = {
            "digest": digest,
            "commit": commit,
            "time": now().isoformat(timespec="seconds"),
            "build": os.environ.get("BUILD_ID", "by hand"),
            "good": True,
        }
        self.value["releases"] = [entry, *kept][:KEPT]

    def mark_bad(self, digest: str):
        for one in self.releases:
            if one["digest"] == digest:
                one["good"] = False

    @property
    def revisions(self) -> dict:
        """The revision of each function that was found good last: what serves beside a canary.

        Written down when it was found good, because the newest revision may be a canary that was left, or a release
        that failed.
        """
        return self.value.get("revisions") or {}

    @property
    def canary(self) -> str | None:
        """The image that has only a share of the requests."""
        return self.value.get("canary")

    def end_canary(self):
        self.value.pop("canary", None)

    @property
    def paused(self) -> str | None:
        """Since when the environment is paused."""
        return self.value.get("paused")

    def save(self):
        """Write it, if it is still what was read or written last."""
        if self.generation is None:
            self._find_own()
        text = json.dumps(self.value, indent=2) + "\n"
        self.runner.run(
            [
                "gcloud",
                "storage",
                "cp",
                "--cache-control=no-store",
                f"--if-generation-match={self.generation}",
                "-",
                self.address,
            ],
            feed=text,
            capture=True,
        )
        self.generation, self.written = None, json.loads(text)

    def _find_own(self):
        """The generation of what was just written here. Where somebody has written since, theirs holds."""
        self.generation, self.written_at = self._describe()
        if self.generation == NOTHING or self._read() != self.written:
            question = ["gcloud", "storage", "cp", "-", self.address]
            raise explain(question, 1, "conditionNotMet")

    def google_now(self) -> datetime.datetime:
        """What Google's clock shows: the record is written once more, and the time of that is asked for.

        A machine's own clock may stand wrong, and how long seats wait after a restore is counted by this.
        """
        self.save()
        self._find_own()
        if self.written_at is None:
            say("Note: Google's time was not to be had; this machine's clock is believed. Look whether it is right.")
            return now()
        return self.written_at
