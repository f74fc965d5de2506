# What only the values of several variables together show to be wrong. Each is refused by the output that it concerns.

locals {
  missing_secrets = distinct(flatten([
    for function in local.functions : setsubtract(function.secrets, keys(var.platform.secrets))
  ]))

  # Every name that some function reads and that this root does not fill in itself.
  settable = setsubtract(
    flatten(values(local.variables)),
    concat(keys(local.values), keys(values(local.own_values)[0])),
  )
  unknown_settings = setsubtract(keys(var.settings), local.settable)
}

output "secrets" {
  description = "The secrets that each function reads."
  value       = { for name, secrets in local.secrets : name => keys(secrets) }

  precondition {
    condition     = length(local.missing_secrets) == 0
    error_message = <<-EOT
      functions.json names secrets that the platform does not have: ${join(", ", local.missing_secrets)}. Correct the
      name, or add the secret to platform.tfvars, apply platform and draw its value with `deploy keys`.
    EOT
  }
}

output "settings" {
  description = "The variables that services.tfvars sets by name."
  value       = var.settings

  precondition {
    condition     = contains(keys(var.platform.secrets), "MAIL_URL") == contains(keys(var.settings), "MAIL_FROM")
    error_message = <<-EOT
      Mail wants both: MAIL_URL in `secret_versions` of platform.tfvars, which `deploy keys ENVIRONMENT mail` prints, and
      MAIL_FROM in `settings` of services.tfvars, such as "Licenses <license@example.com>". One of them is missing.
    EOT
  }

  precondition {
    condition     = length(local.unknown_settings) == 0
    error_message = <<-EOT
      `settings` has names that no function reads, or that this root fills in itself:
      ${join(", ", local.unknown_settings)}.
      The names that may be set are ${join(", ", sort(local.settable))}.
    EOT
  }
}

output "staff_audience" {
  description = "The audience of the ID tokens of staff; null where staff is served by another deployment."
  value       = try(var.staff.audience, null)

  precondition {
    condition     = try(var.staff.audience, null) != var.platform.identity.audience
    error_message = <<-EOT
      The audience of staff is that of customers too (${var.platform.identity.audience}): every customer would be staff.
      Name one that customers cannot sign in to.
    EOT
  }
}
