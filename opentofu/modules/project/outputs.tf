output "accounts" {
  description = "Function or job to the e-mail of its account."
  value       = local.emails
}

output "ready" {
  description = "Known when Google's services are enabled and the accounts exist: for depends_on."
  value = {
    accounts = { for name, account in google_service_account.account : name => account.id }
    services = { for name, service in google_project_service.used : name => service.id }
    pubsub   = google_project_service_identity.pubsub.id
  }
}
