variable "project" {
  description = "The project that builds."
  type        = string
}

variable "number" {
  description = "Its number."
  type        = string
}

variable "region" {
  description = "The region of the builds."
  type        = string
}

variable "location" {
  description = "The multi-region of states, plans, images and their key, which outlive a region: us, europe or asia."
  type        = string

  validation {
    condition     = contains(keys(local.bucket_locations), var.location)
    error_message = "location is us, europe or asia: with a region, a state would be lost together with what it is of."
  }
}

variable "environments" {
  description = <<-EOT
    Environment to its project, the project's number, the branch whose pushes it is deployed for (a regular expression;
    null: it is started by the environment before), and whether a person approves each build.
  EOT
  type = map(object({
    project  = string
    number   = string
    push     = optional(string)
    approval = optional(bool, false)
  }))

  validation {
    condition     = alltrue([for name, one in var.environments : one.approval if name == "prod"])
    error_message = "Every build of prod is approved by a person."
  }
}

variable "repository" {
  description = "The repository's full name (projects/…/connections/…/repositories/…); null until it is connected."
  type        = string
  default     = null
}

variable "steps" {
  description = "The images that steps run in (builder, cloud), by their digests: `deploy bootstrap` writes them."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for image in values(var.steps) : can(regex("@sha256:[0-9a-f]{64}$", image))])
    error_message = "The images of the steps must be named by their digests."
  }
}

variable "attested" {
  description = "Whether Cloud Build has built an image, and with it the attestor that Cloud Run then asks for."
  type        = bool
  default     = false
}

variable "approvers" {
  description = "The group of people who approve the builds that wait for it (prod); null: the project's owners alone."
  type        = string
  default     = null
}

variable "administrators" {
  description = "The group of people who apply the root platform by hand; null: none."
  type        = string
  default     = null
}

variable "keep" {
  description = "Whether buckets and keys are protected. False only for a teardown."
  type        = bool
  default     = true
}
