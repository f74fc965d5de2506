resource "google_compute_global_address" "front" {
  project      = var.project
  name         = "front"
  address_type = "EXTERNAL"
  ip_version   = "IPV4"
}

resource "google_compute_ssl_policy" "front" {
  project         = var.project
  name            = "front"
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"
}

resource "google_compute_target_https_proxy" "front" {
  project         = var.project
  name            = "front"
  url_map         = google_compute_url_map.front.id
  ssl_policy      = google_compute_ssl_policy.front.id
  certificate_map = "//certificatemanager.googleapis.com/${google_certificate_manager_certificate_map.front.id}"
}

resource "google_compute_global_forwarding_rule" "https" {
  project               = var.project
  name                  = "front-https"
  target                = google_compute_target_https_proxy.front.id
  ip_address            = google_compute_global_address.front.id
  port_range            = "443"
  load_balancing_scheme = "EXTERNAL_MANAGED"
}

# HTTP answers with the address in HTTPS and nothing else.
resource "google_compute_url_map" "redirect" {
  project = var.project
  name    = "front-redirect"

  default_url_redirect {
    https_redirect         = true
    strip_query            = false
    redirect_response_code = "MOVED_PERMANENTLY_DEFAULT"
  }
}

resource "google_compute_target_http_proxy" "redirect" {
  project = var.project
  name    = "front-redirect"
  url_map = google_compute_url_map.redirect.id
}

resource "google_compute_global_forwarding_rule" "http" {
  project               = var.project
  name                  = "front-http"
  target                = google_compute_target_http_proxy.redirect.id
  ip_address            = google_compute_global_address.front.id
  port_range            = "80"
  load_balancing_scheme = "EXTERNAL_MANAGED"
}
