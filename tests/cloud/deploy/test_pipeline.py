"""The steps of the pipeline in their order, against recording fakes."""

import json
import signal
import subprocess
import time

import pytest
from conftest import BUILT, IMAGE, OLD

STEPS = ("plan", "apply-platform", "migrate", "apply-services")


def run_steps(site, name="dev", **variables):
    site.ok("image", name, "--image", IMAGE, **variables)
    for step in STEPS:
        site.ok(step, name, **variables)


def test_platform_is_applied_then_migrated_then_services(site):
    run_steps(site)
    changing = [
        line.split(" -")[0] + ":" + line
        for line in site.lines("tofu", "gcloud run jobs")
        if " apply " in line or "jobs" in line
    ]
    order = [
        "platform" if "opentofu/platform" in line else "services" if "opentofu/services" in line else "migrate"
        for line in changing
    ]
    assert order == ["platform", "migrate", "services"]
    job = next(line for line in site.lines("gcloud run jobs"))
    assert job == "gcloud run jobs execute migrate --wait --project=acme-dev --region=us-central1"


def test_each_root_is_given_its_environments_files_and_the_image(site):
    run_steps(site)
    init = next(line for line in site.lines("tofu") if "opentofu/platform init" in line)
    assert "-backend-config=opentofu/environments/dev/backend.hcl" in init.replace(str(site.clone) + "/", "")
    plans = [line for line in site.lines("tofu") if " plan " in line and "-out=" in line]
    assert "-var-file=opentofu/environments/dev/platform.tfvars" in plans[0] and f"-var=image={IMAGE}" in plans[0]
    assert "-var-file=opentofu/environments/dev/services.tfvars" in plans[1] and f"-var=image={IMAGE}" in plans[1]
    assert "-var=paused=false" in plans[1]
    handed_over = json.loads((site.clone / "opentofu/services/platform.auto.tfvars.json").read_text())
    assert handed_over["platform"]["records"] == {"max_connections": 50}


def test_two_environments_of_one_clone_do_not_share_a_backend(site):
    site.planned("dev")
    site.planned("staging")
    places = {call["env"]["TF_DATA_DIR"] for call in site.calls() if call["line"].startswith("tofu")}
    assert len(places) == 4


def test_the_first_deploy_plans_services_after_platform(site):
    site.put("platform.outputs.json", {})
    site.planned()
    assert not [line for line in site.lines("tofu") if "opentofu/services plan" in line]
    site.put("platform.outputs.json", {"platform": {"project": "acme-dev"}})
    for step in STEPS[1:]:
        site.ok(step, "dev")
    changing = [
        line for line in site.lines("tofu") if "opentofu/services" in line and (" plan " in line or " apply " in line)
    ]
    assert [line.split()[2] for line in changing] == ["plan", "apply"]


def test_what_another_environment_handed_over_is_not_used(site):
    site.planned("staging")
    site.put("platform.outputs.json", {})
    site.planned("dev")
    assert not (site.clone / "opentofu/services/platform.auto.tfvars.json").exists()


def test_services_are_planned_again_where_platform_hands_over_other_values(site):
    site.planned()
    site.ok("apply-platform", "dev")
    site.ok("migrate", "dev")
    site.put("platform.outputs.json", {"platform": {"project": "acme-dev", "records": {"max_connections": 500}}})
    site.forget_calls()
    site.ok("apply-services", "dev")
    assert [line.split()[2] for line in site.lines("tofu") if " plan " in line or " apply " in line] == [
        "plan",
        "apply",
    ]


def test_a_failed_migration_leaves_the_services_untouched(site):
    site.planned()
    site.ok("apply-platform", "dev")
    site.fault("jobs execute migrate", code=1, stderr="ERROR: The execution has failed\n")
    words = site.refused(13, "migrate", "dev")
    assert "services were not touched" in words and "gcloud logging read" in words
    words = site.refused(17, "apply-services", "dev")
    assert "migrate has not succeeded" in words
    assert not [line for line in site.lines("tofu") if "opentofu/services apply" in line]
    # A second run mends it.
    site.ok("migrate", "dev")
    site.ok("apply-services", "dev")


def test_migrate_waits_for_the_platform_of_its_plan(site):
    site.planned()
    assert "apply-platform" in site.refused(17, "migrate", "dev")


def test_given_image_leaves_out_check_test_and_build(site):
    for step in ("check", "test"):
        done = site.ok(step, _IMAGE=IMAGE)
        assert "left out" in done.stderr
    site.ok("image", "dev", _IMAGE=IMAGE)
    assert not site.lines("dev") and not site.lines("gcloud builds submit")
    assert site.lines("gcloud artifacts docker images describe") and site.lines("gcloud container binauthz")


def test_without_an_image_everything_is_run(site):
    site.ok("check")
    site.ok("test")
    assert site.lines("dev") == ["dev check", "dev cloud test", "dev test"]
    assert "./deploy bootstrap" in site.refused(3, "image", "dev")
    site.ok("image", "dev", _BUILDER="builder@sha256:1", _CLOUD="cloud@sha256:2")
    built = site.lines("gcloud builds submit")[0]
    head, time_of_head = site.git("rev-parse", "HEAD"), site.git("log", "-1", "--format=%ct")
    assert f"_COMMIT={head},_TIME={time_of_head},_BUILDER=builder@sha256:1,_CLOUD=cloud@sha256:2" in built
    assert json.loads((site.clone / ".deploy/dev/image.json").read_text()) == {"digest": BUILT}


def test_red_checks_have_an_exit_code_of_their_own(site):
    site.fault("^dev check", code=1)
    assert "./dev check failed" in site.refused(11, "check")


@pytest.mark.parametrize("name", ["dev", "staging"])
def test_promote_needs_a_green_smoke_test(site, name):
    run_steps(site, name)
    assert "smoke" in site.refused(17, "promote", name)


def passed_smoke(site, name):
    (site.clone / f".deploy/{name}/smoke.json").write_text(json.dumps({"image": IMAGE}))


def test_dev_starts_staging_with_the_same_image(site):
    run_steps(site)
    passed_smoke(site, "dev")
    site.ok("promote", "dev")
    head = site.git("rev-parse", "HEAD")
    assert site.lines("gcloud builds triggers") == [
        f"gcloud builds triggers run deploy-staging --project=acme-build --region=us-central1 --sha={head} "
        f"--substitutions=_IMAGE={IMAGE}"
    ]
    assert site.read_record("dev")["releases"][0]["digest"] == IMAGE


def test_a_rollback_is_not_passed_on(site):
    run_steps(site)
    passed_smoke(site, "dev")
    site.ok("promote", "dev", _PROMOTE="no")
    assert not site.lines("gcloud builds triggers")
    assert site.read_record("dev")["releases"][0]["digest"] == IMAGE


def test_staging_plans_prod_without_a_right_to_change_it_and_starts_it_with_that_plan(site):
    run_steps(site, "staging")
    passed_smoke(site, "staging")
    site.forget_calls()
    site.ok("promote", "staging", project="acme-build", BUILD_ID="build-9")
    triggers = site.lines("gcloud builds triggers")
    assert len(triggers) == 1 and f"_IMAGE={IMAGE},_PLAN=build-9" in triggers[0] and "deploy-prod" in triggers[0]
    plans = [call for call in site.calls() if " plan " in call["line"]]
    accounts = {call["env"].get("GOOGLE_IMPERSONATE_SERVICE_ACCOUNT") for call in plans}
    assert accounts == {None}
    assert (site.home / "buckets/acme-build-plans/prod/build-9/services.plan").exists()
    assert not [line for line in site.lines("tofu") if " apply " in line]


def test_prod_applies_the_approved_plan_and_tags_the_image(site):
    site.ok("image", "prod", "--image", IMAGE)
    site.ok("plan", "prod", BUILD_ID="p1", project="acme-build")
    for step in ("image", *STEPS):
        site.ok(step, "prod", BUILD_ID="p2", project="acme-build", _IMAGE=IMAGE, _PLAN="p1")
    assert len([line for line in site.lines("tofu") if " plan " in line and "-out" in line]) == 2
    passed_smoke(site, "prod")
    site.ok("promote", "prod", BUILD_ID="p2", project="acme-build")
    tag = site.lines("gcloud artifacts docker tags add")[0]
    assert IMAGE in tag and ":prod-2" in tag


def actors(site) -> set:
    """(root, who acts) of every call of tofu."""
    return {
        (call["line"].split("opentofu/")[1].split()[0], call["env"].get("GOOGLE_IMPERSONATE_SERVICE_ACCOUNT"))
        for call in site.calls()
        if call["line"].startswith("tofu")
    }


@pytest.mark.parametrize("where", [{"BUILD_ID": "1", "project": "acme-build"}, {}], ids=["build", "hand"])
def test_platform_alone_is_applied_by_the_account_that_may_change_it(site, where):
    site.ok("image", "dev", "--image", IMAGE, **where)
    for step in STEPS:
        site.ok(step, "dev", **where)
    assert actors(site) == {("platform", "tofu-platform@acme-dev.iam.gserviceaccount.com"), ("services", None)}


@pytest.mark.parametrize("who", ["other@acme-dev.iam.gserviceaccount.com", ""])
def test_whom_a_person_names_acts(site, who):
    site.ok("image", "dev", "--image", IMAGE)
    for step in STEPS:
        site.ok(step, "dev", GOOGLE_IMPERSONATE_SERVICE_ACCOUNT=who)
    assert actors(site) == {("platform", who), ("services", who)}


def test_an_inventory_is_taken_with_the_credentials_at_hand(site):
    site.ok("inventory", "dev")
    assert actors(site) == {("platform", None), ("services", None)}


def test_no_call_of_tofu_says_who_acts_but_by_the_environment(site):
    """A saved plan keeps every -var, -var-file and -backend-config, and prod applies what staging's account planned."""
    run_steps(site, "staging")
    passed_smoke(site, "staging")
    site.ok("promote", "staging", project="acme-build", BUILD_ID="build-9")
    told = [word for call in site.calls() if call["line"].startswith("tofu") for word in call["arguments"]]
    assert any(word.startswith("-var-file=") for word in told)
    assert [word for word in told if "impersonate" in word or "iam.gserviceaccount" in word] == []


def test_a_pause_outlives_a_deploy_and_is_not_passed_on(site):
    site.record("dev", OLD, paused="2026-11-28T00:00:00+00:00")
    run_steps(site)
    assert [line for line in site.lines("tofu") if "opentofu/services plan" in line and "-var=paused=true" in line]
    assert "nothing was tested" in site.ok("smoke", "dev").stderr
    site.ok("promote", "dev")
    assert not site.lines("gcloud builds triggers")


def test_a_run_that_is_told_to_stop_lets_tofu_end_and_a_second_one_mends(site):
    site.planned()
    site.fault("opentofu/platform apply", wait=True)
    child = subprocess.Popen(
        [site.clone / "deploy", "apply-platform", "dev"],
        env=site.environment("acme-dev"),
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not (site.home / "waiting").exists():
        assert time.monotonic() < deadline and child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGTERM)
    _, words = child.communicate(timeout=30)
    assert child.returncode == 130 and "Start the same command again" in words
    assert (site.home / "stopped-by").read_text() == "SIGINT"
    site.ok("apply-platform", "dev")
    site.ok("migrate", "dev")
    site.ok("apply-services", "dev")


@pytest.mark.parametrize("cut", ["opentofu/platform apply", "jobs execute migrate", "opentofu/services apply"])
def test_a_run_that_was_killed_after_its_work_is_mended_by_a_new_deploy(site, cut):
    """The program did its work and the run died before it could write that down."""
    site.planned()
    site.fault(cut, before=True, code=137)
    codes = [site.deploy(step, "dev").returncode for step in STEPS[1:]]
    assert codes[
        STEPS[1:].index("apply-platform" if "platform" in cut else "migrate" if "migrate" in cut else "apply-services")
    ]
    for step in STEPS:
        site.ok(step, "dev")


def test_what_a_killed_run_left_half_written_is_not_read(site):
    site.planned()
    (site.clone / ".deploy/dev/plan.json.part").write_text("{")
    site.ok("apply-platform", "dev")


def test_an_apply_that_was_done_is_not_done_twice(site):
    site.planned()
    site.ok("apply-platform", "dev")
    site.forget_calls()
    assert "applied before" in site.ok("apply-platform", "dev").stderr
    assert not [line for line in site.lines("tofu") if " apply " in line]
