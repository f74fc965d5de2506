"""A canary: the new image gets a share of the requests, and what was found good last gets the others."""

import json

import pytest
from conftest import GOOD, IMAGE, OLD, OLDER
from test_smoke import red_environment

STEPS = ("plan", "apply-platform", "migrate", "apply-services")
CANARY = {"acquire": "acquire-00008"}
SHARED = f"-var=canary_percent=10 -var=previous_revisions={json.dumps(GOOD)}"


@pytest.fixture
def asking(site):
    """An environment that serves OLD and asks for a canary in every release, as prod does."""
    values = site.clone / "opentofu/environments/dev/services.tfvars"
    values.write_text("canary_percent = 10\n")
    site.git("commit", "--quiet", "--all", "--message", "canary")
    site.record("dev", OLD)
    return site


def services_plans(site) -> list:
    return [line for line in site.lines("tofu") if "opentofu/services plan" in line and "-out" in line]


def deploy(site, image, *plan):
    """The steps up to the smoke test; the newest revision is the canary's afterwards."""
    site.ok("image", "dev", "--image", image)
    site.ok("plan", "dev", *plan)
    for step in STEPS[1:]:
        site.ok(step, "dev")
    site.put("services.outputs.json", {"revisions": CANARY})


def pass_smoke(site, image):
    (site.clone / ".deploy/dev/smoke.json").write_text(json.dumps({"image": image}))


def test_a_canary_gets_its_share_and_then_all_requests(asking):
    deploy(asking, IMAGE)
    assert SHARED in services_plans(asking)[-1]
    pass_smoke(asking, IMAGE)
    words = asking.ok("promote", "dev").stderr
    assert "10 %" in words and "--canary 0" in words and "./deploy rollback dev" in words
    kept = asking.read_record("dev")
    assert kept["canary"] == IMAGE and kept["releases"][0]["digest"] == OLD and kept["revisions"] == GOOD
    assert not asking.lines("gcloud builds triggers")
    deploy(asking, IMAGE, "--canary", "0")
    assert "canary_percent" not in services_plans(asking)[-1] and "previous_rev" not in services_plans(asking)[-1]
    pass_smoke(asking, IMAGE)
    asking.ok("promote", "dev")
    kept = asking.read_record("dev")
    assert kept["releases"][0]["digest"] == IMAGE and kept["revisions"] == CANARY and "canary" not in kept
    assert not asking.lines("gcloud run services", "gcloud run deploy")


@pytest.mark.parametrize("cut", ["opentofu/services apply", "jobs execute migrate"])
@pytest.mark.parametrize("following", [IMAGE, OLDER], ids=["the same image", "another image"])
def test_after_a_killed_canary_the_requests_are_shared_with_what_was_found_good(asking, cut, following):
    """The newest revision is the canary itself then, which nobody found good."""
    asking.fault(cut, before=True, code=137)
    asking.ok("image", "dev", "--image", IMAGE)
    asking.ok("plan", "dev")
    codes = [asking.deploy(step, "dev").returncode for step in STEPS[1:]]
    assert any(codes)
    asking.put("services.outputs.json", {"revisions": CANARY})
    deploy(asking, following)
    assert SHARED in services_plans(asking)[-1]


def test_a_canary_that_was_killed_in_its_apply_is_known_to_a_rollback(asking):
    asking.record("dev", OLD, OLDER)
    asking.fault("opentofu/services apply", before=True, code=137)
    asking.ok("image", "dev", "--image", IMAGE)
    for step in STEPS[:-1]:
        asking.ok(step, "dev")
    asking.refused(1, "apply-services", "dev")
    asking.ok("rollback", "dev")
    assert f"_IMAGE={OLD}," in asking.lines("gcloud builds triggers")[-1]
    assert all(one["good"] for one in asking.read_record("dev")["releases"])


def test_a_red_canary_ends_and_what_was_before_gets_all_requests(asking):
    red_environment(asking)
    assert asking.read_record("dev")["canary"] == IMAGE
    words = asking.refused(14, "smoke", "dev", CANARY_LICENSE_KEY="CODI-X")
    assert f"{OLD} serves dev again" in words
    back = services_plans(asking)[-1]
    assert f"-var=image={OLD}" in back and "canary_percent" not in back and "previous_revisions" not in back
    kept = asking.read_record("dev")
    assert "canary" not in kept and kept["revisions"] == GOOD


def test_no_canary_where_nothing_was_found_good_or_nothing_serves(asking):
    asking.ok("image", "dev", "--image", IMAGE)
    asking.record("dev")
    asking.ok("plan", "dev")
    assert "previous_revisions" not in services_plans(asking)[-1]
    assert "--canary 0" in asking.refused(17, "plan", "dev", "--canary", "10")
    asking.record("dev", OLD)
    asking.ok("plan", "dev", _CANARY="0")
    assert "previous_revisions" not in services_plans(asking)[-1]
    asking.record("dev", OLD, paused="2026-11-28T00:00:00+00:00")
    asking.ok("plan", "dev")
    assert "previous_revisions" not in services_plans(asking)[-1]


def test_who_plans_prod_ahead_writes_nothing_of_prods(site):
    """The account of staging may write plans of prod, and not its record."""
    values = site.clone / "opentofu/environments/prod/services.tfvars"
    values.write_text("canary_percent = 10\n")
    site.git("commit", "--quiet", "--all", "--message", "canary")
    site.record("prod", OLD)
    site.ok("image", "staging", "--image", IMAGE)
    for step in STEPS:
        site.ok(step, "staging")
    (site.clone / ".deploy/staging/smoke.json").write_text(json.dumps({"image": IMAGE}))
    site.ok("promote", "staging", project="acme-build", BUILD_ID="9")
    assert SHARED in services_plans(site)[-1]
    written = [line for line in site.lines("gcloud storage cp") if line.endswith("prod.json")]
    assert not written


def test_a_pause_ends_a_canary(asking):
    deploy(asking, IMAGE)
    asking.ok("pause", "dev")
    assert "canary_percent" not in services_plans(asking)[-1]
    assert "canary" not in asking.read_record("dev")


def test_the_bound_of_a_canarys_smoke_test_follows_its_share(site):
    canary = site.piece("canary")
    assert canary.seats_for(10) == 88 and canary.seats_for(50) == 14 and canary.seats_for(1) == canary.MOST_SEATS
    good = {"acquire": "acquire-7", "heartbeat": "heartbeat-7", "admin": "admin-7"}
    latest = {"acquire": "acquire-8", "heartbeat": "heartbeat-7", "release": "release-8", "admin": "admin-8"}
    # heartbeat has no new one, release serves with its new one alone, and no seat needs admin.
    assert canary.new_revisions(latest, good) == {"acquire": "acquire-8"}
