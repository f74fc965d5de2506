variable "project" {
  description = "The environment's own project."
  type        = string
}

variable "number" {
  description = "The project's number (gcloud projects describe PROJECT --format='value(projectNumber)')."
  type        = string

  validation {
    condition     = can(regex("^[0-9]+$", var.number))
    error_message = "The project's number has digits only."
  }
}

variable "region" {
  description = "The region of the stores and the functions."
  type        = string
}

variable "kms_location" {
  description = "The multi-region of the root key and of backups: us, europe or asia."
  type        = string

  validation {
    condition     = contains(keys(local.backup_locations), var.kms_location)
    error_message = "kms_location is us, europe or asia: elsewhere there are no backups that outlive a region."
  }
}

variable "image" {
  description = "The image with all binaries, by its digest: the job migrate runs it."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "The image must be named by its digest, as REGISTRY/IMAGE@sha256:…, and not by a tag."
  }
}

variable "deployer" {
  description = "The account that deploys the services; null: nobody but who applies this."
  type        = string
  default     = null
}

variable "groups" {
  description = "Groups of people, as in modules/project."
  type = object({
    operators   = optional(string)
    break_glass = optional(string)
  })
  default = {}
}

variable "ranges" {
  description = "Private ranges, as in modules/network."
  type = object({
    functions = optional(string)
    records   = optional(string)
  })
  default = {}
}

variable "records" {
  description = <<-EOT
    The database, as in modules/records. `instances`, `released`, `active` and `replica` change for a restore.
  EOT
  type = object({
    tier            = string
    ha              = bool
    max_connections = number
    active          = optional(string, "a")
    released        = optional(set(string), [])
    instances = optional(map(object({
      clone_of = optional(string)
      at       = optional(string)
      keep     = optional(bool, true)
      inherits = optional(bool)
    })), { a = {} })
    replica = optional(object({
      region   = string
      of       = optional(string, "a")
      promoted = optional(bool, false)
      keep     = optional(bool, true)
    }))
  })
}

variable "seats" {
  description = "Valkey, as in modules/seats."
  type = object({
    node_type = optional(string, "CUSTOM_PICO")
    replicas  = number
  })
}

variable "signer" {
  description = "The root key, as in modules/signer."
  type = object({
    protection_level = string
    versions         = optional(map(string), { "1" = "ENABLED" })
    current          = optional(string, "1")
    next             = optional(string)
  })
}

variable "secret_versions" {
  description = "Variable to the number of the secret's version that serves: `deploy keys` prints it."
  type        = map(string)
  default     = {}
}

variable "identity" {
  description = "Who signs customers in, as in modules/identity."
  type = object({
    domains = optional(list(string), [])
    clients = optional(map(string), {})
  })
  default = {}
}

variable "client_secrets" {
  description = <<-EOT
    Identity provider to the secret of our OAuth client there, for the apply that makes it; later ones ignore it. From
    TF_VAR_client_secrets, never a file.
  EOT
  type        = map(string)
  default     = {}
  sensitive   = true
}

variable "lease" {
  description = "The protocol's times in seconds, as in services.tfvars: after a restore nobody gets a seat so long."
  type = object({
    ttl_seconds   = optional(number, 360)
    drain_seconds = optional(number, 45)
  })
  default = {}
}

variable "keep" {
  description = "Whether stores, keys and secrets are protected. False only for a teardown."
  type        = bool
  default     = true
}
