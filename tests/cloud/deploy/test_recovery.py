"""Rolling back, pausing, restoring, tearing down, drawing keys, listing."""

import datetime
import json

import pytest
from conftest import IMAGE, OLD, OLDER


def started(site) -> list:
    return site.lines("gcloud builds triggers run")


def test_rollback_starts_the_pipeline_with_the_image_before(site):
    site.record("dev", IMAGE, OLD, OLDER)
    site.ok("rollback", "dev")
    assert (
        f"_IMAGE={OLD},_PROMOTE=no,_ACCEPT_DRIFT=yes,_CANARY=0" in started(site)[0] and "deploy-dev" in started(site)[0]
    )
    good = {one["digest"]: one["good"] for one in site.read_record("dev")["releases"]}
    assert good == {IMAGE: False, OLD: True, OLDER: True}


def test_a_rollback_that_was_cut_short_finds_the_same_image_again(site):
    site.record("dev", IMAGE, OLD, OLDER)
    site.fault("triggers run", code=1, stderr="ERROR: network\n")
    site.refused(1, "rollback", "dev")
    site.ok("rollback", "dev")
    assert f"_IMAGE={OLD}," in started(site)[-1]


def test_a_second_rollback_goes_one_further_back(site):
    site.record("dev", IMAGE, OLD, OLDER)
    site.ok("rollback", "dev")
    site.ok("image", "dev", "--image", OLD)
    for step in ("plan", "apply-platform", "migrate", "apply-services"):
        site.ok(step, "dev", _ACCEPT_DRIFT="yes")
    (site.clone / ".deploy/dev/smoke.json").write_text(json.dumps({"image": OLD}))
    site.ok("promote", "dev", _PROMOTE="no")
    site.ok("rollback", "dev")
    assert f"_IMAGE={OLDER}," in started(site)[-1]


def test_rollback_of_prod_saves_a_plan_to_be_approved(site):
    site.record("prod", IMAGE, OLD)
    site.put("drifted.json", ["services"])
    site.ok("rollback", "prod")
    plan = next((site.home / "buckets/acme-build-plans/prod").iterdir())
    assert f"_PLAN={plan.name}," in started(site)[0] and f"_IMAGE={OLD}," in started(site)[0]
    assert not [line for line in site.lines("tofu") if " apply " in line]


def test_rollback_of_a_canary_returns_to_what_serves(site):
    site.record("dev", OLD, OLDER, canary=IMAGE)
    site.ok("rollback", "dev")
    assert f"_IMAGE={OLD}," in started(site)[0]
    assert all(one["good"] for one in site.read_record("dev")["releases"])


def test_rollback_without_an_earlier_image_says_so(site):
    site.record("dev", IMAGE)
    assert "--to DIGEST" in site.refused(17, "rollback", "dev")
    site.refused(12, "rollback", "dev", "--to", "latest")
    assert not started(site)


def test_pause_and_resume_change_the_variable_and_nothing_else(site):
    site.record("dev", IMAGE)
    site.ok("pause", "dev")
    assert site.read_record("dev")["paused"]
    site.ok("resume", "dev")
    assert site.read_record("dev")["paused"] is None
    plans = [line for line in site.lines("tofu") if "opentofu/services plan" in line]
    assert [
        f"-var=image={IMAGE} -var=paused={word}" in plan for plan, word in zip(plans, ("true", "false"), strict=True)
    ] == [True] * 2
    assert not [line for line in site.lines("tofu") if "opentofu/platform plan" in line]


def test_a_pause_from_a_clone_that_is_not_what_serves_is_refused(site):
    site.record("dev", IMAGE)
    site.put("services.changes.json", [["module.front.google_compute_url_map.front", ["create"]]])
    words = site.refused(9, "pause", "dev")
    assert f"git checkout {site.git('rev-parse', 'HEAD')}" in words
    assert not [line for line in site.lines("tofu") if " apply " in line] and not site.read_record("dev")["paused"]


def test_a_pause_that_was_cut_short_holds_and_is_ended_by_a_second_run(site):
    site.record("dev", IMAGE)
    site.fault("opentofu/services apply", code=1, stderr="Error: network\n")
    site.refused(1, "pause", "dev")
    assert site.read_record("dev")["paused"]
    # The time that it says is that of its beginning, and of this machine's clock: nothing is counted from it.
    assert "./deploy pause dev" in site.refused(17, "after-restore", "dev")
    site.ok("pause", "dev")
    site.ok("after-restore", "dev")
    (site.home / "services.applied.json").unlink()
    site.fault("opentofu/services apply", code=1, stderr="Error: network\n")
    site.refused(1, "pause", "dev")
    assert "./deploy pause dev" in site.refused(17, "resume", "dev")


def test_after_restore_runs_only_while_paused(site):
    site.record("dev", IMAGE)
    assert "./deploy pause dev" in site.refused(17, "after-restore", "dev")
    assert not site.lines("gcloud run jobs")
    site.ok("pause", "dev")
    site.ok("after-restore", "dev")
    assert site.lines("gcloud run jobs")[0].endswith("--args=after-restore")


def test_resume_after_a_restore_waits_for_the_leases_of_before(site):
    now = datetime.datetime.now(datetime.timezone.utc)
    site.record("dev", IMAGE, paused=(now - datetime.timedelta(seconds=300)).isoformat(), restored=True)
    words = site.refused(17, "resume", "dev")
    assert "./deploy resume dev" in words and not site.lines("tofu")
    site.record("dev", IMAGE, paused=(now - datetime.timedelta(seconds=361)).isoformat(), restored=True)
    site.ok("resume", "dev")
    assert site.read_record("dev")["restored"] is False


def test_teardown_deletes_functions_of_a_project_that_was_typed_in_full(site):
    site.record("dev", IMAGE)
    site.refused(4, "teardown", "dev", "acme-prod", project="acme-dev")
    site.refused(2, "teardown", "prod", "acme-prod")
    assert not [line for line in site.lines("tofu") if " destroy " in line]
    assert "gcloud projects delete acme-dev" in site.ok("teardown", "dev", "acme-dev").stderr
    destroyed = [line for line in site.lines("tofu") if " destroy " in line]
    assert len(destroyed) == 1 and "opentofu/services" in destroyed[0]


def secret(site, name: str) -> list:
    path = site.home / f"secret.{name.lower().replace('_', '-')}.json"
    return json.loads(path.read_text()) if path.exists() else []


def test_keys_are_drawn_once_and_stand_in_no_argument_and_no_line(site):
    first = site.ok("keys", "dev")
    second = site.ok("keys", "dev", "draw")
    drawn = secret(site, "HANDLE_KEY") + secret(site, "LICENSE_PEPPER")
    assert len(drawn) == 2 and all(value.startswith("1:") and len(value) == 45 for value in drawn)
    assert drawn[0] != drawn[1]
    everything = "".join(call["line"] for call in site.calls()) + first.stdout + first.stderr + second.stderr
    assert not [value for value in drawn if value[2:] in everything]
    assert not [path for path in site.clone.rglob("*") if path.is_file() and drawn[0][2:].encode() in path.read_bytes()]


def test_a_key_is_replaced_in_the_order_of_operating(site):
    site.ok("keys", "dev")
    old = secret(site, "HANDLE_KEY")[0]
    for _ in range(2):
        site.ok("keys", "dev", "next", "HANDLE_KEY")
    waiting = secret(site, "HANDLE_KEY_PREVIOUS")
    assert len(waiting) == 1 and waiting[0].startswith("2:") and secret(site, "HANDLE_KEY") == [old]
    for _ in range(2):
        site.ok("keys", "dev", "swap", "HANDLE_KEY")
    assert secret(site, "HANDLE_KEY") == [old, waiting[0]]
    assert secret(site, "HANDLE_KEY_PREVIOUS") == [waiting[0], old]


def test_an_exchange_of_keys_that_was_cut_short_is_mended(site):
    site.ok("keys", "dev")
    site.ok("keys", "dev", "next", "LICENSE_PEPPER")
    old, new = secret(site, "LICENSE_PEPPER")[0], secret(site, "LICENSE_PEPPER_PREVIOUS")[0]
    site.fault("versions add license-pepper-previous", code=1, stderr="ERROR: network\n")
    site.refused(1, "keys", "dev", "swap", "LICENSE_PEPPER")
    assert secret(site, "LICENSE_PEPPER") == [old, new] and secret(site, "LICENSE_PEPPER_PREVIOUS") == [new]
    site.ok("keys", "dev", "swap", "LICENSE_PEPPER")
    assert secret(site, "LICENSE_PEPPER_PREVIOUS") == [new, old]


def test_the_license_key_of_the_smoke_test_comes_from_standard_input(site):
    assert "standard input" in site.refused(2, "keys", "dev", "canary", feed="")
    for key in ("CODI-AAAAA", "CODI-BBBBB"):
        done = site.ok("keys", "dev", "canary", feed=f"{key}\n")
        assert key not in done.stderr
    assert secret(site, "CANARY_LICENSE_KEY") == ["CODI-AAAAA", "CODI-BBBBB"]
    assert len(site.lines("gcloud secrets create")) == 1
    granted = site.lines("gcloud secrets add-iam-policy-binding")[0]
    assert "serviceAccount:deploy-dev@acme-build.iam.gserviceaccount.com" in granted
    assert not [line for line in site.lines() if "CODI" in line]


@pytest.mark.parametrize("wrong", ["", "mail.example.com", "file:///tmp/mail", "smtps://", "smtps://a:b@host\nsmtp://c"])
def test_what_is_no_mail_server_is_not_kept(site, wrong):
    assert "standard input" in site.refused(2, "keys", "dev", "mail", feed=wrong)
    assert not site.lines("gcloud secrets versions add")


def test_the_mail_server_comes_from_standard_input_and_is_told_by_its_number(site):
    for password, version in (("one", 1), ("one", 1), ("two", 2)):
        done = site.ok("keys", "dev", "mail", feed=f"smtps://someone:{password}@mail.example.com\n")
        assert f"MAIL_URL has the version {version}." in done.stderr and "someone" not in done.stderr + done.stdout
    assert len(secret(site, "MAIL_URL")) == 2
    assert not [line for line in site.lines() if "someone" in line]


def test_keys_says_what_must_come_before(site):
    site.refused(17, "keys", "dev", "next", "HANDLE_KEY")
    site.refused(2, "keys", "dev", "swap")
    site.ok("keys", "dev")
    site.refused(17, "keys", "dev", "swap", "HANDLE_KEY")


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_firstday_lists_facts_with_their_way_back(site, name):
    text = site.ok("firstday", name).stdout
    assert text.count("check:") == text.count("if not:") >= 10 and "{" not in text.replace("{ ", "").replace("{{", "")


# --- a region that is lost --------------------------------------------------------------------------------------------

SEATS = ["module.seats.google_memorystore_instance.seats", 'module.seats.google_project_iam_member.user["a acquire"]']
OTHERS = ["module.seats_of_others.x", 'module.records.google_sql_database_instance.records["a"]', "module.network.x"]


def test_what_is_in_a_lost_region_is_taken_out_of_the_state_and_nothing_else(site):
    site.put("platform.addresses.json", [*SEATS, *OTHERS])
    records = "module.records.google_sql_database_instance.records"
    words = site.ok("forget", "dev", "platform", "module.seats", f'{records}["a"]').stderr
    assert "3 resources less" in words and "still there" in words
    (removed,) = site.lines("tofu -chdir=opentofu/platform state rm")
    assert removed.endswith(" ".join([*SEATS, OTHERS[1]])) and "-lock-timeout=" in removed
    assert not [line for line in site.lines("tofu") if " apply " in line or " destroy " in line]
    # Once more, as after a run that was cut short.
    assert "nothing of it any more" in site.ok("forget", "dev", "platform", "module.seats").stderr
    assert len(site.lines("tofu -chdir=opentofu/platform state rm")) == 1


def test_a_pause_of_a_lost_region_asks_nothing_of_it_and_holds_for_what_is_deployed_elsewhere(site):
    site.record("dev", IMAGE, canary=OLD)
    assert "nothing was stopped" in site.ok("pause", "dev", "--region-lost").stderr
    assert not site.lines("tofu") and not site.lines("gcloud run")
    paused = site.read_record("dev")["paused"]
    assert paused and not site.read_record("dev").get("canary")
    site.ok("image", "dev", "--image", IMAGE)
    site.ok("plan", "dev")
    assert "-var=paused=true" in site.lines("tofu -chdir=opentofu/services plan")[-1]
    site.ok("after-restore", "dev")
    # As after every restore: clients may believe in leases of before.
    assert "by Google's clock" in site.refused(17, "resume", "dev")


def test_where_nothing_ever_served_a_lost_region_is_no_pause(site):
    assert "nothing to pause" in site.refused(17, "pause", "dev", "--region-lost")


def test_a_root_that_is_not_there_is_refused_before_anything_is_asked_of_it(site):
    words = site.refused(2, "forget", "dev", "stores", "module.seats")
    assert "platform, services" in words and not site.lines("tofu")
