variable "project" {
  description = "The project's id."
  type        = string
}

variable "location" {
  description = "A multi-region (us, europe, asia): keys cannot be moved, and a region's key is lost with its region."
  type        = string

  validation {
    condition     = contains(["us", "europe", "asia", "global"], var.location)
    error_message = "The key must be in a multi-region: us, europe, asia or global."
  }
}

variable "name" {
  description = "The name of the key ring."
  type        = string
  default     = "license"
}

variable "protection_level" {
  description = "HSM in production, SOFTWARE elsewhere. It can be chosen only when the key is made."
  type        = string

  validation {
    condition     = contains(["HSM", "SOFTWARE"], var.protection_level)
    error_message = "The key is kept in an HSM or in SOFTWARE."
  }
}

variable "versions" {
  description = "Number of a version to its state (ENABLED or DISABLED). Add one number at a time."
  type        = map(string)
  default     = { "1" = "ENABLED" }

  validation {
    condition = alltrue([
      for number, state in var.versions :
      can(regex("^[1-9][0-9]*$", number)) && contains(["ENABLED", "DISABLED"], state)
    ])
    error_message = "Versions are numbers from 1 on, and each is ENABLED or DISABLED."
  }
}

variable "current" {
  description = "The number of the version that certifies the keys of instances."
  type        = string
  default     = "1"

  validation {
    condition     = try(var.versions[var.current], "") == "ENABLED"
    error_message = "The current version must be one of the versions, and enabled."
  }
}

variable "next" {
  description = "The number of the version that is published beside it while the key is replaced; null: none."
  type        = string
  default     = null

  validation {
    condition     = var.next == null ? true : var.next != var.current && try(var.versions[var.next], "") == "ENABLED"
    error_message = "The next version must be another one of the versions than the current one, and enabled."
  }
}

variable "signers" {
  description = "Function to the e-mail of its account: those that sign."
  type        = map(string)
}

variable "keep" {
  description = "Whether the key is protected. Never false but in tests: clients have pinned it."
  type        = bool
  default     = true
}
