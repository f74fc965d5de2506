# One certificate for the domain and every host below it. The authorization by DNS works before the address does, so
# that a move to this load balancer has no time without a certificate.
resource "google_certificate_manager_dns_authorization" "front" {
  project = var.project
  name    = "front"
  domain  = var.domain
  type    = "PER_PROJECT_RECORD"
}

resource "google_certificate_manager_certificate" "front" {
  project = var.project
  name    = "front"

  managed {
    domains            = [var.domain, "*.${var.domain}"]
    dns_authorizations = [google_certificate_manager_dns_authorization.front.id]
  }
}

resource "google_certificate_manager_certificate_map" "front" {
  project = var.project
  name    = "front"
}

resource "google_certificate_manager_certificate_map_entry" "front" {
  for_each = { domain = var.domain, hosts = "*.${var.domain}" }

  project      = var.project
  map          = google_certificate_manager_certificate_map.front.name
  name         = each.key
  hostname     = each.value
  certificates = [google_certificate_manager_certificate.front.id]
}
