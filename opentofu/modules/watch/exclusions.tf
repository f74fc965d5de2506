# Lines that are counted but not stored. At a million seats the lines of successful heartbeats would be a hundred times
# everything else; a share is kept, to have something to look at. Whatever went wrong is stored whole.

locals {
  most = "sample(insertId, ${1 - var.stored_share})"

  exclusions = {
    renewed-heartbeats = {
      description = "Most lines that end a successful heartbeat."
      filter = join(" AND ", [
        "resource.type=\"cloud_run_revision\"",
        "jsonPayload.metric=\"heartbeat/requests\"",
        "httpRequest.status<400",
        local.most,
      ])
    }
    # Cloud Run writes a line of its own for each request, which says less than the service's line.
    requests-as-cloud-run-sees-them = {
      description = "Most lines that Cloud Run itself writes of a request that succeeded."
      filter = join(" AND ", [
        "resource.type=\"cloud_run_revision\"",
        "log_id(\"run.googleapis.com/requests\")",
        "httpRequest.status<400",
        local.most,
      ])
    }
  }
}

resource "google_logging_project_exclusion" "counted" {
  for_each = local.exclusions

  project     = var.project
  name        = each.key
  description = each.value.description
  filter      = each.value.filter
}
