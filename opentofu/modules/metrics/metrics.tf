# Metrics counted from the services' log lines. They see every line that is received, also those that the module watch
# keeps from being stored (exclusions.tf).

locals {
  # The line that ends a request; the other lines of a service have no field `metric`.
  request_lines = "resource.type=\"cloud_run_revision\" AND jsonPayload.metric:*"

  line_of = { for name, message in {
    rebuild     = "pool rebuilt"
    unreachable = "not reachable at start; requests are answered with 503 until it is"
    swept       = "swept"
    connections = "connections of this instance"
  } : name => "resource.type=\"cloud_run_revision\" AND jsonPayload.message=\"${message}\"" }

  # A metric without `value` counts lines; one with it keeps the distribution of that value.
  log_metrics = {
    requests = {
      description = "Requests that were answered, by what they asked for and how it ended."
      filter      = local.request_lines
      labels = {
        metric  = "EXTRACT(jsonPayload.metric)"
        outcome = "EXTRACT(jsonPayload.outcome)"
        class   = "REGEXP_EXTRACT(httpRequest.status, \"^([1-5])\")"
      }
    }
    latency = {
      description = "Milliseconds from the whole body of a request to its answer."
      filter      = local.request_lines
      labels      = { metric = "EXTRACT(jsonPayload.metric)" }
      value       = "EXTRACT(jsonPayload.latency_ms)"
      unit        = "ms"
      # The limits of the objectives (150 and 300) are bounds, so that they are counted and not estimated.
      bounds = [1, 2, 5, 10, 20, 50, 75, 100, 150, 200, 300, 500, 1000, 2000, 5000]
    }
    pools_rebuilt = {
      description = "Pools whose copy in Valkey was made anew from PostgreSQL."
      filter      = local.line_of.rebuild
    }
    stores_not_reached = {
      description = "Instances that began without one of their stores."
      filter      = local.line_of.unreachable
      labels      = { store = "EXTRACT(jsonPayload.store)" }
    }
    pool_connections = {
      description = "Connections to PostgreSQL of an instance, once a minute while it is asked something."
      filter      = local.line_of.connections
      value       = "EXTRACT(jsonPayload.connections)"
      unit        = "1"
      bounds      = [1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 50]
    }
    seats_swept = {
      description = "Seats of programs that stopped without releasing them, freed by a share of a sweep."
      filter      = local.line_of.swept
      value       = "EXTRACT(jsonPayload.seats)"
      unit        = "1"
      bounds      = [1, 10, 100, 1000, 10000, 100000]
    }
  }
}

resource "google_logging_metric" "lines" {
  for_each = local.log_metrics

  project         = var.project
  name            = each.key
  description     = each.value.description
  filter          = each.value.filter
  value_extractor = try(each.value.value, null)

  label_extractors = try(each.value.labels, {})

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = can(each.value.value) ? "DISTRIBUTION" : "INT64"
    unit        = try(each.value.unit, "1")

    dynamic "labels" {
      for_each = try(each.value.labels, {})
      content {
        key        = labels.key
        value_type = "STRING"
      }
    }
  }

  dynamic "bucket_options" {
    for_each = can(each.value.value) ? [each.value.bounds] : []
    content {
      explicit_buckets {
        bounds = bucket_options.value
      }
    }
  }
}
