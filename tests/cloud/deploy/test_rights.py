"""Every type of resource of platform and services has a right by which it is planned and one by which it is changed.

Who plans prod is staging's account, so a type that it may not read stops the pipeline between staging and prod; and
that is seen in Google alone. The lists below say by which role, or right of a role of our own, each type is read and
changed; they were taken from Google's list of what each role may do (November 2026).
"""

import re

import pytest
from conftest import REPOSITORY

PIPELINE = "opentofu/modules/pipeline"
TYPE = re.compile(r'^resource "google_([a-z0-9_]+)"', re.MULTILINE)
SOURCE = re.compile(r'source\s*=\s*"\.\./modules/(\w+)"')
# Type to what reads it: a role, or a right. Rights on a thing (…_iam_member) are read with its policy.
READS = {
    "billing_budget": "billing.resourcebudgets.read",
    "certificate_manager_certificate": "roles/certificatemanager.viewer",
    "certificate_manager_certificate_map": "roles/certificatemanager.viewer",
    "certificate_manager_certificate_map_entry": "roles/certificatemanager.viewer",
    "certificate_manager_dns_authorization": "roles/certificatemanager.viewer",
    "cloud_run_v2_job": "roles/run.viewer",
    "cloud_run_v2_job_iam_member": "roles/run.viewer",
    "cloud_run_v2_service": "roles/run.viewer",
    "cloud_scheduler_job": "roles/cloudscheduler.viewer",
    "compute_backend_service": "roles/compute.viewer",
    "compute_firewall": "roles/compute.viewer",
    "compute_global_address": "roles/compute.viewer",
    "compute_global_forwarding_rule": "roles/compute.viewer",
    "compute_network": "roles/compute.viewer",
    "compute_region_network_endpoint_group": "roles/compute.viewer",
    "compute_security_policy": "roles/compute.viewer",
    "compute_ssl_policy": "roles/compute.viewer",
    "compute_subnetwork": "roles/compute.viewer",
    "compute_target_http_proxy": "roles/compute.viewer",
    "compute_target_https_proxy": "roles/compute.viewer",
    "compute_url_map": "roles/compute.viewer",
    "dns_record_set": "roles/dns.reader",
    "identity_platform_config": "firebaseauth.configs.get",
    "identity_platform_default_supported_idp_config": "firebaseauth.configs.get",
    "kms_crypto_key": "roles/cloudkms.viewer",
    "kms_crypto_key_iam_member": "cloudkms.cryptoKeys.getIamPolicy",
    "kms_crypto_key_version": "roles/cloudkms.viewer",
    "kms_key_ring": "roles/cloudkms.viewer",
    "logging_metric": "logging.logMetrics.get",
    "logging_project_exclusion": "logging.exclusions.get",
    "memorystore_instance": "roles/memorystore.viewer",
    "monitoring_alert_policy": "roles/monitoring.viewer",
    "monitoring_custom_service": "roles/monitoring.viewer",
    "monitoring_dashboard": "roles/monitoring.viewer",
    "monitoring_notification_channel": "roles/monitoring.viewer",
    "monitoring_slo": "roles/monitoring.viewer",
    "monitoring_uptime_check_config": "roles/monitoring.viewer",
    "network_connectivity_service_connection_policy": "networkconnectivity.serviceConnectionPolicies.get",
    "project_iam_audit_config": "resourcemanager.projects.getIamPolicy",
    "project_iam_member": "resourcemanager.projects.getIamPolicy",
    "project_service": "roles/serviceusage.serviceUsageConsumer",
    "project_service_identity": "roles/serviceusage.serviceUsageConsumer",
    "pubsub_subscription": "roles/pubsub.viewer",
    "pubsub_subscription_iam_member": "pubsub.subscriptions.getIamPolicy",
    "pubsub_topic": "roles/pubsub.viewer",
    "pubsub_topic_iam_member": "pubsub.topics.getIamPolicy",
    "secret_manager_secret": "roles/secretmanager.viewer",
    "secret_manager_secret_iam_member": "secretmanager.secrets.getIamPolicy",
    "service_account": "iam.serviceAccounts.get",
    "service_account_iam_member": "iam.serviceAccounts.getIamPolicy",
    "service_networking_connection": "servicenetworking.services.get",
    "sql_database": "cloudsql.databases.get",
    "sql_database_instance": "cloudsql.instances.get",
    "sql_user": "cloudsql.users.list",
}
# What a plan asks for besides: the project itself, its place as the one that requests are counted for, one user.
READ_BESIDES = {"resourcemanager.projects.get", "roles/serviceusage.serviceUsageConsumer", "cloudsql.users.get"}
CHANGES = {
    "platform": {
        "cloud_run_v2_job": "roles/run.admin",
        "cloud_run_v2_job_iam_member": "roles/run.admin",
        "compute_firewall": "roles/compute.securityAdmin",
        "compute_global_address": "roles/compute.networkAdmin",
        "compute_network": "roles/compute.networkAdmin",
        "compute_subnetwork": "roles/compute.networkAdmin",
        "identity_platform_config": "roles/identityplatform.admin",
        "identity_platform_default_supported_idp_config": "roles/identityplatform.admin",
        "kms_crypto_key": "roles/cloudkms.admin",
        "kms_crypto_key_iam_member": "roles/cloudkms.admin",
        "kms_crypto_key_version": "roles/cloudkms.admin",
        "kms_key_ring": "roles/cloudkms.admin",
        "logging_metric": "roles/logging.configWriter",
        "memorystore_instance": "roles/memorystore.admin",
        "network_connectivity_service_connection_policy": "roles/networkconnectivity.consumerNetworkAdmin",
        "project_iam_audit_config": "roles/resourcemanager.projectIamAdmin",
        "project_iam_member": "roles/resourcemanager.projectIamAdmin",
        "project_service": "roles/serviceusage.serviceUsageAdmin",
        "project_service_identity": "roles/serviceusage.serviceUsageAdmin",
        "pubsub_subscription": "roles/pubsub.admin",
        "pubsub_topic": "roles/pubsub.admin",
        "pubsub_topic_iam_member": "roles/pubsub.admin",
        "secret_manager_secret": "secretmanager.secrets.",
        "secret_manager_secret_iam_member": "secretmanager.secrets.",
        "service_account": "roles/iam.serviceAccountAdmin",
        "service_account_iam_member": "roles/iam.serviceAccountAdmin",
        "service_networking_connection": "roles/servicenetworking.networksAdmin",
        "sql_database": "roles/cloudsql.admin",
        "sql_database_instance": "roles/cloudsql.admin",
        "sql_user": "roles/cloudsql.admin",
    },
    "services": {
        "billing_budget": "billing.resourcebudgets.",
        "certificate_manager_certificate": "roles/certificatemanager.owner",
        "certificate_manager_certificate_map": "roles/certificatemanager.owner",
        "certificate_manager_certificate_map_entry": "roles/certificatemanager.owner",
        "certificate_manager_dns_authorization": "roles/certificatemanager.owner",
        "cloud_run_v2_service": "run.services.",
        "cloud_scheduler_job": "roles/cloudscheduler.admin",
        "compute_backend_service": "roles/compute.loadBalancerAdmin",
        "compute_global_address": "roles/compute.loadBalancerAdmin",
        "compute_global_forwarding_rule": "roles/compute.loadBalancerAdmin",
        "compute_region_network_endpoint_group": "roles/compute.loadBalancerAdmin",
        "compute_security_policy": "roles/compute.securityAdmin",
        "compute_ssl_policy": "roles/compute.loadBalancerAdmin",
        "compute_target_http_proxy": "roles/compute.loadBalancerAdmin",
        "compute_target_https_proxy": "roles/compute.loadBalancerAdmin",
        "compute_url_map": "roles/compute.loadBalancerAdmin",
        "dns_record_set": "roles/dns.admin",
        "logging_project_exclusion": "roles/logging.configWriter",
        "monitoring_alert_policy": "roles/monitoring.editor",
        "monitoring_custom_service": "roles/monitoring.editor",
        "monitoring_dashboard": "roles/monitoring.editor",
        "monitoring_notification_channel": "roles/monitoring.editor",
        "monitoring_slo": "roles/monitoring.editor",
        "monitoring_uptime_check_config": "roles/monitoring.editor",
        "pubsub_subscription": "roles/pubsub.editor",
        "pubsub_subscription_iam_member": "pubsub.subscriptions.",
    },
}
# Roles that no type names: to run as an account that is not one's own, and to watch for what an apply waits for.
CHANGE_BESIDES = {
    "platform": {"roles/iam.serviceAccountUser"},
    "services": {"roles/logging.viewer", "roles/serviceusage.serviceUsageConsumer"},
}
OWN_ROLES = {"platform": ["secret_places"], "services": ["subscription_policies", "budget", "services"]}
# Google's service to the types that it answers for, where the name of the type does not begin with it.
SERVICES = {
    "billing_budget": "billingbudgets",
    "certificate_manager": "certificatemanager",
    "cloud_run": "run",
    "cloud_scheduler": "cloudscheduler",
    "identity_platform": "identitytoolkit",
    "kms": "cloudkms",
    "network_connectivity": "networkconnectivity",
    "project_iam": "cloudresourcemanager",
    "project_service": "serviceusage",
    "secret_manager": "secretmanager",
    "service_account": "iam",
    "service_networking": "servicenetworking",
    "sql": "sqladmin",
}


def text_of(path: str) -> str:
    return (REPOSITORY / path).read_text("utf-8")


def types_of(root: str) -> set:
    """The types of a root and of the modules that it calls."""
    folder = REPOSITORY / "opentofu" / root
    own = "\n".join(path.read_text("utf-8") for path in sorted(folder.glob("*.tf")))
    texts = [own] + [
        path.read_text("utf-8")
        for module in sorted(set(SOURCE.findall(own)))
        for path in sorted((REPOSITORY / "opentofu/modules" / module).glob("*.tf"))
    ]
    return {kind for text in texts for kind in TYPE.findall(text)}


def listed(text: str, name: str) -> set:
    """The strings of a list of locals.tf."""
    return set(re.findall(r'"([^"]+)"', re.search(rf"^  {name} = \[(.*?)^  \]", text, re.M | re.S)[1]))


def own_rights(text: str, names: list) -> str:
    return "".join(re.search(rf'custom_role" "{name}" \{{(.*?)^}}', text, re.M | re.S)[1] for name in names)


def reading_faults(types: set, given: set) -> list:
    return (
        [f"{kind}: nothing says by which right a plan reads it" for kind in sorted(types - set(READS))]
        + [f"{kind} is read by {READS[kind]}, which who plans prod does not have"
           for kind in sorted(types & set(READS)) if READS[kind] not in given]
        + [f"{kind} is in READS and in neither root" for kind in sorted(set(READS) - types)]
        + [f"{right} is given to who plans prod and reads nothing"
           for right in sorted(given - set(READS.values()) - READ_BESIDES)]
    )


def changing_faults(root: str, types: set, given: set, own: str) -> list:
    changes = CHANGES[root]
    return (
        [f"{kind}: nothing says by which right {root} changes it" for kind in sorted(types - set(changes))]
        + [f"{kind} is changed by {changes[kind]}, which who applies {root} does not have"
           for kind in sorted(types & set(changes)) if changes[kind] not in given and changes[kind] not in own]
        + [f"{kind} is not of {root}" for kind in sorted(set(changes) - types)]
        + [f"{role} is given to who applies {root} and changes nothing"
           for role in sorted(given - set(changes.values()) - CHANGE_BESIDES[root])]
    )


def rights_of_the_planner(text: str) -> set:
    return listed(text, "viewer_roles") | listed(text, "viewer_rights")


def test_who_plans_prod_may_read_every_type_and_has_no_right_without_one():
    types = types_of("platform") | types_of("services")
    assert len(types) > 40
    assert reading_faults(types, rights_of_the_planner(text_of(f"{PIPELINE}/locals.tf"))) == []


@pytest.mark.parametrize(
    ("taken", "named"),
    [
        ('    "roles/dns.reader",\n', ["dns_record_set"]),
        ('    "billing.resourcebudgets.read",\n', ["billing_budget"]),
        ('    "cloudsql.users.list",\n', ["sql_user"]),
        ('    "firebaseauth.configs.get",\n',
         ["identity_platform_config", "identity_platform_default_supported_idp_config"]),
    ],
)
def test_a_right_that_is_taken_away_is_named_with_its_types(taken, named):
    text = text_of(f"{PIPELINE}/locals.tf")
    assert taken in text
    found = reading_faults(types_of("platform") | types_of("services"),
                           rights_of_the_planner(text.replace(taken, "")))
    assert [fault.split(" ")[0] for fault in found] == named


def test_a_type_of_which_nothing_is_known_is_named():
    found = reading_faults(set(READS) | {"redis_instance"}, set(READS.values()))
    assert found == ["redis_instance: nothing says by which right a plan reads it"]


@pytest.mark.parametrize(("root", "roles"), [("platform", "platform_roles"), ("services", "deployer_roles")])
def test_who_applies_a_root_may_change_every_type_of_it(root, roles):
    given = listed(text_of(f"{PIPELINE}/locals.tf"), roles)
    own = own_rights(text_of(f"{PIPELINE}/rights.tf"), OWN_ROLES[root])
    assert changing_faults(root, types_of(root), given, own) == []
    some = sorted(given & set(CHANGES[root].values()))[0]
    assert changing_faults(root, types_of(root), given - {some}, own)
    assert changing_faults(root, types_of(root), given, "")


def service_of(kind: str) -> str:
    known = [name for name in SERVICES if kind == name or kind.startswith(f"{name}_")]
    return SERVICES[max(known, key=len)] if known else kind.split("_")[0]


def disabled(types: set, enabled: set) -> list:
    return sorted({service_of(kind) for kind in types} - enabled)


def test_every_service_of_google_that_a_type_needs_is_enabled():
    """`deploy bootstrap` enables the first of them, the module project the others."""
    named = text_of("opentofu/modules/project/services.tf") + text_of("opentofu/bootstrap/bootstrap.tf")
    enabled = set(re.findall(r'"(\w+)\.googleapis\.com"', named))
    types = types_of("platform") | types_of("services")
    assert disabled(types, enabled) == []
    assert disabled(types, enabled - {"billingbudgets"}) == ["billingbudgets"]
