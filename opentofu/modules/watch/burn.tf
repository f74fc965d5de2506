# Alerts of the objectives: by how fast their budget of failures is used up. Of two windows both must burn, so that an
# alert ends soon after its cause, and a request or two at night wake nobody.
# https://sre.google/workbook/alerting-on-slos/

locals {
  # What each alert is about, and what there must be of it in the long window before anybody is told.
  burns = {
    acquire-fails-too-often   = { objective = "acquire-answers", count = local.failed_of.acquire, above = 5 }
    acquire-is-slow           = { objective = "acquire-is-fast", count = local.requests_of.acquire, above = 100 }
    heartbeat-fails-too-often = { objective = "heartbeat-answers", count = local.failed_of.heartbeat, above = 5 }
    heartbeat-is-slow         = { objective = "heartbeat-is-fast", count = local.requests_of.heartbeat, above = 100 }
    register-fails-too-often  = { objective = "register-answers", count = local.failed_of.register, above = 5 }
  }
  failed_of = { for function, filter in local.requests_of : function => "${filter} AND metric.labels.class=\"5\"" }

  burn_windows = {
    page   = { factor = 14.4, long = "3600s", short = "300s" }
    ticket = { factor = 6, long = "21600s", short = "1800s" }
  }
  burn_alerts = merge([for name, it in local.burns : {
    for urgency in local.alerts[name].urgency :
    "${name}-${urgency}" => merge(it, local.burn_windows[urgency], {
      alert = name, urgency = urgency, path = local.objective_path[it.objective]
    })
  }]...)
}

resource "google_monitoring_alert_policy" "burn" {
  for_each = local.burn_alerts

  project               = var.project
  display_name          = "${local.alerts[each.value.alert].title} (${each.value.urgency})"
  combiner              = "AND"
  enabled               = !var.paused
  severity              = local.severity[each.value.urgency]
  notification_channels = local.channels_for[each.value.urgency]
  user_labels           = { alert = each.value.alert }

  dynamic "conditions" {
    for_each = { long = each.value.long, short = each.value.short }
    content {
      display_name = "${each.value.factor} times too fast, ${conditions.key} window"
      condition_threshold {
        filter          = "select_slo_burn_rate(\"${each.value.path}\", \"${conditions.value}\")"
        comparison      = "COMPARISON_GT"
        threshold_value = each.value.factor
        duration        = "0s"
      }
    }
  }
  conditions {
    display_name = "more than ${each.value.above} of them"
    condition_threshold {
      filter          = each.value.count
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.above
      duration        = "0s"
      aggregations {
        alignment_period     = each.value.long
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }
  alert_strategy {
    auto_close = "86400s"
  }
  documentation {
    content   = local.messages[each.value.alert]
    mime_type = "text/markdown"
    links {
      display_name = local.alerts[each.value.alert].title
      url          = "${var.docs_url}#${each.value.alert}"
    }
  }
  depends_on = [google_monitoring_slo.answers, google_monitoring_slo.is_fast]
}
