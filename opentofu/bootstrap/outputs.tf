output "repository" {
  description = "Where images are."
  value       = module.pipeline.repository
}

output "deployers" {
  description = "Environment to the account that deploys it."
  value       = module.pipeline.deployers
}
