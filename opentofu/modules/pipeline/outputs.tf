output "repository" {
  description = "Where images are."
  value       = local.repository
}

output "deployers" {
  description = "Environment to the account that deploys it."
  value       = local.deployers
}

output "buckets" {
  description = "What the buckets are called."
  value       = local.buckets
}
