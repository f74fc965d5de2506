"""What serves in an environment, what served before, and whether it is paused: one object in a bucket."""

import datetime
import json
import os
import re

from environments import Environment
from programs import explain

KEPT = 20
# Not merely "not found": that is also said of a host, where there is no network, and a record that was taken for
# missing would be written anew without the releases in it.
NO_OBJECT = re.compile(r"matched no objects|no urls matched|\b404\b", re.IGNORECASE)


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


class ReleaseRecord:
    """What serves in an environment, what served before, and whether it is paused: one object in the bucket."""

    def __init__(self, runner, environment: Environment):
        self.runner = runner
        self.address = f"{environment.build.releases}/{environment.name}.json"
        self.environment = environment
        read = runner.run(["gcloud", "storage", "cat", self.address], capture=True, allowed=(0, 1))
        if read.code == 0:
            self.value = json.loads(read.output)
        elif NO_OBJECT.search(read.words):
            self.value = {"releases": [], "paused": None, "restored": False}
        else:
            raise explain(["gcloud", "storage", "cat", self.address], read.code, read.words)

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
        text = json.dumps(self.value, indent=2) + "\n"
        self.runner.run(
            ["gcloud", "storage", "cp", "--cache-control=no-store", "-", self.address], feed=text, capture=True
        )
