# One dashboard for the service and one for the business. A chart is a row: its title, what it asks (PromQL), its unit.

locals {
  run      = "monitored_resource=\"cloud_run_revision\""
  requests = "logging_googleapis_com:user_requests"
  latency  = "logging_googleapis_com:user_latency_bucket"
  swept    = "logging_googleapis_com:user_seats_swept_sum"

  # The time within which so many of the answers came, by metric.
  within = { for share in ["0.99", "0.5"] : share =>
    "histogram_quantile(${share}, sum by (metric, le) (rate(${local.latency}{${local.run}}[5m])))"
  }
  # A program that holds a seat sends a heartbeat after this many seconds on average, so so many sessions live.
  alive = join("", [
    "sum(rate(${local.requests}{${local.run},metric=\"heartbeat/requests\",class=\"2\"}[10m]))",
    " * ${var.heartbeat_seconds}",
  ])
  granted = "${local.requests}{${local.run},metric=\"acquire/requests\",outcome=\"granted\"}"
  # The words with which a seat is denied although the license key is right.
  denials = join("|", [
    "no_seats_available", "too_many_processes", "license_expired", "license_suspended", "license_revoked",
    "license_not_started", "product_not_allowed",
  ])
  denied = "${local.requests}{${local.run},metric=\"acquire/requests\",outcome=~\"${local.denials}\"}"

  dashboards = {
    service = {
      title = "Licenses: the service"
      charts = [
        ["Requests a second", "sum by (metric) (rate(${local.requests}{${local.run}}[5m]))", "1/s"],
        ["Answers by code", "sum by (metric, outcome) (rate(${local.requests}{${local.run},class!=\"2\"}[5m]))", "1/s"],
        ["Failed answers, share",
          join("", ["sum by (metric) (rate(${local.requests}{${local.run},class=\"5\"}[5m])) / ",
        "sum by (metric) (rate(${local.requests}{${local.run}}[5m]))"]), "1"],
        ["Latency, 99 of 100", local.within["0.99"], "ms"],
        ["Latency, half", local.within["0.5"], "ms"],
        ["Instances", "sum by (service_name, state) (run_googleapis_com:container_instance_count{${local.run}})", "1"],
        ["CPU of the instances, 99 of 100",
          join("", ["histogram_quantile(0.99, sum by (service_name, le) ",
        "(rate(run_googleapis_com:container_cpu_utilizations_bucket{${local.run}}[5m])))"]), "1"],
        ["Connections of PostgreSQL",
        "sum by (database_id) (cloudsql_googleapis_com:database_postgresql_num_backends)", "1"],
        ["Connections of an instance, 95 of 100",
          join("", ["histogram_quantile(0.95, sum by (service_name, le) ",
        "(rate(logging_googleapis_com:user_pool_connections_bucket{${local.run}}[10m])))"]), "1"],
        ["CPU of PostgreSQL", "max by (database_id) (cloudsql_googleapis_com:database_cpu_utilization)", "1"],
        ["Disk of PostgreSQL", "max by (database_id) (cloudsql_googleapis_com:database_disk_utilization)", "1"],
        ["Memory of Valkey", "max(memorystore_googleapis_com:instance_memory_maximum_utilization)", "1"],
        ["CPU of Valkey", "max(memorystore_googleapis_com:instance_cpu_maximum_utilization)", "1"],
        ["Pools rebuilt a minute", "sum(rate(logging_googleapis_com:user_pools_rebuilt{${local.run}}[5m])) * 60", "1"],
        ["Oldest message not accepted",
        "max by (subscription_id) (pubsub_googleapis_com:subscription_oldest_unacked_message_age)", "s"],
      ]
    }
    business = {
      title = "Licenses: the business"
      charts = [
        ["Programs that hold a seat", local.alive, "1"],
        ["The most at once, of each day", "max_over_time((${local.alive})[1d:10m])", "1"],
        ["Seats given an hour", "sum(increase(${local.granted}[1h]))", "1"],
        ["Seats given back an hour",
        "sum(increase(${local.requests}{${local.run},metric=\"release/requests\",class=\"2\"}[1h]))", "1"],
        ["Seats of programs that stopped without a word, an hour",
        "sum(increase(${local.swept}{${local.run}}[1h]))", "1"],
        ["Seats denied an hour, by reason", "sum by (outcome) (increase(${local.denied}[1h]))", "1"],
        ["Denied for want of a seat, share",
          join("", ["sum(increase(${local.requests}{${local.run},metric=\"acquire/requests\",",
            "outcome=\"no_seats_available\"}[1h])) / ",
        "sum(increase(${local.requests}{${local.run},metric=\"acquire/requests\"}[1h]))"]), "1"],
        ["License keys that are wrong, an hour",
          join("", ["sum(increase(${local.requests}{${local.run},metric=\"acquire/requests\",",
        "outcome=\"license_key_invalid\"}[1h]))"]), "1"],
        ["New organizations a day",
          join("", ["sum(increase(${local.requests}{${local.run},metric=\"register/requests\",",
        "outcome=\"created\"}[1d]))"]), "1"],
      ]
    }
  }
}

resource "google_monitoring_dashboard" "of" {
  for_each = local.dashboards

  project = var.project
  dashboard_json = jsonencode({
    displayName = each.value.title
    mosaicLayout = {
      columns = 48
      tiles = [for at, chart in each.value.charts : {
        xPos   = at % 2 * 24
        yPos   = floor(at / 2) * 16
        width  = 24
        height = 16
        widget = {
          title = chart[0]
          xyChart = {
            dataSets = [{
              plotType        = "LINE"
              timeSeriesQuery = { prometheusQuery = chart[1], unitOverride = chart[2] }
            }]
          }
        }
      }]
    }
  })
}
