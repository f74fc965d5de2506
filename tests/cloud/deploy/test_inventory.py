"""./deploy inventory: everything that opentofu makes is listed, or it is said here why not."""

import re
import sys

import pytest
from conftest import IMAGE, OLD, REPOSITORY

sys.path.insert(0, str(REPOSITORY / "deploy.d"))
from inventory import BUILD_LISTS, LISTS  # noqa: E402 - the path comes first

TYPE = re.compile(r'^resource "google_([a-z0-9_]+)"', re.MULTILINE)
RIGHT = re.compile(r"_iam_(?:member|binding|policy|custom_role|audit_config)$")
RIGHTS = "rights are asked for by whom they are given to: gcloud projects get-iam-policy"
WITH = "it stands and falls with {}, which is listed"
# Types without a list of their own, each with its reason.
UNLISTED = {
    "billing_budget": "it belongs to the billing account and costs nothing",
    "binary_authorization_policy": "each project has one, and an image that it refuses is told by the deploy",
    "certificate_manager_certificate_map": WITH.format("certificates"),
    "certificate_manager_certificate_map_entry": WITH.format("certificates"),
    "certificate_manager_dns_authorization": WITH.format("certificates"),
    "compute_region_network_endpoint_group": WITH.format("backends of the front"),
    "compute_ssl_policy": WITH.format("entries of the front"),
    "compute_target_http_proxy": WITH.format("entries of the front"),
    "compute_target_https_proxy": WITH.format("entries of the front"),
    "compute_url_map": WITH.format("entries of the front"),
    "dns_record_set": "its zone belongs to whoever owns the domain, in a project of its own",
    "identity_platform_config": "each project has one, and gcloud has no list of it",
    "identity_platform_default_supported_idp_config": "gcloud has no list of it; the plan reads it",
    "logging_project_exclusion": "it holds nothing; gcloud has no list of it apart from the sink's",
    "monitoring_custom_service": "gcloud has no list of it, and it is shown in the dashboard",
    "monitoring_notification_channel": "it is in the alerts, and holds addresses of people",
    "monitoring_slo": "gcloud has no list of it, and it is shown in the dashboard",
    "project_service": "an enabled service costs nothing; gcloud services list shows some thirty of Google's own",
    "project_service_identity": "Google's own account, which is in no list of the project's accounts",
    "service_networking_connection": WITH.format("addresses"),
    "sql_database": WITH.format("PostgreSQL"),
    "sql_user": WITH.format("PostgreSQL"),
}


def made() -> set:
    files = [path for path in (REPOSITORY / "opentofu").rglob("*.tf") if ".terraform" not in path.parts]
    return {kind for path in files for kind in TYPE.findall(path.read_text("utf-8"))}


def listed() -> set:
    return {kind for _, kinds, _ in (*LISTS, *BUILD_LISTS) for kind in kinds}


def faults(types: set, lists: set, unlisted: dict) -> list:
    """What is neither listed nor left out for a reason, and what is said of a type that is not made."""
    needed = {kind for kind in types if not RIGHT.search(kind)}
    return (
        [f"{kind} is made and not listed" for kind in sorted(needed - lists - set(unlisted))]
        + [f"{kind} is listed and not made" for kind in sorted(lists - needed)]
        + [f"{kind} is left out and not made" for kind in sorted(set(unlisted) - needed)]
        + [f"{kind} is listed and left out" for kind in sorted(set(unlisted) & lists)]
    )


def test_every_type_that_opentofu_makes_is_listed_or_left_out_for_a_reason():
    assert len(made()) > 50
    assert faults(made(), listed(), UNLISTED) == []


@pytest.mark.parametrize(
    ("more", "lists", "unlisted", "fault"),
    [
        ({"redis_cluster"}, set(), {}, "redis_cluster is made and not listed"),
        (set(), {"redis_cluster"}, {}, "redis_cluster is listed and not made"),
        (set(), set(), {"redis_cluster": RIGHTS}, "redis_cluster is left out and not made"),
        (set(), {"sql_user"}, {}, "sql_user is listed and left out"),
    ],
)
def test_a_planted_difference_is_named(more, lists, unlisted, fault):
    assert faults(made() | more, listed() | lists, {**UNLISTED, **unlisted}) == [fault]


def test_the_names_in_the_lists_are_those_of_the_signer():
    signer = "".join(path.read_text("utf-8") for path in (REPOSITORY / "opentofu/modules/signer").glob("*.tf"))
    ring = re.search(r'variable "name" \{.*?default\s*=\s*"(\w+)"', signer, re.DOTALL).group(1)
    key = re.search(r'resource "google_kms_crypto_key" "\w+" \{\s+name\s*=\s*"(\w+)"', signer).group(1)
    words = next(words for title, _, words in LISTS if title == "versions of the root key")
    assert f"--keyring={ring} " in words and f"--key={key} " in words


def test_each_list_is_asked_of_its_project_and_region(site):
    (site.clone / "opentofu/environments/dev/services.tfvars").write_text('region = "us-east1"\n')
    (site.clone / "opentofu/environments/dev/platform.tfvars").write_text(
        'project = "acme-dev"\nregion = "us-central1"\nkms_location = "us"\n'
    )
    site.ok("inventory", "dev")
    asked = site.lines("gcloud")
    assert all(line.endswith(("--project=acme-dev", "--project=acme-build")) for line in asked[2:])
    for words, place in {
        "run services list": "--region=us-east1",
        "scheduler jobs list": "--location=us-east1",
        "run jobs list": "--region=us-central1",
        "kms keys versions list": "--location=us ",
        "artifacts repositories list": "--location=us ",
        "storage buckets list": "--project=acme-build",
    }.items():
        assert [line for line in asked if words in line and place in line], words


def test_it_lists_and_says_what_it_could_not(site):
    site.record("dev", IMAGE, OLD, canary=OLD)
    site.put("platform.addresses.json", ["a", "b"])
    site.fault("memorystore instances", code=1, stderr="ERROR: API not enabled\n")
    done = site.ok("inventory", "dev")
    assert IMAGE in done.stderr and "state of platform: 2 resources" in done.stderr and "a canary" in done.stderr
    assert "Could not be listed (the lines above say why): Valkey" in done.stderr
    assert not [line for line in site.lines("gcloud secrets") if "access" in line]
