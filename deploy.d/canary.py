"""Whether a smoke test met the new release at all, where that has only a share of the requests."""

import math
import time

from environments import Environment
from failures import Failure

# What takes, keeps and gives back a seat.
MET = ("acquire", "heartbeat", "release")
# A seat in a second: one holder may ask for 120 in a minute (RATE_ACQUIRE), and one address for 600 of everything.
PACE_SECONDS = 1
# Of this many canaries that answer as they should, one is taken for one that does not answer.
ONE_IN = 10_000
MOST_SEATS = 600
# The log is asked after this many seats; its lines come a little later than the answers.
BATCH = 10
LAG_SECONDS = 60
ENTRIES = [{"resource": {"labels": {"service_name": str}}}]


def seats_for(percent: int) -> int:
    """How often a seat is taken at most until one request of a kind has met the share."""
    return min(MOST_SEATS, math.ceil(math.log(1 / ONE_IN) / math.log(1 - percent / 100)))


class CanaryWatch:
    """Looks for the new revisions' answers to one smoke test, in the lines that they wrote."""

    def __init__(self, runner, environment: Environment, revisions: dict, marker: str, began: str):
        self.runner = runner
        self.environment = environment
        self.revisions = revisions
        """Function to its new revision, of those that share their requests with an earlier one."""
        self.query = (
            'resource.type="cloud_run_revision" resource.labels.revision_name='
            f"({' OR '.join(quoted(name) for name in revisions.values())}) "
            f'jsonPayload.request_id={quoted(marker)} timestamp>="{began}"'
        )

    def missing(self) -> list:
        """The functions whose new revision has answered nothing yet."""
        question = ["gcloud", "logging", "read", self.query, f"--project={self.environment.project}"]
        entries = self.runner.ask([*question, "--limit=1000", "--format=json"], ENTRIES, empty=[])
        seen = {entry["resource"]["labels"]["service_name"] for entry in entries}
        return sorted(set(self.revisions) - seen)

    def run(self, seat, percent: int) -> str:
        """Take seats until each new revision has answered. Every answer, of whichever release, must be right."""
        most = seats_for(percent)
        for number in range(1, most + 1):
            before = time.monotonic()
            seat()
            if number % BATCH == 0 and not self.missing():
                return self._passed(number)
            time.sleep(max(0.0, PACE_SECONDS - (time.monotonic() - before)))
        deadline = time.monotonic() + LAG_SECONDS
        while missing := self.missing():
            if time.monotonic() > deadline:
                raise Failure(
                    "smoke",
                    f"The new revision of {', '.join(missing)} answered none of the requests of {most} seats, though "
                    f"{percent} % of them are its own, so nothing is known of it.",
                )
            time.sleep(min(5, LAG_SECONDS))
        return self._passed(most)

    def _passed(self, seats: int) -> str:
        return f"canary: the new revisions of {', '.join(sorted(self.revisions))} answered ({seats} seats)"


def new_revisions(latest: dict, found_good: dict) -> dict:
    """Of the functions that a seat needs, those whose newest revision shares requests with an earlier one."""
    shared = {name: latest.get(name) for name in MET if name in found_good}
    return {name: revision for name, revision in shared.items() if revision and revision != found_good[name]}


def quoted(text: str) -> str:
    return f'"{text}"'
