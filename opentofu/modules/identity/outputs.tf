output "issuer" {
  description = "The value of IDENTITY_ISSUER."
  value       = "https://securetoken.google.com/${var.project}"
}

output "audience" {
  description = "The value of IDENTITY_AUDIENCE."
  value       = var.project
}
