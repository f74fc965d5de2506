"""What a tired person may not do: each with its message and its exit code, and nothing changed."""

import json

import pytest
from conftest import BUILT, IMAGE, JOB_UPDATE, OLD


def changed(site) -> list:
    """The calls that change something in the cloud."""
    words = (" apply ", "jobs execute", "triggers run", "storage cp", "secrets versions add", "destroy", "force-unlock")
    return [line for line in site.lines() if any(word in f"{line} " for word in words)]


# Every verb that asks something of an environment, and what has to be said besides.
VERBS = {
    **dict.fromkeys(("image", "plan", "apply-platform", "migrate", "apply-services", "smoke", "promote", "start"), ()),
    **dict.fromkeys(("rollback", "pause", "resume", "after-restore", "keys", "inventory", "front"), ()),
    "unlock": ("platform", "1732"),
    "forget": ("services", "module.function"),
    "teardown": ("acme-prod",),
}
# It only prints what is in the clone.
ASKS_NOTHING = {"firstday"}


@pytest.mark.parametrize("verb", VERBS)
def test_another_project_is_refused_before_anything(site, verb):
    words = site.refused(4, verb, "prod", *VERBS[verb], project="acme-dev")
    assert "acme-dev" in words and "acme-prod" in words and "gcloud config set project acme-prod" in words
    assert site.lines() == ["gcloud config get-value project"]


def test_every_verb_of_an_environment_is_tried_in_another_project(site):
    verbs = site.piece("command_line").VERBS
    # The smoke test may be pointed at an address too.
    of_environments = {name for name, verb in verbs.items() if verb.environment} | {"smoke"}
    assert of_environments == VERBS.keys() | ASKS_NOTHING


def test_a_build_runs_in_the_project_that_builds(site):
    site.refused(4, "image", "dev", project="acme-dev", BUILD_ID="1", _IMAGE=IMAGE)
    site.ok("image", "dev", project="acme-build", BUILD_ID="1", _IMAGE=IMAGE)


@pytest.mark.parametrize("name", ["staging", "prod"])
def test_edited_files_are_refused_where_it_matters(site, name):
    site.ok("image", name, "--image", IMAGE)
    (site.clone / "opentofu/environments/staging/services.tfvars").write_text("edited = 1\n")
    words = site.refused(7, "plan", name)
    assert "services.tfvars" in words and "git stash" in words
    assert not site.lines("tofu")


def test_edited_files_are_named_in_dev_and_deployed(site):
    site.ok("image", "dev", "--image", IMAGE)
    (site.clone / "new.txt").write_text("x")
    assert "new.txt" in site.ok("plan", "dev").stderr


def test_prod_applies_no_plan_that_was_not_saved_and_approved(site):
    site.ok("image", "prod", "--image", IMAGE)
    assert "Plan first" in site.refused(9, "apply-platform", "prod")
    site.ok("plan", "prod")
    for verb in ("apply-platform", "migrate", "apply-services"):
        assert "saved and approved" in site.refused(9, verb, "prod")
    assert not [line for line in site.lines("tofu") if " apply " in line]


@pytest.mark.parametrize("what", ["image", "commit"])
def test_a_plan_of_another_image_or_commit_is_refused(site, what):
    site.ok("image", "prod", "--image", IMAGE)
    site.ok("plan", "prod", BUILD_ID="p1", project="acme-build")
    if what == "image":
        site.ok("image", "prod", "--image", BUILT)
    else:
        site.git("commit", "--quiet", "--allow-empty", "--message", "second")
    assert f"is of the {what}" in site.refused(9, "plan", "prod", "--plan", "p1")
    assert "Plan first" in site.refused(9, "apply-platform", "prod")


def test_a_stale_plan_is_refused_and_a_new_one_mends_it(site):
    site.planned("dev")
    (site.home / "platform.serial").write_text("1")
    assert "Plan again" in site.refused(9, "apply-platform", "dev")
    site.ok("plan", "dev")
    site.ok("apply-platform", "dev")


@pytest.mark.parametrize(
    ("root", "address", "actions", "says"),
    [
        ("platform", 'module.records.google_sql_database_instance.instance["a"]', ["delete"], "deletes"),
        ("platform", "module.records.google_sql_database_instance.instance", ["delete", "create"], "replaces"),
        ("platform", "module.seats.google_memorystore_instance.seats", ["create", "delete"], "replaces"),
        ("platform", "module.seats.google_memorystore_instance.seats", ["delete"], "deletes"),
        ("platform", "module.seats.google_memorystore_instance.seats", ["forget"], "deletes"),
        ("platform", "module.identity.google_identity_platform_config.customers", ["delete", "create"], "replaces"),
        ("platform", "module.identity.google_identity_platform_config.customers", ["delete"], "deletes"),
        ("platform", 'module.secrets["x"].google_secret_manager_secret.secret', ["delete"], "deletes"),
        ("platform", "module.signer.google_kms_crypto_key.root", ["delete"], "deletes"),
        ("services", "module.signer.google_kms_crypto_key.root", ["forget"], "deletes"),
    ],
)
def test_a_plan_that_deletes_data_or_keys_is_refused(site, root, address, actions, says):
    site.put(f"{root}.changes.json", [JOB_UPDATE, [address, actions]])
    site.ok("image", "dev", "--image", IMAGE)
    words = site.refused(8, "plan", "dev")
    assert f"{says} {address}" in words
    assert "Plan first" in site.refused(9, "apply-platform", "dev")


def test_what_holds_nothing_may_be_deleted(site):
    site.put(
        "platform.changes.json",
        [
            ["module.recordings.google_pubsub_topic.topic", ["delete"]],
            ["module.records.google_sql_database_instance.a", ["update"]],
        ],
    )
    site.planned("dev")


def test_a_deletion_that_is_named_is_allowed_but_never_one_of_the_signer(site):
    old, key = "module.records.google_sql_database_instance.old", "module.signer.google_kms_crypto_key.root"
    site.put("platform.changes.json", [[old, ["delete"]]])
    site.ok("image", "dev", "--image", IMAGE)
    site.ok("plan", "dev", "--allow-delete", old)
    site.put("platform.changes.json", [[old, ["delete"]], [key, ["delete"]]])
    assert key in site.refused(8, "plan", "dev", "--allow-delete", old, "--allow-delete", key)


def test_a_saved_plan_is_read_again_for_deletions(site):
    """Whoever may write to the bucket of plans may not delete the records by it."""
    site.ok("image", "prod", "--image", IMAGE)
    site.ok("plan", "prod", BUILD_ID="p1", project="acme-build")
    saved = site.home / "buckets/acme-build-plans/prod/p1/platform.plan"
    saved.write_text('{"serial": 0, "changes": [["module.records.google_sql_database.a", ["delete"]]]}')
    site.refused(8, "plan", "prod", "--plan", "p1")
    site.refused(9, "apply-platform", "prod")


def test_platform_changes_beside_service_changes_stop_in_prod(site):
    site.record("prod", OLD)
    site.put("platform.changes.json", [JOB_UPDATE, ["module.project.google_project_service.kms", ["create"]]])
    site.ok("image", "prod", "--image", IMAGE)
    words = site.refused(10, "plan", "prod")
    assert "Deploy platform changes on their own first" in words and "--only platform" in words
    # On their own they go, with the image that serves: no new version of migrate by the way.
    site.forget_calls()
    site.ok("plan", "prod", "--only", "platform", BUILD_ID="p1", project="acme-build")
    assert [line for line in site.lines("tofu") if f"-var=image={OLD}" in line]
    assert not [line for line in site.lines("tofu") if "-out=.deploy/prod/services.plan" in line]
    # What approves starts the pipeline with the image of the plan: nothing is built for it.
    site.ok("start", "prod", "--plan", "p1", "--only", "platform")
    started = site.lines("gcloud builds triggers run")[0]
    assert f"_IMAGE={OLD},_PLAN=p1,_ONLY=platform" in started
    for step in ("image", "plan", "apply-platform", "migrate", "apply-services", "smoke", "promote"):
        site.ok(step, "prod", project="acme-build", BUILD_ID="p2", _IMAGE=OLD, _PLAN="p1", _ONLY="platform")
    applied = [line for line in site.lines("tofu") if " apply " in line]
    assert len(applied) == 1 and "opentofu/platform" in applied[0]


def test_platform_changes_alone_need_no_detour(site):
    site.record("prod", OLD)
    site.put("platform.changes.json", [["module.project.google_project_service.kms", ["create"]]])
    site.put("services.changes.json", [])
    site.ok("image", "prod", "--image", OLD)
    site.ok("plan", "prod")


@pytest.mark.parametrize("name", ["dev", "staging"])
def test_platform_and_services_change_together_elsewhere(site, name):
    site.put("platform.changes.json", [["module.project.google_project_service.kms", ["create"]]])
    site.planned(name)


@pytest.mark.parametrize("root", ["platform", "services"])
def test_drift_is_told_in_dev_and_refused_elsewhere(site, root):
    site.put("drifted.json", [root])
    for name in ("dev", "staging"):
        site.ok("image", name, "--image", IMAGE)
    named = f"module.{root}.google_monitoring_dashboard.board (text)"
    assert f"undoes it: {named}." in site.ok("plan", "dev").stderr
    words = site.refused(16, "plan", "staging")
    assert f"this repository: {named}." in words and "--accept-drift" in words
    site.ok("plan", "staging", "--accept-drift")
    site.ok("plan", "staging", _ACCEPT_DRIFT="yes")


LOCK = """Error: Error acquiring the state lock

Lock Info:
  ID:        1732
  Path:      gs://acme-build-state/dev/default.tflock
  Who:       ada@laptop
  Created:   2026-11-28 03:12:00 UTC
"""


def test_a_second_deploy_at_once_is_told_who_holds_the_lock(site):
    site.planned("dev")
    site.fault("opentofu/platform apply", code=1, stderr=LOCK)
    words = site.refused(6, "apply-platform", "dev")
    assert "ada@laptop" in words and "since 2026-11-28 03:12:00 UTC" in words
    assert "./deploy unlock ENVIRONMENT platform 1732" in words
    site.ok("unlock", "dev", "platform", "1732")
    # As tofu says it of a lock that is gone: by the first run of this, which was cut short, or by its owner.
    gone = "Failed to unlock state: * googleapi: Error 404: No such object: b/dev/default.tflock, notFound"
    site.fault("force-unlock", code=1, stderr=f"Error: {gone} * storage: object doesn't exist\n")
    assert "no such lock any more" in site.ok("unlock", "dev", "platform", "1732").stderr
    site.fault("force-unlock", code=1, stderr="Error: Failed to unlock state: network\n")
    site.refused(1, "unlock", "dev", "platform", "1732")
    assert [line for line in site.lines("tofu") if "force-unlock -force -no-color 1732" in line]
    site.ok("apply-platform", "dev")


@pytest.mark.parametrize(
    ("match", "words", "verb", "says"),
    [
        (
            "opentofu/platform apply",
            "Error 403: Permission 'cloudsql.instances.update' denied on resource",
            "apply-platform",
            "cloudsql.instances.update",
        ),
        (
            "storage objects",
            "ERROR: HTTPError 403: x does not have storage.objects.get access, forbidden",
            "plan",
            "storage.objects.get",
        ),
        ("storage objects", "ERROR: (gcloud.storage.cat) PERMISSION_DENIED: no", "plan", "a right"),
        (
            "storage objects",
            "ERROR: Reauthentication failed. Please run: gcloud auth login",
            "plan",
            "gcloud auth login",
        ),
    ],
)
def test_a_missing_right_is_named(site, match, words, verb, says):
    site.planned("dev")
    site.fault(match, code=1, stderr=words + "\n")
    assert says in site.refused(5, verb, "dev")


def test_a_right_that_the_job_lacks_is_no_failed_migration(site):
    site.planned("dev")
    site.ok("apply-platform", "dev")
    site.fault("jobs execute", code=1, stderr="ERROR: PERMISSION_DENIED: Permission 'run.jobs.run' denied\n")
    assert "run.jobs.run" in site.refused(5, "migrate", "dev")


@pytest.mark.parametrize(
    "image",
    [
        "us-docker.pkg.dev/acme-build/images/functions:latest",
        "docker.io/evil/functions@sha256:" + "a" * 64,
        IMAGE[:-1],
    ],
)
def test_an_image_that_is_not_ours_by_its_digest_is_refused(site, image):
    site.refused(12, "image", "dev", "--image", image)
    assert "No image was chosen" in site.refused(12, "plan", "dev")


def test_an_image_that_the_pipeline_did_not_make_is_refused(site):
    site.fault("attestations list", stdout="[]")
    assert "no attestation" in site.refused(12, "image", "dev", "--image", IMAGE)
    site.fault("images describe", code=1, stderr="ERROR: Image not found\n")
    assert "not in the registry" in site.refused(12, "image", "dev", "--image", IMAGE)


def test_a_missing_program_and_wrong_words_have_their_own_codes(site):
    (site.programs / "tofu").unlink()
    site.ok("image", "dev", "--image", IMAGE)
    assert "tofu is not on this machine" in site.refused(3, "plan", "dev")
    site.refused(2, "plan")
    site.refused(2, "plan", "production")
    site.refused(2, "plam", "dev")
    (site.clone / "opentofu/environments/dev/platform.tfvars").write_text("# nothing\n")
    assert "project" in site.refused(2, "plan", "dev")
    assert not changed(site)


def test_a_failing_program_is_a_failure_of_its_own_kind(site):
    site.planned("dev")
    site.fault("opentofu/platform apply", code=1, stderr="Error: quota exceeded\n")
    words = site.refused(1, "apply-platform", "dev")
    assert "quota exceeded" in words and "exit code 1" in words
    assert site.deploy("apply-services", "dev").returncode == 17


def test_a_host_that_is_not_found_is_not_a_record_that_is_not_there(site):
    """A record that was taken for missing would be written anew, without the releases in it."""
    site.record("dev", OLD)
    site.planned()
    for step in ("apply-platform", "migrate", "apply-services"):
        site.ok(step, "dev")
    (site.clone / ".deploy/dev/smoke.json").write_text(json.dumps({"image": IMAGE}))
    site.fault("storage cat", code=1, stderr="ERROR: storage.googleapis.com: Name or service not found\n")
    site.refused(1, "promote", "dev")
    assert site.read_record("dev")["releases"][0]["digest"] == OLD
    site.ok("promote", "dev")
    assert [one["digest"] for one in site.read_record("dev")["releases"]] == [IMAGE, OLD]
