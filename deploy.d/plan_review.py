"""What a plan would do, read from `tofu show -json`, and whether that may be done."""

import re

from failures import Failure

PROTECTED = re.compile(r"(?:^|\.)module\.(records|signer|secrets|seats|identity)(?:\[|\.|$)")
# A root key that is destroyed cannot be had back by anybody: no option allows it.
NEVER = "signer"
JOB = "google_cloud_run_v2_job"
# Removed by the repository itself: what somebody changed there before is of no interest.
REMOVED = ({"delete"}, {"forget"})


class PlanReview:
    """The changes of one plan."""

    def __init__(self, plan: dict):
        self.changes = {
            one["address"]: (one["type"], tuple(one["change"]["actions"]))
            for one in plan.get("resource_changes", [])
            if one.get("mode", "managed") == "managed" and one["change"]["actions"] != ["no-op"]
        }
        planned = {(one["address"], one.get("deposed")): one["change"] for one in plan.get("resource_changes", [])}
        self.drifted = [
            f"{one['address']} ({what})"
            for one in plan.get("resource_drift", [])
            for what in [_drift(one["change"], planned.get((one["address"], one.get("deposed"))))]
            if what
        ]
        """The resources that somebody changed past this repository, each with what was changed."""

    @property
    def is_empty(self) -> bool:
        return not self.changes

    @property
    def only_jobs_updated(self) -> bool:
        """Whether nothing but the job gets another image, as in every deploy."""
        return all(kind == JOB and actions == ("update",) for kind, actions in self.changes.values())

    @property
    def only_updates(self) -> bool:
        return all(actions == ("update",) for _, actions in self.changes.values())

    def refuse_deletes(self, root: str, allowed=()):
        """Refuse a plan that deletes, or deletes and makes anew, what holds data or keys."""
        found = []
        for address, (_, actions) in self.changes.items():
            match = PROTECTED.search(address)
            if not match or not {"delete", "forget"} & set(actions):
                continue
            if address not in allowed or match.group(1) == NEVER:
                found.append((address, "replaces" if "create" in actions else "deletes", match.group(1)))
        if not found:
            return
        lines = "\n".join(f"  {does} {address}" for address, does, _ in found)
        way = (
            "Nothing of the signer may be deleted: clients pin its key."
            if any(module == NEVER for *_, module in found)
            else "If it must be so, name each: --allow-delete ADDRESS. What is deleted comes back only from a backup."
        )
        raise Failure(
            "deletes",
            f"The plan of {root} was refused and nothing was applied. It\n{lines}\nFind the change of the values or of "
            f"the code that asks for this, and take it back. {way}",
        )

    def summary(self) -> str:
        if self.is_empty:
            return "no change"
        counts = {}
        for _, actions in self.changes.values():
            word = "replace" if len(actions) == 2 else actions[0]
            counts[word] = counts.get(word, 0) + 1
        return ", ".join(f"{count} to {word}" for word, count in sorted(counts.items()))


def _drift(moved: dict, planned) -> str:
    """What of a resource is other than tofu left it and would be put back by this plan; nothing where that is nothing.

    What the plan leaves as it was found is no drift: what Google fills in and moves by itself (how often a job ran, the
    state of a certificate), and what a person changed and has written into the values since.
    """
    if planned is None or set(planned["actions"]) in REMOVED:
        return ""
    if "delete" in moved["actions"]:
        return "deleted" if "create" in planned["actions"] else ""
    before, after, wanted = moved.get("before") or {}, moved.get("after") or {}, planned.get("after") or {}
    unknown = planned.get("after_unknown") or {}
    names = sorted({*before, *after})
    return ", ".join(
        name for name in names if _is_put_back(before.get(name), after.get(name), wanted.get(name), unknown.get(name))
    )


def _is_put_back(before, after, wanted, unknown) -> bool:
    """Whether a value moved and the plan changes it. What is only known after the apply is Google's to fill in."""
    if before == after or unknown is True:
        return False
    if all(isinstance(one, dict) for one in (before, after, wanted)):
        inner = unknown if isinstance(unknown, dict) else {}
        names = {*before, *after}
        return any(_is_put_back(before.get(n), after.get(n), wanted.get(n), inner.get(n)) for n in names)
    if all(isinstance(one, list) for one in (before, after, wanted)) and len(before) == len(after) == len(wanted):
        inner = unknown if isinstance(unknown, list) else []
        padded = [*inner, *[None] * (len(after) - len(inner))]
        return any(_is_put_back(*each) for each in zip(before, after, wanted, padded, strict=False))
    return after != wanted
