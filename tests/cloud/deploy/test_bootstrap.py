"""What exists once for all environments: made in order, and taken up again where a run was cut short."""

import json
import re

import pytest
from conftest import REPOSITORY

STATE = {"version": 4}


def bootstrap(site, **more):
    return site.deploy("bootstrap", project="acme-build", **more)


def nothing_there(site):
    """No bucket yet; the first apply leaves a state beside the code, as tofu does."""
    site.fault("buckets describe", code=1, stderr="ERROR: (gcloud.storage.buckets.describe) gs://acme-build-state not found: 404.\n")


def root_words(site) -> list:
    return [line.split()[2] for line in site.lines("tofu") if "opentofu/bootstrap" in line]


def test_the_state_is_moved_into_the_bucket_that_the_first_apply_makes(site):
    nothing_there(site)
    assert bootstrap(site).returncode == 0
    assert root_words(site) == ["init", "plan", "show", "apply", "init", "init", "plan", "show", "apply"]
    inits = [line for line in site.lines("tofu") if "opentofu/bootstrap init" in line]
    assert "-migrate-state" in inits[1] and "-backend-config=bucket=acme-build-state" in inits[1]
    assert not (site.clone / "opentofu/bootstrap/backend_override.tf").exists()
    assert (site.clone / "opentofu/bootstrap/terraform.tfstate.moved").exists()


# The account of Google that is given a right there, and what makes it: it does not exist before.
MAKES = {
    "gs-project-accounts": ["gcloud storage service-agent --project=acme-build"],
    "serverless-robot-prod": [
        f"gcloud beta services identity create --service=run.googleapis.com --project=acme-{name}"
        for name in ("dev", "staging", "prod")
    ],
    "gcp-sa-binaryauthorization": [
        f"gcloud beta services identity create --service=binaryauthorization.googleapis.com --project=acme-{name}"
        for name in ("dev", "staging", "prod")
    ],
}


def test_every_account_of_google_that_is_given_a_right_is_made_before_the_first_apply(site):
    """Its interface is switched on before, in the project that it belongs to."""
    nothing_there(site)
    assert bootstrap(site).returncode == 0
    lines = site.lines()
    first_apply = next(at for at, line in enumerate(lines) if "opentofu/bootstrap apply" in line)
    code = "".join(path.read_text() for path in (REPOSITORY / "opentofu/modules/pipeline").glob("*.tf"))
    agents = set(re.findall(r"service-\$\{[^}]*\}@([a-z-]+)\.iam", code))
    assert agents == set(MAKES)
    for agent in agents:
        for line in MAKES[agent]:
            made = lines.index(line)
            assert made < first_apply, agent
            project = line.rpartition("=")[2]
            enabled = [
                at
                for at, one in enumerate(lines)
                if one.startswith("gcloud services enable ") and one.endswith(f"--project={project}")
            ]
            assert len(enabled) == 1 and enabled[0] < made
            service = re.search(r"--service=(\S+)", line)
            assert (service.group(1) if service else "storage.googleapis.com") in lines[enabled[0]]


def test_every_interface_that_gcloud_asks_of_the_project_that_builds_is_switched_on_in_it(site):
    """gcloud counts what the pipeline asks of another project for the one that it is set to."""
    assert bootstrap(site).returncode == 0
    enabled = next(line for line in site.lines("gcloud services enable") if line.endswith("acme-build"))
    root = (REPOSITORY / "opentofu/bootstrap/bootstrap.tf").read_text()
    first = set(re.findall(r'"(\w+)\.googleapis\.com"', root[: root.index("]")]))
    asked = {"logging", "run", "secretmanager", "serviceusage"}
    assert len(first) > 5 and first | asked <= set(re.findall(r"(\w+)\.googleapis\.com", enabled))


def test_a_second_run_leaves_everything_as_it_is(site):
    assert bootstrap(site).returncode == 0
    assert not [line for line in site.lines("tofu") if "-migrate-state" in line]
    assert not site.lines("gcloud builds submit")


def test_a_run_that_was_cut_short_before_the_move_goes_on_with_the_local_state(site):
    """The bucket exists already: its emptiness must not be taken for an environment without anything in it."""
    (site.clone / "opentofu/bootstrap/terraform.tfstate").write_text(json.dumps(STATE))
    site.fault("opentofu/bootstrap apply", code=1, stderr="Error: network\n")
    assert bootstrap(site).returncode == 1
    assert "terraform.tfstate" in {path.name for path in (site.clone / "opentofu/bootstrap").iterdir()}
    assert bootstrap(site).returncode == 0
    inits = [line for line in site.lines("tofu") if "opentofu/bootstrap init" in line]
    assert "-backend-config" not in inits[1] and "-migrate-state" in inits[2]


@pytest.mark.parametrize(
    ("words", "code"),
    [("ERROR: connection timed out\n", 1), ("ERROR: 403 forbidden: permission denied\n", 5), ("", 1)],
    ids=["network", "right", "killed"],
)
def test_no_answer_about_the_bucket_is_not_taken_for_no_bucket(site, words, code):
    """The second time it is asked: a run that went on would make an empty state, and leave its backend behind."""
    site.fault("buckets describe", code=1, stderr="ERROR: (gcloud.storage.buckets.describe) gs://acme-build-state not found: 404.\n")
    site.fault("buckets describe", code=1, stderr=words)
    assert bootstrap(site).returncode == code
    files = {path.name for path in (site.clone / "opentofu/bootstrap").iterdir()}
    assert "backend_override.tf" not in files and "terraform.tfstate" not in files
    assert root_words(site).count("apply") == 1
    assert bootstrap(site).returncode == 0
    assert not (site.clone / "opentofu/bootstrap/backend_override.tf").exists()


def test_a_bucket_that_vanished_with_the_state_in_it_is_told(site):
    nothing_there(site)
    assert bootstrap(site).returncode == 0
    nothing_there(site)
    done = bootstrap(site)
    assert done.returncode == 17 and "terraform.tfstate.moved" in done.stderr


def test_the_images_of_the_steps_are_built_where_the_registry_has_none_and_pinned(site):
    for name in ("builder", "cloud"):
        site.fault(f"images list .*/{name} ", stdout="\n", times=2)
    assert bootstrap(site).returncode == 0
    built = site.lines("gcloud builds submit")
    assert len(built) == 2 and "_TARGET=builder," in built[0] and ".ci/steps.yaml" in built[0]
    pinned = json.loads((site.clone / "opentofu/bootstrap/steps.auto.tfvars.json").read_text())["steps"]
    assert pinned["cloud"] == "us-docker.pkg.dev/acme-build/images/cloud@sha256:" + "c" * 64
    assert (REPOSITORY / ".ci/steps.yaml").exists()


def test_the_source_of_a_build_goes_where_the_builder_may_read_it(site):
    site.fault("images list .*/builder ", stdout="\n", times=2)
    assert bootstrap(site).returncode == 0
    assert " --gcs-source-staging-dir=gs://acme-build-source/source " in site.lines("gcloud builds submit")[0]
    site.ok("image", "dev")
    assert " --gcs-source-staging-dir=gs://acme-build-source/source " in site.lines("gcloud builds submit")[-1]


def test_images_that_are_in_the_registry_are_built_anew_where_that_is_asked_for(site):
    assert bootstrap(site).returncode == 0
    assert site.deploy("bootstrap", "--rebuild", project="acme-build").returncode == 0
    assert ["_TARGET=builder," in line for line in site.lines("gcloud builds submit")] == [True, False]


def test_the_triggers_keep_the_images_of_their_steps_where_another_machine_bootstraps(site):
    """The file with the digests is on the machine of the first run alone: git ignores it."""
    pinned = site.clone / "opentofu/bootstrap/steps.auto.tfvars.json"
    site.fault("opentofu/bootstrap apply", code=1, stderr="Error: network\n")
    assert bootstrap(site).returncode == 1
    assert set(json.loads(pinned.read_text())["steps"]) == {"builder", "cloud"}


def test_no_answer_of_the_registry_is_not_taken_for_no_image(site):
    site.fault("images list", code=1, stderr="ERROR: connection timed out\n")
    assert bootstrap(site).returncode == 1
    assert not root_words(site)


def test_a_registry_that_names_no_digest_is_refused(site):
    site.fault("images list", stdout="latest\n")
    assert bootstrap(site).returncode == 12


def test_nothing_of_it_is_ever_deleted(site):
    site.put("bootstrap.changes.json", [["google_storage_bucket.state", ["delete"]]])
    done = bootstrap(site)
    assert done.returncode == 8 and "google_storage_bucket.state" in done.stderr
    assert "apply" not in root_words(site)


def test_another_project_is_refused(site):
    done = site.deploy("bootstrap", project="acme-dev")
    assert done.returncode == 4 and "gcloud projects create acme-build" in done.stderr
    assert site.lines() == ["gcloud config get-value project"]
