"""Who applies a root may delete what it has made, type by type: what is replaced is deleted too.

test_rights.py says by which role a type is changed, and some of Google's roles change a type and may not delete it
(certificatemanager.editor). So the rights to delete stand here by name, with the roles that have them; they were taken
from Google's list of what each role may do (November 2026).
"""

import pytest
from test_rights import OWN_ROLES, PIPELINE, listed, own_rights, text_of, types_of

# Type to the right that deletes one.
DELETES = {
    "billing_budget": "billing.resourcebudgets.write",
    "certificate_manager_certificate": "certificatemanager.certs.delete",
    "certificate_manager_certificate_map": "certificatemanager.certmaps.delete",
    "certificate_manager_certificate_map_entry": "certificatemanager.certmapentries.delete",
    "certificate_manager_dns_authorization": "certificatemanager.dnsauthorizations.delete",
    "cloud_run_v2_job": "run.jobs.delete",
    "cloud_run_v2_service": "run.services.delete",
    "cloud_scheduler_job": "cloudscheduler.jobs.delete",
    "compute_backend_service": "compute.backendServices.delete",
    "compute_firewall": "compute.firewalls.delete",
    "compute_global_address": "compute.globalAddresses.delete",
    "compute_global_forwarding_rule": "compute.globalForwardingRules.delete",
    "compute_network": "compute.networks.delete",
    "compute_region_network_endpoint_group": "compute.regionNetworkEndpointGroups.delete",
    "compute_security_policy": "compute.securityPolicies.delete",
    "compute_ssl_policy": "compute.sslPolicies.delete",
    "compute_subnetwork": "compute.subnetworks.delete",
    "compute_target_http_proxy": "compute.targetHttpProxies.delete",
    "compute_target_https_proxy": "compute.targetHttpsProxies.delete",
    "compute_url_map": "compute.urlMaps.delete",
    "dns_record_set": "dns.resourceRecordSets.delete",
    "identity_platform_default_supported_idp_config": "firebaseauth.configs.update",
    "logging_metric": "logging.logMetrics.delete",
    "logging_project_exclusion": "logging.exclusions.delete",
    "memorystore_instance": "memorystore.instances.delete",
    "monitoring_alert_policy": "monitoring.alertPolicies.delete",
    "monitoring_custom_service": "monitoring.services.delete",
    "monitoring_dashboard": "monitoring.dashboards.delete",
    "monitoring_notification_channel": "monitoring.notificationChannels.delete",
    "monitoring_slo": "monitoring.slos.delete",
    "monitoring_uptime_check_config": "monitoring.uptimeCheckConfigs.delete",
    "network_connectivity_service_connection_policy": "networkconnectivity.serviceConnectionPolicies.delete",
    "pubsub_subscription": "pubsub.subscriptions.delete",
    "pubsub_topic": "pubsub.topics.delete",
    "secret_manager_secret": "secretmanager.secrets.delete",
    "service_account": "iam.serviceAccounts.delete",
    "sql_database_instance": "cloudsql.instances.delete",
}
# Nothing is deleted in Google: the thing stays (a key ring, a service that is enabled, the connection to Google's
# network), or is left with what it is in (a database and its users). A right on a thing (…_iam_member) and an audit
# setting go with a change of the policy, by the right of CHANGES.
STAY = {
    "identity_platform_config", "kms_crypto_key", "kms_crypto_key_version", "kms_key_ring", "project_iam_audit_config",
    "project_service", "project_service_identity", "service_networking_connection", "sql_database", "sql_user",
}
# Role to the rights to delete that it has, of those above.
HAVE = {
    "roles/certificatemanager.owner": [
        "certificatemanager.certmapentries.delete", "certificatemanager.certmaps.delete",
        "certificatemanager.certs.delete", "certificatemanager.dnsauthorizations.delete",
    ],
    "roles/cloudscheduler.admin": ["cloudscheduler.jobs.delete"],
    "roles/cloudsql.admin": ["cloudsql.instances.delete"],
    "roles/compute.loadBalancerAdmin": [
        "compute.backendServices.delete", "compute.globalAddresses.delete", "compute.globalForwardingRules.delete",
        "compute.regionNetworkEndpointGroups.delete", "compute.sslPolicies.delete", "compute.targetHttpProxies.delete",
        "compute.targetHttpsProxies.delete", "compute.urlMaps.delete",
    ],
    "roles/compute.networkAdmin": [
        "compute.globalAddresses.delete", "compute.networks.delete", "compute.subnetworks.delete",
    ],
    "roles/compute.securityAdmin": ["compute.firewalls.delete", "compute.securityPolicies.delete"],
    "roles/dns.admin": ["dns.resourceRecordSets.delete"],
    "roles/iam.serviceAccountAdmin": ["iam.serviceAccounts.delete"],
    "roles/identityplatform.admin": ["firebaseauth.configs.update"],
    "roles/logging.configWriter": ["logging.exclusions.delete", "logging.logMetrics.delete"],
    "roles/memorystore.admin": ["memorystore.instances.delete"],
    "roles/monitoring.editor": [
        "monitoring.alertPolicies.delete", "monitoring.dashboards.delete", "monitoring.notificationChannels.delete",
        "monitoring.services.delete", "monitoring.slos.delete", "monitoring.uptimeCheckConfigs.delete",
    ],
    "roles/networkconnectivity.consumerNetworkAdmin": ["networkconnectivity.serviceConnectionPolicies.delete"],
    "roles/pubsub.admin": ["pubsub.subscriptions.delete", "pubsub.topics.delete"],
    "roles/pubsub.editor": ["pubsub.subscriptions.delete", "pubsub.topics.delete"],
    "roles/run.admin": ["run.jobs.delete", "run.services.delete"],
}


def deletion_faults(root: str, types: set, given: set, own: str) -> list:
    had = {right for role in given for right in HAVE.get(role, [])}
    wrong = []
    for kind in sorted(types - STAY):
        if kind.endswith("_iam_member"):
            continue
        right = DELETES.get(kind)
        # A role of ours names a right in full, or its verb in a list beside what it is of.
        family, _, verb = (right or "").rpartition(".")
        ours = right is not None and (f'"{right}"' in own or (f'"{family}.${{verb}}"' in own and f'"{verb}"' in own))
        if right is None:
            wrong.append(f"{kind}: nothing says by which right one is deleted")
        elif right not in had and not ours:
            wrong.append(f"{kind} is deleted by {right}, which who applies {root} does not have")
    return wrong


def of_root(root: str) -> tuple[set, str]:
    roles = {"platform": "platform_roles", "services": "deployer_roles"}[root]
    text = text_of(f"{PIPELINE}/locals.tf")
    # The verbs of the places of secrets are a list of their own.
    own = text_of(f"{PIPELINE}/rights.tf").partition("resource")[0] if root == "platform" else ""
    return listed(text, roles), own + own_rights(text_of(f"{PIPELINE}/rights.tf"), OWN_ROLES[root])


@pytest.mark.parametrize("root", ["platform", "services"])
def test_who_applies_a_root_may_delete_every_type_of_it(root):
    given, own = of_root(root)
    assert deletion_faults(root, types_of(root), given, own) == []


@pytest.mark.parametrize("root", ["platform", "services"])
def test_each_role_that_deletes_is_missed_when_it_is_taken_away(root):
    given, own = of_root(root)
    for role in given & set(HAVE):
        assert deletion_faults(root, types_of(root), given - {role}, own), role
    assert "secretmanager" in str(deletion_faults("platform", types_of("platform"), given, ""))


def test_a_role_that_may_not_delete_is_seen():
    given, own = of_root("services")
    given = given - {"roles/certificatemanager.owner"} | {"roles/certificatemanager.editor"}
    assert [fault.split(" ")[0] for fault in deletion_faults("services", types_of("services"), given, own)] == [
        "certificate_manager_certificate",
        "certificate_manager_certificate_map",
        "certificate_manager_certificate_map_entry",
        "certificate_manager_dns_authorization",
    ]


def test_no_row_is_of_a_type_that_there_is_not():
    types = types_of("platform") | types_of("services")
    assert sorted((set(DELETES) | STAY) - types) == []
