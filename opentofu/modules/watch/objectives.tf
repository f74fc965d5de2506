# What is promised, measured over 28 days. A refusal (a full pool, a wrong key) is an answer, and counts as one.

locals {
  objectives = {
    acquire   = { answered = 0.999, fast = { share = 0.99, within_ms = 300 } }
    heartbeat = { answered = 0.9995, fast = { share = 0.99, within_ms = 150 } }
    register  = { answered = 0.995 }
  }

  requests_of = { for function in keys(local.objectives) : function => join(" AND ", [
    "metric.type=\"logging.googleapis.com/user/requests\"",
    "resource.type=\"cloud_run_revision\"",
    "metric.labels.metric=\"${function}/requests\"",
  ]) }
  latency_of = { for function in keys(local.objectives) : function => join(" AND ", [
    "metric.type=\"logging.googleapis.com/user/latency\"",
    "resource.type=\"cloud_run_revision\"",
    "metric.labels.metric=\"${function}/requests\"",
  ]) }

  # The name of each objective, built here so that a plan knows it.
  objective_path = { for name in concat(
    [for function in keys(local.objectives) : "${function}-answers"],
    [for function, it in local.objectives : "${function}-is-fast" if can(it.fast)],
  ) : name => "projects/${var.project}/services/licenses/serviceLevelObjectives/${name}" }
}

resource "google_monitoring_custom_service" "licenses" {
  project      = var.project
  service_id   = "licenses"
  display_name = "Licenses"
}

resource "google_monitoring_slo" "answers" {
  for_each = local.objectives

  project             = var.project
  service             = google_monitoring_custom_service.licenses.service_id
  slo_id              = "${each.key}-answers"
  display_name        = "${each.key}: answered, not failed"
  goal                = each.value.answered
  rolling_period_days = 28

  request_based_sli {
    good_total_ratio {
      total_service_filter = local.requests_of[each.key]
      bad_service_filter   = "${local.requests_of[each.key]} AND metric.labels.class=\"5\""
    }
  }
}

resource "google_monitoring_slo" "is_fast" {
  for_each = { for function, it in local.objectives : function => it.fast if can(it.fast) }

  project             = var.project
  service             = google_monitoring_custom_service.licenses.service_id
  slo_id              = "${each.key}-is-fast"
  display_name        = "${each.key}: within ${each.value.within_ms} ms"
  goal                = each.value.share
  rolling_period_days = 28

  request_based_sli {
    distribution_cut {
      distribution_filter = local.latency_of[each.key]
      range {
        min = 0
        max = each.value.within_ms
      }
    }
  }
}
