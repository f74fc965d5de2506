# One alert policy for each line of alerts.yaml and of burn.tf, and the words that a person sees when it fires.

locals {
  alerts = yamldecode(file("${path.module}/alerts.yaml"))

  severity = { page = "CRITICAL", ticket = "WARNING" }

  # What the message says. The anchor is the alert's name.
  messages = { for name, it in local.alerts : name => join("\n\n", [
    it.when, "**What to look at.** ${it.look}", "**What to do.** ${it.do}", "[${it.title}](${var.docs_url}#${name})",
  ]) }

  log_alerts    = { for name, filter in local.log_conditions : name => filter if filter != null }
  series_alerts = { for name, series in local.series_conditions : name => series if try(length(series) > 0, false) }

  conditions = concat(keys(local.log_conditions), keys(local.series_conditions), keys(local.burns))
  unmatched = setsubtract(
    setunion(local.conditions, keys(local.alerts)), setintersection(local.conditions, keys(local.alerts))
  )
}

resource "google_monitoring_alert_policy" "log" {
  for_each = local.log_alerts

  project               = var.project
  display_name          = local.alerts[each.key].title
  combiner              = "OR"
  severity              = local.severity[local.alerts[each.key].urgency[0]]
  notification_channels = local.channels_for[local.alerts[each.key].urgency[0]]
  user_labels           = { alert = each.key }

  conditions {
    display_name = "A line says so"
    condition_matched_log {
      filter = each.value
    }
  }
  alert_strategy {
    auto_close = "86400s"
    # A fault that repeats every second is told once an hour.
    notification_rate_limit {
      period = "3600s"
    }
  }
  documentation {
    content   = local.messages[each.key]
    mime_type = "text/markdown"
    links {
      display_name = local.alerts[each.key].title
      url          = "${var.docs_url}#${each.key}"
    }
  }
}

resource "google_monitoring_alert_policy" "series" {
  for_each = local.series_alerts

  project               = var.project
  display_name          = local.alerts[each.key].title
  combiner              = "OR"
  enabled               = !var.paused
  severity              = local.severity[local.alerts[each.key].urgency[0]]
  notification_channels = local.channels_for[local.alerts[each.key].urgency[0]]
  user_labels           = { alert = each.key }

  dynamic "conditions" {
    for_each = { for name, it in each.value : name => it if name != "absent" }
    content {
      display_name = replace(conditions.key, "_", " ")
      condition_threshold {
        filter          = conditions.value.filter
        comparison      = can(conditions.value.below) ? "COMPARISON_LT" : "COMPARISON_GT"
        threshold_value = try(conditions.value.below, conditions.value.above)
        duration        = conditions.value.for
        aggregations {
          alignment_period     = try(conditions.value.period, "60s")
          per_series_aligner   = conditions.value.align
          cross_series_reducer = try(conditions.value.reduce, "REDUCE_NONE")
          group_by_fields      = try([conditions.value.by], [])
        }
      }
    }
  }
  dynamic "conditions" {
    for_each = { for name, it in each.value : name => it if name == "absent" }
    content {
      display_name = "nothing came"
      condition_absent {
        filter   = conditions.value.filter
        duration = conditions.value.for
        aggregations {
          alignment_period     = "60s"
          per_series_aligner   = conditions.value.align
          cross_series_reducer = conditions.value.reduce
        }
      }
    }
  }
  alert_strategy {
    auto_close = "86400s"
  }
  documentation {
    content   = local.messages[each.key]
    mime_type = "text/markdown"
    links {
      display_name = local.alerts[each.key].title
      url          = "${var.docs_url}#${each.key}"
    }
  }
  lifecycle {
    precondition {
      condition     = length(local.unmatched) == 0
      error_message = "In alerts.yaml or in the conditions, but not in both: ${join(", ", local.unmatched)}."
    }
  }
}
