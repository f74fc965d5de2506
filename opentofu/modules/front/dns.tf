locals {
  addresses = { domain = var.domain, hosts = "*.${var.domain}" }

  authorization = try(one(google_certificate_manager_dns_authorization.front.dns_resource_record), null)
}

# Only where the zone is in this project. Elsewhere the records are made by hand, as the output `dns_records` says.
resource "google_dns_record_set" "address" {
  for_each = var.dns_zone == null ? {} : local.addresses

  project      = var.project
  managed_zone = var.dns_zone
  name         = "${each.value}."
  type         = "A"
  ttl          = 300
  rrdatas      = [google_compute_global_address.front.address]
}

resource "google_dns_record_set" "authorization" {
  for_each = var.dns_zone == null ? {} : { domain = var.domain }

  project      = var.project
  managed_zone = var.dns_zone
  name         = local.authorization.name
  type         = local.authorization.type
  ttl          = 300
  rrdatas      = [local.authorization.data]
}
