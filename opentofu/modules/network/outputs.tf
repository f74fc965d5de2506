output "network" {
  description = "The network's full name, known to a plan."
  value       = local.network
}

output "subnet" {
  description = "The full name of the functions' subnet, known to a plan."
  value       = local.subnet
}

output "ready" {
  description = "Known when both stores can get addresses: for depends_on."
  value = {
    records = google_service_networking_connection.records.id
    seats   = google_network_connectivity_service_connection_policy.seats.id
  }
}
