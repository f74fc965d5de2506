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
