# From outside, as a client comes: names, certificates, the load balancer and acquire, which has the answer at hand.

resource "google_monitoring_uptime_check_config" "keys" {
  count = var.domain == null ? 0 : 1

  project      = var.project
  display_name = "The root's public keys"
  period       = "60s"
  timeout      = "10s"
  # Google asks from three continents at least.
  selected_regions = ["EUROPE", "USA_VIRGINIA", "ASIA_PACIFIC"]

  http_check {
    path         = "/.well-known/license-keys"
    port         = 443
    use_ssl      = true
    validate_ssl = true
    accepted_response_status_codes {
      status_class = "STATUS_CLASS_2XX"
    }
  }
  content_matchers {
    content = "\"keys\""
    matcher = "CONTAINS_STRING"
  }
  monitored_resource {
    type   = "uptime_url"
    labels = { project_id = var.project, host = var.domain }
  }
}
