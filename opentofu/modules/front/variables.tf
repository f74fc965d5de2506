variable "project" {
  description = "The project that the load balancer is in."
  type        = string
}

variable "region" {
  description = "The region that the services run in."
  type        = string
}

variable "domain" {
  description = "The domain that clients know, such as licenses.example.com. Each function also has a host below it."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.domain))
    error_message = "The domain must be a name such as licenses.example.com, in lower case, without a dot at its end."
  }
}

variable "functions" {
  description = <<-EOT
    The functions behind the load balancer. `service`: the name of the Cloud Run service; `paths`: what it answers on
    the domain itself; `armor`: whether Cloud Armor looks at its requests; `cdn`: whether its answers are kept by the
    CDN as their headers say; `default_route`: whether it answers what belongs to nobody, which exactly one does.
  EOT
  type = map(object({
    service       = string
    paths         = list(string)
    armor         = optional(bool, false)
    cdn           = optional(bool, false)
    default_route = optional(bool, false)
  }))

  validation {
    condition     = length([for function in var.functions : function if function.default_route]) == 1
    error_message = "Exactly one function must have the default route."
  }

  validation {
    condition = alltrue([
      for path in flatten([for function in var.functions : function.paths]) :
      can(regex("^/([^*?#]*|[^*?#]*/\\*|\\*)$", path))
    ])
    error_message = "A path must begin with a slash, and may have a star after its last slash and nowhere else."
  }

  validation {
    condition = alltrue([
      for name, function in var.functions : !function.armor if contains(["heartbeat", "release"], name)
    ])
    error_message = <<-EOT
      Cloud Armor must not look at heartbeat or release: it costs $0.75 for a million requests, and these requests carry
      a handle that the service checks itself.
    EOT
  }
}

variable "dns_zone" {
  description = "The Cloud DNS zone of the domain in this project. Null: the DNS records are made by hand."
  type        = string
  default     = null
}

variable "requests_per_minute" {
  description = "The requests of one address in a minute above which Cloud Armor answers 429."
  type        = number
  default     = 600

  validation {
    condition     = var.requests_per_minute >= 1
    error_message = "The number of requests must be 1 or more."
  }
}

variable "waf_sets" {
  description = "The preconfigured rule sets of Cloud Armor that are evaluated in preview, which refuses nothing."
  type        = set(string)
  default     = ["protocolattack-v33-stable", "sqli-v33-stable"]
}

variable "log_sample_rate" {
  description = "The share of requests that the load balancer logs too: 0 (none) to 1."
  type        = number
  default     = 0

  validation {
    condition     = var.log_sample_rate >= 0 && var.log_sample_rate <= 1
    error_message = "The share must be 0 to 1."
  }
}
