# When each alert of alerts.yaml fires. An alert has either `log`, a filter of lines that fires with the first one, or
# `series`, a table of conditions of which one suffices. Those of the objectives stand in burn.tf.

locals {
  services  = "resource.type=\"cloud_run_revision\""
  postgres  = "resource.type=\"cloudsql_database\""
  sub       = "resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id"
  made_user = "logging.googleapis.com/user"
  audited   = "log_id(\"cloudaudit.googleapis.com/activity\")"

  made_no_sense = join(" OR ", [
    "\"a poison message was acknowledged and dropped\"",
    "\"an event that can never be published was dropped\"",
  ])
  changed_log = "\"the audit log of this organization is not as it was written\""

  log_conditions = {
    the-certificate-is-not-renewed = join(" AND ", [
      local.services, "jsonPayload.message=\"certificate not renewed; the old one is used\"",
    ])
    an-audit-log-was-changed = join(" AND ", [local.services, "jsonPayload.message=${local.changed_log}"])
    the-root-key-was-changed = join(" AND ", [
      local.audited, "protoPayload.serviceName=\"cloudkms.googleapis.com\"",
      "protoPayload.methodName=~\"((Destroy|Restore|Update|Import)CryptoKeyVersion|SetIamPolicy)$\"",
    ])
    # A request that failed is an error in Cloud Run's own line too; the objectives count those.
    a-program-reports-a-fault = join(" AND ", [
      local.services, "severity>=ERROR", "NOT log_id(\"run.googleapis.com/requests\")",
      "NOT jsonPayload.message=(${local.made_no_sense} OR ${local.changed_log})",
    ])
    a-message-made-no-sense = join(" AND ", [local.services, "jsonPayload.message=(${local.made_no_sense})"])
    client-addresses-are-not-known = join(" AND ", [
      local.services, "jsonPayload.message:\"a client's address is not known\"",
    ])
    sign-in-keys-are-not-fetched = join(" AND ", [local.services, "jsonPayload.message=\"keys not fetched\""])
    # Without a list of accounts that may, every change would be one by hand.
    the-cloud-was-changed-by-hand = length(var.deployers) == 0 ? null : join(" AND ", [
      local.audited,
      "protoPayload.serviceName=~\"^(run|cloudsql|memorystore)[.]googleapis[.]com$\"",
      "protoPayload.methodName=~\"(?i)(create|update|replace|patch|delete|restore|import|setiampolicy)\"",
      "NOT protoPayload.authenticationInfo.principalEmail=(${join(" OR ", formatlist("\"%s\"", var.deployers))})",
    ])
  }

  series_conditions = {
    the-front-does-not-answer = var.domain == null ? null : { from_outside = {
      filter = join(" AND ", [
        "metric.type=\"monitoring.googleapis.com/uptime_check/check_passed\"",
        "resource.type=\"uptime_url\"", "resource.labels.host=\"${coalesce(var.domain, "-")}\"",
      ])
      align = "ALIGN_NEXT_OLDER", reduce = "REDUCE_COUNT_FALSE", period = "1200s", above = 1, for = "180s"
    } }
    the-reaper-does-not-tick = { absent = {
      filter = join(" AND ", [
        "metric.type=\"${local.made_user}/requests\"", local.services,
        "metric.labels.metric=\"reaper/tick_requests\"", "metric.labels.class=\"2\"",
      ])
      align = "ALIGN_DELTA", reduce = "REDUCE_SUM", for = "300s"
    } }
    postgresql-does-not-run = { down = {
      filter = "metric.type=\"cloudsql.googleapis.com/database/up\" AND ${local.postgres}"
      align  = "ALIGN_MAX", below = 1, for = "120s"
    } }
    the-disk-of-postgresql-is-nearly-full = { full = {
      filter = "metric.type=\"cloudsql.googleapis.com/database/disk/utilization\" AND ${local.postgres}"
      align  = "ALIGN_MEAN", above = 0.9, for = "600s"
    } }
    the-memory-of-valkey-is-nearly-full = { full = {
      filter = join(" AND ", [
        "metric.type=\"memorystore.googleapis.com/instance/memory/maximum_utilization\"",
        "resource.type=\"memorystore.googleapis.com/Instance\"",
      ])
      align = "ALIGN_MAX", above = 0.8, for = "600s"
    } }
    messages-were-given-up = { kept = {
      filter = join(" AND ", [
        "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\"",
        "${local.sub}=\"${var.subscriptions.dead}\"",
      ])
      align = "ALIGN_MAX", above = 0, for = "0s"
    } }
    the-sweep-is-behind = { oldest = {
      filter = join(" AND ", [
        "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\"",
        "${local.sub}=\"${var.subscriptions.reap}\"",
      ])
      align = "ALIGN_MAX", above = 300, for = "0s"
    } }
    pools-are-rebuilt-again-and-again = { rate = {
      filter = "metric.type=\"${local.made_user}/pools_rebuilt\" AND ${local.services}"
      align  = "ALIGN_DELTA", reduce = "REDUCE_SUM", above = 1, for = "900s"
    } }
    the-connections-of-postgresql-run-out = { open = {
      filter = "metric.type=\"cloudsql.googleapis.com/database/postgresql/num_backends\" AND ${local.postgres}"
      align  = "ALIGN_MEAN", reduce = "REDUCE_SUM", by = "resource.label.database_id"
      above  = 0.8 * var.max_connections, for = "600s"
    } }
    # One function of at most one instance runs at its largest size whenever it runs at all, which means nothing.
    a-function-runs-at-its-largest-size = { for function, it in var.functions : function => {
      filter = join(" AND ", [
        "metric.type=\"run.googleapis.com/container/instance_count\"", local.services,
        "resource.labels.service_name=\"${function}\"",
      ])
      align = "ALIGN_MAX", reduce = "REDUCE_SUM", above = it.max - 0.5, for = "600s"
    } if it.max > 1 }
    a-store-could-not-be-reached-at-start = { starts = {
      filter = "metric.type=\"${local.made_user}/stores_not_reached\" AND ${local.services}"
      align  = "ALIGN_DELTA", reduce = "REDUCE_SUM", period = "600s", above = 5, for = "0s"
    } }
    a-migration-failed = { failed = {
      filter = join(" AND ", [
        "metric.type=\"run.googleapis.com/job/completed_execution_count\"", "resource.type=\"cloud_run_job\"",
        "resource.labels.job_name=\"migrate\"", "metric.labels.result=\"failed\"",
      ])
      align = "ALIGN_DELTA", reduce = "REDUCE_SUM", above = 0, for = "0s"
    } }
    the-replica-is-behind = !var.replica ? null : { lag = {
      filter = "metric.type=\"cloudsql.googleapis.com/database/replication/replica_lag\" AND ${local.postgres}"
      align  = "ALIGN_MAX", above = 60, for = "600s"
    } }
  }
}
