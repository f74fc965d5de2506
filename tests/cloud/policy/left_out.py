"""What checkov asks for and is not done here: each check with its reason and the resources that it is about.

A check that fails for a resource that is not named here is a fault, and so is a name here for which nothing fails.
"""

from dataclasses import dataclass

SQL = ("google_sql_database_instance.records", "google_sql_database_instance.replica")


@dataclass(frozen=True)
class LeftOut:
    """The id of a check of checkov, why it does not hold here, and for which resources (their ends are enough)."""

    check: str
    why: str
    resources: tuple[str, ...]


LEFT_OUT = (
    LeftOut(
        "CKV2_GCP_13",
        "log_duration writes a line for each statement; Query Insights has the durations and costs nothing.",
        SQL,
    ),
    LeftOut("CKV_GCP_108", "log_hostname asks DNS about each connection; private addresses have no names there.", SQL),
    LeftOut(
        "CKV_GCP_110",
        "pgAudit writes a line for each statement. Who changed what is in the product's own sealed audit log, and who "
        "changed the schema in log_statement = ddl.",
        SQL,
    ),
    LeftOut(
        "CKV_GCP_52",
        "Connections live 30 s, so each of the functions would write lines without end; they write their counts.",
        SQL,
    ),
    LeftOut("CKV_GCP_53", "As log_connections: connections live 30 s.", SQL),
    *(
        LeftOut(
            check,
            "It is set in local.flags of the module records, which checkov cannot follow; that module's test "
            "it_logs_what_is_looked_for_at_night sees it.",
            SQL,
        )
        for check in ("CKV_GCP_51", "CKV_GCP_54", "CKV_GCP_109", "CKV_GCP_111")
    ),
    LeftOut(
        "CKV_GCP_6",
        "It asks for client certificates. ENCRYPTED_ONLY refuses connections without TLS, and who connects is shown by "
        "an access token of IAM, which ends within the hour and has no file that could be lost.",
        SQL,
    ),
    LeftOut("CKV_GCP_79", "The product is tested on PostgreSQL 16 (./dev cloud stores); a newer one needs tests.", SQL),
    LeftOut(
        "CKV_GCP_26",
        "They would be lines for every connection of a function to one of the two stores, and the firewall lets "
        "nothing else through.",
        ("google_compute_subnetwork.functions",),
    ),
    LeftOut(
        "CKV_GCP_62",
        "Usage logs are written once an hour into another bucket. The audit log says at once who read or wrote an "
        "object (google_project_iam_audit_config.storage).",
        ("google_storage_bucket.bucket",),
    ),
    LeftOut(
        "CKV_GCP_73",
        "Log4j is Java's; the image holds static binaries of Rust and nothing else.",
        ("google_compute_security_policy.front",),
    ),
    LeftOut(
        "CKV_GCP_83",
        "Messages name organizations and pools and live for an hour to a week; a key of our own could be lost, and "
        "then the clock stands still. Google encrypts them with its own.",
        ("google_pubsub_topic.topic",),
    ),
    LeftOut(
        "CKV_GCP_84",
        "Images are no secret, and Cloud Run must read them when a key of our own is lost. What may run is said by its "
        "digest and its attestation.",
        ("google_artifact_registry_repository.images",),
    ),
)
