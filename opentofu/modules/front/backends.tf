resource "google_compute_region_network_endpoint_group" "function" {
  for_each = var.functions

  project               = var.project
  region                = var.region
  name                  = "${each.key}-${var.region}"
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = each.value.service
  }

  # In another region the group is another one: the new one is there before the backend lets go of the old one.
  lifecycle {
    create_before_destroy = true
  }
}

# No health check and no timeout: a serverless backend takes neither. The service's own timeout ends a request.
resource "google_compute_backend_service" "function" {
  for_each = var.functions

  project               = var.project
  name                  = each.key
  protocol              = "HTTPS"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  security_policy       = each.value.armor ? local.policy : null
  enable_cdn            = each.value.cdn

  backend {
    group = google_compute_region_network_endpoint_group.function[each.key].id
  }

  # The services write a line for each request. A second one at the load balancer would double what logs cost; it is
  # wanted while somebody looks into what Cloud Armor refuses, which is logged here and nowhere else.
  log_config {
    enable      = var.log_sample_rate > 0
    sample_rate = var.log_sample_rate > 0 ? var.log_sample_rate : null
  }

  dynamic "cdn_policy" {
    for_each = each.value.cdn ? { origin = "USE_ORIGIN_HEADERS" } : {}

    content {
      cache_mode = cdn_policy.value
    }
  }
}
