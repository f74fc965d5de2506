output "subscriptions" {
  description = "The names of the subscriptions, for alerts on their backlog."
  value       = { for name, subscription in google_pubsub_subscription.push : name => subscription.name }
}

output "configuration" {
  description = "What the subscriptions and the clock are given: for the tests of the root."
  value = {
    paused   = google_cloud_scheduler_job.tick.paused
    schedule = google_cloud_scheduler_job.tick.schedule
    endpoints = {
      for name, subscription in google_pubsub_subscription.push : name => subscription.push_config[0].push_endpoint
    }
    audiences = {
      for name, subscription in google_pubsub_subscription.push :
      name => subscription.push_config[0].oidc_token[0].audience
    }
  }
}
