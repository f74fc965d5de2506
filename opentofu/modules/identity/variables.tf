variable "project" {
  description = "The project's id."
  type        = string
}

variable "domains" {
  description = "The domains that a page which signs people in may be on."
  type        = list(string)
  default     = []
}

variable "clients" {
  description = "Identity provider (google.com, github.com) to the id of our OAuth client there."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.clients) : contains(["google.com", "github.com"], name)])
    error_message = "The identity providers are google.com and github.com."
  }
}

variable "client_secrets" {
  description = <<-EOT
    Identity provider to the client's secret, for the apply that makes it; later ones ignore it. From the environment
    (TF_VAR_client_secrets), never a file.
  EOT
  type        = map(string)
  default     = {}
  sensitive   = true

  validation {
    condition     = alltrue([for name in keys(var.client_secrets) : contains(keys(var.clients), name)])
    error_message = "There is a secret of an identity provider that has no client."
  }
}

variable "keep" {
  description = "Whether the configuration is protected. False only for a teardown."
  type        = bool
  default     = true
}
