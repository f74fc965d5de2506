variable "project" {
  description = "The project's id."
  type        = string
}

variable "readers" {
  description = "Variable of the environment to those that read it: function to the e-mail of its account."
  type        = map(map(string))
}

variable "versions" {
  description = <<-EOT
    Variable to the number of the secret's version that serves. `deploy keys` prints it. A secret without a number is
    given to nobody, as those of `…_PREVIOUS` are while nothing is being replaced.
  EOT
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.versions) : contains(keys(var.readers), name)])
    error_message = <<-EOT
      There is no secret ${join(", ", setsubtract(keys(var.versions), keys(var.readers)))}: no function of
      functions.json reads it.
    EOT
  }

  validation {
    condition     = alltrue([for version in values(var.versions) : can(regex("^[1-9][0-9]*$", version))])
    error_message = "A version is a number: with `latest`, instances of one revision could have different keys."
  }
}

variable "keep" {
  description = "Whether the secrets are protected. False only for a teardown."
  type        = bool
  default     = true
}
