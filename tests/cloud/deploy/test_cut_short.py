"""SIGKILL at each call of every verb, and the same verb again: it ends, and what must happen once happened once.

Also the same verb twice at once, and two people who write the same.
"""

import datetime
import json
import re
import subprocess
import sys

import pytest
from conftest import BUILT, IMAGE, OLD

PAUSED = "2026-11-28T00:00:00+00:00"
STEPS = ("plan", "apply-platform", "migrate", "apply-services")
VOLATILE = {"states", "calls", "kill.json", "rules.json", "generations", ".git", "deploy.d", "project"}


def through(*steps, name="dev", **variables):
    """An environment after these steps."""

    def prepare(site):
        site.ok("image", name, "--image", IMAGE)
        for step in steps:
            site.ok(step, name, **variables)
        if "apply-services" in steps:
            (site.clone / f".deploy/{name}/smoke.json").write_text(json.dumps({"image": IMAGE}))

    return prepare


def approved(site):
    site.ok("image", "prod", "--image", IMAGE)
    site.ok("plan", "prod", BUILD_ID="p1", project="acme-build")


def in_prod(site):
    approved(site)
    for step in STEPS:
        site.ok(step, "prod", _PLAN="p1")
    (site.clone / ".deploy/prod/smoke.json").write_text(json.dumps({"image": IMAGE}))


def canary(site):
    site.record("dev", OLD)
    site.ok("image", "dev", "--image", IMAGE)
    site.ok("plan", "dev", "--canary", "10")
    for step in STEPS[1:3]:
        site.ok(step, "dev")


def serving(name="dev", **more):
    return lambda site: site.record(name, IMAGE, OLD, **more)


def keys(*steps):
    return lambda site: [site.ok("keys", "dev", *step.split()) for step in steps]


def lost(site):
    site.put("platform.addresses.json", ["module.seats.a", "module.records.b"])


def nothing_there(site):
    site.put("no-bucket.json", True)


# Verb → what was before it, its words, and what it is given besides.
CASES = {
    "image": (keys(), ["image", "dev", "--image", IMAGE], {}),
    "plan of prod": (through(name="prod"), ["plan", "prod"], {}),
    "approved plan": (approved, ["plan", "prod", "--plan", "p1"], {}),
    "apply-platform": (through("plan"), ["apply-platform", "dev"], {}),
    "migrate": (through(*STEPS[:2]), ["migrate", "dev"], {}),
    "apply-services": (through(*STEPS[:3]), ["apply-services", "dev"], {}),
    "canary": (canary, ["apply-services", "dev"], {}),
    "promote dev": (through(*STEPS), ["promote", "dev"], {}),
    "promote staging": (
        through(*STEPS, name="staging"),
        ["promote", "staging"],
        {"project": "acme-build", "BUILD_ID": "b"},
    ),
    "promote prod": (in_prod, ["promote", "prod"], {}),
    "start": (serving("staging"), ["start", "staging"], {}),
    "rollback": (serving(), ["rollback", "dev"], {}),
    "rollback of prod": (serving("prod"), ["rollback", "prod"], {}),
    "pause": (serving(), ["pause", "dev"], {}),
    "pause of a lost region": (serving(canary=OLD), ["pause", "dev", "--region-lost"], {}),
    "resume": (serving(paused=PAUSED, restored=True), ["resume", "dev"], {}),
    "after-restore": (serving(paused=PAUSED), ["after-restore", "dev"], {}),
    "keys draw": (keys(), ["keys", "dev"], {}),
    "keys next": (keys("draw"), ["keys", "dev", "next", "HANDLE_KEY"], {}),
    "keys swap": (keys("draw", "next HANDLE_KEY"), ["keys", "dev", "swap", "HANDLE_KEY"], {}),
    "keys canary": (keys(), ["keys", "dev", "canary"], {"feed": "CODI-AAAAA\n"}),
    "unlock": (serving(), ["unlock", "dev", "platform", "1732"], {}),
    "forget": (lost, ["forget", "dev", "platform", "module.seats"], {}),
    "teardown": (serving(), ["teardown", "dev", "acme-dev"], {}),
    "bootstrap": (nothing_there, ["bootstrap"], {"project": "acme-build"}),
}


def normal(text: str) -> str:
    """Without what differs each time: times, names of plans, and keys that were drawn."""
    text = re.sub(r"20[0-9]{6}T[0-9]{6}Z-[0-9a-f]{6}", "PLAN", text)
    text = re.sub(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]+[+][0-9:]+", "TIME", text)
    text = re.sub(r":[A-Za-z0-9_-]{43}(?=\")", ":KEY", text)
    return text


def state(site) -> dict:
    """Everything that the verb left: in the cloud, as the fakes keep it, and in the clone."""
    found = {}
    for root in (site.home, site.clone):
        for path in root.rglob("*"):
            relative = path.relative_to(root)
            if path.is_file() and relative.parts[0] not in VOLATILE and path.suffix not in (".lock", ".plan"):
                text = path.read_text().replace(str(root.parent), "SITE")
                # A plan holds what was there when it was made, and its sum is another one with it.
                found[normal(str(relative))] = re.sub(
                    r'"(platform|services)": "[0-9a-f]{64}"', r'"\1": SUM', normal(text)
                )
    return found


def deaths(site) -> list:
    """The calls before or after whose effect the cloud or the clone was as it had not been before.

    Whoever dies at another one leaves what was left already: the second run would be the same once more.
    """
    states = (site.home / "states").read_text().splitlines()
    moments = [(number, when) for number in range(1, len(site.calls()) + 1) for when in ("before", "after")]
    assert len(states) == len(moments)
    return [moment for at, moment in enumerate(moments) if states[at] not in states[:at]]


@pytest.mark.parametrize("case", CASES)
def test_killed_at_each_of_its_calls_and_started_again_it_ends_as_if_nothing_had_been(site, tmp_path, case):
    prepare, words, more = CASES[case]
    prepare(site)
    site.forget_calls()
    whole = site.copied(tmp_path / "whole")
    (whole.home / "states").touch()
    whole.ok(*words, **more)
    calls, expected = whole.lines(), state(whole)
    assert len(calls) > 1
    for number, when in deaths(whole):
        dying = site.copied(tmp_path / f"{number}-{when}")
        dying.put("kill.json", {"at": number, "when": when})
        where = f"killed {when} its call {number}, {calls[number - 1]}"
        assert dying.deploy(*words, **more).returncode == -9, where
        (dying.home / "kill.json").unlink()
        done = dying.deploy(*words, **more)
        assert done.returncode == 0, f"{where}\n{done.stderr}"
        assert state(dying) == expected, where


@pytest.mark.parametrize("case", CASES)
def test_a_right_that_is_missing_for_any_of_its_calls_is_told_and_nothing_goes_on(site, tmp_path, case):
    prepare, words, more = CASES[case]
    prepare(site)
    site.forget_calls()
    whole = site.copied(tmp_path / "whole")
    whole.ok(*words, **more)
    kinds = {}
    for number, line in enumerate(whole.lines(), start=1):
        # What needs no right: gcloud's own settings, and openssl is no fake.
        if not line.startswith("gcloud config"):
            kinds.setdefault(tuple(word for word in line.split()[:5] if "-out" not in word), number)
    for number in kinds.values():
        denied = site.copied(tmp_path / str(number))
        denied.put("kill.json", {"at": number, "when": "denied"})
        said = denied.refused(5, *words, **more)
        assert "lacks a right" in said
        assert len(denied.calls()) == number, said


def test_a_plan_that_was_applied_in_part_is_not_taken_for_applied(site):
    """The state is another one than the plan was made for, and what was planned is not there."""
    through("plan")(site)
    (site.home / "platform.serial").write_text("1")
    assert "Plan again" in site.refused(9, "apply-platform", "dev")


@pytest.mark.parametrize("root", ["platform", "services"])
@pytest.mark.parametrize("how", ["edited", "removed"])
def test_a_plan_file_that_is_not_what_was_planned_is_refused(site, root, how):
    through(*(STEPS[:1] if root == "platform" else STEPS[:3]))(site)
    file = site.clone / f".deploy/dev/{root}.plan"
    if how == "edited":
        file.write_text(file.read_text().replace("update", "create"))
    else:
        file.unlink()
    site.forget_calls()
    words = site.refused(9, f"apply-{root}", "dev")
    assert f"{root}.plan" in words and "./deploy plan dev" in words
    assert not [line for line in site.lines() if " apply " in line]


def test_a_saved_plan_that_was_exchanged_in_the_bucket_is_refused(site):
    approved(site)
    saved = site.home / "buckets/acme-build-plans/prod/p1/services.plan"
    saved.write_text(saved.read_text().replace("update", "create"))
    assert "not the file that was planned" in site.refused(9, "plan", "prod", "--plan", "p1")
    site.refused(9, "apply-platform", "prod")


def test_a_restore_that_was_cut_short_is_not_resumed(site):
    """Valkey may be empty and no epoch raised: whoever starts the functions then may give a seat twice."""
    site.record("dev", IMAGE, paused=PAUSED)
    site.fault("jobs execute", code=1, stderr="ERROR: network\n")
    site.refused(13, "after-restore", "dev")
    assert "./deploy after-restore dev" in site.refused(17, "resume", "dev")
    site.ok("after-restore", "dev")
    site.ok("resume", "dev")


# --- at once ----------------------------------------------------------------------------------------------------------


def held(site, *words):
    """./deploy in the midst of an apply that takes its time."""
    site.fault("opentofu/.* apply", wait=True, patience=20)
    command = [sys.executable, site.clone / "deploy", *words]
    child = subprocess.Popen(command, env=site.environment("acme-dev"), stderr=subprocess.PIPE, text=True)
    site.await_file("waiting", child)
    return child


def test_the_same_verb_twice_at_once_is_refused_and_what_only_looks_is_not(site):
    through("plan")(site)
    site.record("dev", IMAGE)
    first = held(site, "apply-platform", "dev")
    for words in (["apply-platform", "dev"], ["plan", "dev"], ["pause", "dev"], ["keys", "dev"], ["smoke", "dev"]):
        said = site.refused(6, *words)
        assert f"process {first.pid}" in said and "Wait until it has ended" in said
    site.ok("inventory", "dev")
    # Another environment is another one's.
    site.ok("image", "staging", "--image", IMAGE)
    first.terminate()
    first.communicate(timeout=30)
    site.ok("apply-platform", "dev")


def test_what_a_killed_one_locked_in_the_clone_is_free(site):
    through("plan")(site)
    site.put("kill.json", {"at": len(site.calls()) + 1, "when": "after"})
    assert site.deploy("apply-platform", "dev").returncode == -9
    (site.home / "kill.json").unlink()
    site.ok("apply-platform", "dev")


@pytest.mark.parametrize(
    ("prepare", "words", "match"),
    [
        (through(*STEPS), ["promote", "dev"], "opentofu/services output"),
        (serving(), ["pause", "dev"], "opentofu/services apply"),
        (serving(), ["pause", "dev"], "opentofu/services plan"),
        (serving(paused=PAUSED), ["after-restore", "dev"], "jobs execute"),
    ],
    ids=["promote", "pause after its apply", "pause", "after-restore"],
)
def test_who_wrote_the_record_in_between_is_not_overwritten(site, prepare, words, match):
    """A pause that a promote forgets would start the functions in the midst of a restore."""
    site.record("dev", OLD)
    prepare(site)
    theirs = {"releases": [], "paused": "2026-11-28T03:00:00+00:00", "restored": False}
    site.fault(match, before=True, meanwhile={"gs://acme-build-releases/dev.json": json.dumps(theirs)})
    assert "Somebody else wrote" in site.refused(6, *words)
    assert site.read_record("dev") == theirs


def test_a_pipeline_that_waits_is_not_started_a_second_time_and_another_one_is(site):
    site.record("staging", IMAGE, OLD)
    site.ok("start", "staging", "--image", IMAGE)
    assert "b0" in site.ok("start", "staging", "--image", IMAGE).stderr
    site.ok("start", "staging", "--image", BUILT)
    site.ok("start", "staging", "--image", IMAGE, "--only", "platform")
    assert len(site.lines("gcloud builds triggers run")) == 3
    ended = json.loads((site.home / "builds.json").read_text())
    site.put("builds.json", [{**one, "status": "FAILURE"} for one in ended])
    site.ok("start", "staging", "--image", IMAGE)
    assert len(site.lines("gcloud builds triggers run")) == 4


# --- clocks -----------------------------------------------------------------------------------------------------------


def google_shows(site, moment):
    (site.home / "google-time").write_text(f"{moment:%Y-%m-%dT%H:%M:%S}+0000")


def test_the_wait_after_a_restore_is_counted_by_googles_clock(site):
    """This machine's clock stands a day too late: by it, the wait would be over at once."""
    site.record("dev", IMAGE)
    paused_at = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    google_shows(site, paused_at)
    site.ok("pause", "dev")
    assert site.read_record("dev")["paused"] == paused_at.replace(microsecond=0).isoformat()
    site.ok("after-restore", "dev")
    google_shows(site, paused_at + datetime.timedelta(seconds=300))
    words = site.refused(17, "resume", "dev")
    free = paused_at + datetime.timedelta(seconds=360)
    assert f"{free:%Y-%m-%d %H:%M:%S} UTC by Google's clock" in words
    google_shows(site, paused_at + datetime.timedelta(seconds=361))
    site.ok("resume", "dev")


def test_where_google_tells_no_time_a_pause_ends_and_says_so(site):
    site.record("dev", IMAGE)
    (site.home / "google-time").write_text("yesterday")
    assert "this machine's clock is believed" in site.ok("pause", "dev").stderr
