"""What exists in an environment, asked of Google and not of the state."""

from environments import Environment, check_project
from releases import ReleaseRecord
from streams import say
from tofu import ROOTS, Tofu

SERVICES = "table(metadata.name,status.latestReadyRevisionName,spec.template.spec.containers[0].image)"
SUBSCRIPTIONS = "table(name,topic,pushConfig.pushEndpoint)"

# Title, the types of OpenTofu's resources that it shows, and gcloud's words. Values of secrets are never asked for.
# First what costs money or holds something, then what decides who reaches it.
LISTS = (
    ("services", ("cloud_run_v2_service",), f"run services list --region={{serving}} --format={SERVICES}"),
    ("jobs", ("cloud_run_v2_job",), "run jobs list --region={region}"),
    ("PostgreSQL", ("sql_database_instance",), "sql instances list"),
    ("Valkey", ("memorystore_instance",), "memorystore instances list --location={region}"),
    ("rings of keys", ("kms_key_ring",), "kms keyrings list --location={keys}"),
    ("keys", ("kms_crypto_key",), "kms keys list --keyring=license --location={keys}"),
    (
        "versions of the root key",
        ("kms_crypto_key_version",),
        "kms keys versions list --key=root --keyring=license --location={keys}",
    ),
    ("secrets", ("secret_manager_secret",), "secrets list"),
    ("topics", ("pubsub_topic",), "pubsub topics list --format=value(name)"),
    ("subscriptions", ("pubsub_subscription",), f"pubsub subscriptions list --format={SUBSCRIPTIONS}"),
    ("clock", ("cloud_scheduler_job",), "scheduler jobs list --location={serving}"),
    ("networks", ("compute_network",), "compute networks list"),
    ("subnets", ("compute_subnetwork",), "compute networks subnets list"),
    ("firewall", ("compute_firewall",), "compute firewall-rules list"),
    ("addresses", ("compute_global_address",), "compute addresses list --global"),
    (
        "connections to stores",
        ("network_connectivity_service_connection_policy",),
        "network-connectivity service-connection-policies list --region={region}",
    ),
    ("entries of the front", ("compute_global_forwarding_rule",), "compute forwarding-rules list --global"),
    ("backends of the front", ("compute_backend_service",), "compute backend-services list --global"),
    ("rules of the front", ("compute_security_policy",), "compute security-policies list"),
    ("certificates", ("certificate_manager_certificate",), "certificate-manager certificates list"),
    ("alerts", ("monitoring_alert_policy",), "monitoring policies list --format=value(displayName,enabled)"),
    ("checks from outside", ("monitoring_uptime_check_config",), "monitoring uptime list-configs"),
    ("dashboards", ("monitoring_dashboard",), "monitoring dashboards list --format=value(displayName)"),
    ("metrics of lines", ("logging_metric",), "logging metrics list --format=value(name)"),
    ("accounts", ("service_account",), "iam service-accounts list --format=value(email)"),
)
# The same of the project that builds.
BUILD_LISTS = (
    ("repositories of images", ("artifact_registry_repository",), "artifacts repositories list --location={images}"),
    ("buckets", ("storage_bucket",), "storage buckets list --format=value(name)"),
    ("triggers", ("cloudbuild_trigger",), "builds triggers list --region={building} --format=value(name)"),
)


def inventory(runner, name: str):
    """List everything that costs money or holds something."""
    environment = Environment(name)
    check_project(runner, environment)
    record = ReleaseRecord(runner, environment)
    say(f"{name}: project {environment.project}, region {environment.region}, serves {record.serving or 'nothing yet'}")
    if record.canary:
        say(f"a canary: {record.canary}")
    if record.paused:
        say(f"paused since {record.paused}")
    for one in record.releases:
        say(f"  {one['time']}  {'good' if one['good'] else 'bad '}  {one['digest']}  commit {one['commit']}")
    failed = []
    for lists, project in ((LISTS, environment.project), (BUILD_LISTS, environment.build.project)):
        for title, _, words in lists:
            if not _list(runner, title, _words(environment, words), project):
                failed.append(title)
    for root in ROOTS:
        tofu = Tofu(runner, environment, root, looks_only=True)
        tofu.init()
        say(f"--- state of {root}: {len(tofu.addresses())} resources")
    if failed:
        say(f"Could not be listed (the lines above say why): {', '.join(failed)}.")


def _words(environment: Environment, words: str) -> list:
    return words.format(
        region=environment.region,
        serving=environment.services_region,
        keys=environment.platform.get("kms_location", environment.region),
        building=environment.build.region,
        images=environment.build.location,
    ).split()


def _list(runner, title: str, words: list, project: str) -> bool:
    say(f"--- {title}")
    done = runner.run(["gcloud", *words, f"--project={project}"], capture=True, allowed=range(256))
    print(done.output, end="", flush=True)
    return done.code == 0
