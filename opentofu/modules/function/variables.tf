variable "project" {
  description = "The project that the service runs in."
  type        = string
}

variable "region" {
  description = "The region that the service runs in."
  type        = string
}

variable "name" {
  description = "The function's name: of the service, and of its binary in the image."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,47}[a-z0-9]$", var.name))
    error_message = "The name must be lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "image" {
  description = "The image with all binaries, by its digest: a tag may be moved, and then nobody knows what runs."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9./_-]*@sha256:[0-9a-f]{64}$", var.image))
    error_message = "The image must be named by its digest, as REGISTRY/IMAGE@sha256:…, and not by a tag."
  }
}

variable "account" {
  description = "The e-mail of the service account that the service runs as."
  type        = string
}

variable "ingress" {
  description = "Who reaches the service: `lb` the load balancer, `internal` Google's own callers, `all` everybody."
  type        = string

  validation {
    condition     = contains(["lb", "internal", "all"], var.ingress)
    error_message = "The ingress must be lb, internal or all."
  }
}

variable "environment" {
  description = "The variables of the environment with plain values."
  type        = map(string)
}

variable "secrets" {
  description = "The variables whose values are secrets: each the secret's name and the number of its version."
  type        = map(object({ secret = string, version = string }))
  default     = {}

  validation {
    condition     = alltrue([for one in var.secrets : can(regex("^[1-9][0-9]*$", one.version))])
    error_message = <<-EOT
      A secret must be named with the number of its version. With `latest`, instances that start later would use another
      value than those that run, and no plan would say so.
    EOT
  }
}

variable "signs" {
  description = "Whether the function signs tokens with the root key."
  type        = bool
  default     = false
}

variable "network" {
  description = "The network that both stores are in."
  type        = string
}

variable "subnet" {
  description = "The subnet that instances take their addresses from."
  type        = string
}

variable "concurrency" {
  description = "The number of requests that one instance serves at the same time."
  type        = number

  validation {
    condition     = var.concurrency >= 1 && var.concurrency <= 1000
    error_message = "The concurrency must be 1 to 1000."
  }
}

variable "timeout" {
  description = "The time after which Cloud Run ends a request, in seconds, such as 10s."
  type        = string

  validation {
    condition     = can(regex("^[1-9][0-9]*s$", var.timeout))
    error_message = "The timeout must be a whole number of seconds, such as 10s."
  }
}

variable "memory" {
  description = "The memory of one instance."
  type        = string
  default     = "256Mi"
}

variable "cpu_idle" {
  description = "Whether an instance has no CPU between requests. False is billed by the time an instance exists."
  type        = bool
  default     = true
}

variable "scaling" {
  description = "The number of instances: at least `min` (0: the service scales to zero), at most `max`."
  type        = object({ min = optional(number, 0), max = number })

  validation {
    condition     = var.scaling.min >= 0 && var.scaling.max >= 1 && var.scaling.min <= var.scaling.max
    error_message = "The least number of instances must be 0 or more, and not above the largest (1 or more)."
  }
}

variable "paused" {
  description = "Whether the service has no instances at all and answers nobody."
  type        = bool
  default     = false
}

variable "canary" {
  description = "The share of requests in percent for the new revision, while the previous one serves the others."
  type        = object({ previous_revision = string, percent = number })
  default     = null

  validation {
    condition     = var.canary == null ? true : var.canary.percent >= 1 && var.canary.percent <= 99
    error_message = "A canary has 1 to 99 percent of the requests. To give it all of them, leave the canary out."
  }
}
