output "address" {
  description = "The address that the domain and the hosts below it must point to."
  value       = google_compute_global_address.front.address
}

output "urls" {
  description = "The address of each function at a host of its own."
  value       = { for name, host in local.hosts : name => "https://${host}" }
}

output "dns_records" {
  description = "The DNS records that the domain needs, for those who keep its zone elsewhere."
  value = {
    domain        = { name = var.domain, type = "A", data = google_compute_global_address.front.address }
    hosts         = { name = "*.${var.domain}", type = "A", data = google_compute_global_address.front.address }
    authorization = local.authorization
  }
}

output "configuration" {
  description = "What each backend is given: for the tests of the root."
  value = {
    for name, backend in google_compute_backend_service.function : name => {
      armor = backend.security_policy
      cdn   = backend.enable_cdn
      logs  = backend.log_config[0].enable
    }
  }
}
