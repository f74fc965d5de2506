variable "project" {
  description = "The project's id."
  type        = string
}

variable "accounts" {
  description = "Function or job to the id of its service account: 6 to 30 letters, digits and hyphens."
  type        = map(string)

  validation {
    condition     = length(distinct(values(var.accounts))) == length(var.accounts)
    error_message = "Every function has an account of its own, so that its rights are its own."
  }
}

variable "jobs" {
  description = "Those of the accounts that are of jobs: who deploys the functions may not run anything as them."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.jobs, keys(var.accounts))) == 0
    error_message = "A job is one of the accounts: ${join(", ", keys(var.accounts))}."
  }
}

variable "deployer" {
  description = "The account that deploys the functions; null: nobody but who applies this."
  type        = string
  default     = null
}

variable "groups" {
  description = <<-EOT
    Groups of people: `operators` look at services, logs and metrics; `break_glass` is empty on ordinary days and may
    change the database, the secrets and the services. Null: nobody.
  EOT
  type = object({
    operators   = optional(string)
    break_glass = optional(string)
  })
  default = {}
}
