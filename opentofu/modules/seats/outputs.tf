locals {
  addresses = [
    for connection in flatten([
      for endpoint in google_memorystore_instance.seats.endpoints : [
        for one in endpoint.connections : one.psc_auto_connection
      ]
    ]) : connection.ip_address
    if connection.connection_type == "CONNECTION_TYPE_PRIMARY"
  ]
}

output "url" {
  description = "Where the primary is, with TLS."
  value       = "rediss://${local.addresses[0]}:6379"
}

output "ca" {
  description = "The certificates, as PEM, of which one signed the server's."
  value = join("\n", flatten([
    for authority in google_memorystore_instance.seats.managed_server_ca : [
      for one in authority.ca_certs : one.certificates
    ]
  ]))
}

output "settings" {
  description = "What the instance is like, for the tests of roots."
  value = {
    replicas      = google_memorystore_instance.seats.replica_count
    policy        = google_memorystore_instance.seats.engine_configs["maxmemory-policy"]
    authorization = google_memorystore_instance.seats.authorization_mode
    encryption    = google_memorystore_instance.seats.transit_encryption_mode
    protected     = google_memorystore_instance.seats.deletion_protection_enabled
  }
}
