variable "platform" {
  description = <<-EOT
    What the root platform made: `deploy` writes its outputs to platform.auto.tfvars.json. `accounts`: function to
    e-mail; `records.url`: without a user; `records.replica`: whether one in another region follows; `secrets`: variable
    to secret and version; `topics`: name to id.
  EOT
  type = object({
    project  = string
    number   = string
    region   = string
    network  = string
    subnet   = string
    accounts = map(string)
    records  = object({ url = string, ca = string, max_connections = number, replica = optional(bool) })
    seats    = object({ url = string, ca = string })
    signer   = object({ root_key = string, root_key_next = optional(string) })
    secrets  = map(object({ secret = string, version = string }))
    identity = object({ issuer = string, audience = string })
    topics   = map(string)

    push_account = string
  })
}

variable "image" {
  description = "The image with all binaries, by its digest."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "The image must be named by its digest, as REGISTRY/IMAGE@sha256:…, and not by a tag."
  }
}

variable "region" {
  description = "The region that the functions run in; null: that of the platform."
  type        = string
  default     = null
}

variable "sizes" {
  description = <<-EOT
    The size of each function. `max` and `min`: instances (min 0: it scales to zero; more are kept warm and paid for);
    `pool`: connections of one instance to PostgreSQL, `pool_size` unless set; `cpu_idle`: false is billed by the time
    that an instance exists, which is cheaper above about ten requests a second around the clock.
  EOT
  type = map(object({
    max      = number
    min      = optional(number, 0)
    pool     = optional(number)
    cpu_idle = optional(bool, true)
  }))

  validation {
    condition     = alltrue([for size in var.sizes : size.max >= 1 && size.min >= 0 && size.min <= size.max])
    error_message = <<-EOT
      A function's least number of instances must be 0 or more, and not above its largest (1 or more). Wrong:
      ${join(", ", [for name, size in var.sizes : name if size.max < 1 || size.min < 0 || size.min > size.max])}.
    EOT
  }
}

variable "pool_size" {
  description = "The connections of one instance to PostgreSQL."
  type        = number
  default     = 4

  validation {
    condition     = var.pool_size >= 1 && var.pool_size <= 1000
    error_message = "The pool must have 1 to 1000 connections: the services accept no other number."
  }
}

variable "front" {
  description = <<-EOT
    The load balancer: the domain that clients know, the Cloud DNS zone in this project that holds it (null: records by
    hand), the requests of one address in a minute above which Cloud Armor answers 429, the share of requests that the
    load balancer logs too, and how many addresses it and Cloud Run add to X-Forwarded-For. Null: no load balancer.
  EOT
  type = object({
    domain              = string
    dns_zone            = optional(string)
    requests_per_minute = optional(number, 600)
    log_sample_rate     = optional(number, 0)
    trusted_proxies     = optional(number, 2)
  })
  default = null
}

variable "token_issuer" {
  description = "The `iss` of every token; null: the address that clients know."
  type        = string
  default     = null
}

variable "docs_url" {
  description = "Where the documentation is served: the `type` of every error points there, else to a page of the server itself."
  type        = string
  default     = null
}

variable "lease" {
  description = <<-EOT
    The protocol's times in seconds: the lease of a session, how long an answer of a deposed primary of the seat store
    may still arrive, and what heartbeats aim at (null: 30 % of the lease).
  EOT
  type = object({
    ttl_seconds       = optional(number, 360)
    drain_seconds     = optional(number, 45)
    heartbeat_seconds = optional(number)
  })
  default = {}

  validation {
    condition     = var.lease.ttl_seconds >= 2 && var.lease.ttl_seconds <= 86400
    error_message = "The lease must be 2 to 86400 s: the services accept no other (SEAT_TTL_SECONDS)."
  }

  validation {
    condition     = var.lease.drain_seconds >= 35 && var.lease.drain_seconds <= 3600
    error_message = <<-EOT
      The drain must be 35 to 3600 s on Cloud Run (SEAT_DRAIN_SECONDS): connections live 30 s and requests 5 s, and an
      answer that arrives later than the drain could give a seat away twice.
    EOT
  }

  validation {
    condition = var.lease.heartbeat_seconds == null ? true : (
      var.lease.heartbeat_seconds >= 1 && var.lease.heartbeat_seconds <= floor(var.lease.ttl_seconds / 2)
    )
    error_message = <<-EOT
      Heartbeats must aim at 1 s or more, and at most half of the lease (HEARTBEAT_SECONDS): one that is lost must not
      cost the seat.
    EOT
  }

  validation {
    condition     = alltrue([for value in values(var.lease) : value == null ? true : floor(value) == value])
    error_message = "The times of a lease must be whole seconds."
  }
}

variable "staff" {
  description = <<-EOT
    Who says who the vendor's staff is. Everybody with an ID token of this audience may do everything in every
    organization. Null: staff is served by another deployment.
  EOT
  type        = object({ issuer = string, audience = string, jwks_url = optional(string) })
  default     = null
}

variable "settings" {
  description = "Other variables of the functions by name, such as RATE_ADMIN. Each function gets those that it reads."
  type        = map(string)
  default     = {}
}

variable "paused" {
  description = "Whether every function has no instances and the clock stands still, as a restore needs it."
  type        = bool
  default     = false
}

variable "canary_percent" {
  description = "The share of requests in percent for a new release, while `previous_revisions` names the old one."
  type        = number
  default     = null

  validation {
    condition     = var.canary_percent == null ? true : var.canary_percent >= 1 && var.canary_percent <= 99
    error_message = "A canary has 1 to 99 percent of the requests."
  }
}

variable "previous_revisions" {
  description = <<-EOT
    The revision of each function that serves the other requests: the output `revisions` before this apply. Empty: the
    new release serves all of them.
  EOT
  type        = map(string)
  default     = {}
}

variable "budget" {
  description = "The billing account that pays for the project, and what it may cost in a month. Null: no budget."
  type        = object({ billing_account = string, amount = number, currency = optional(string, "USD") })
  default     = null
}

variable "watch" {
  description = <<-EOT
    Whom an alert is told to and where it says what to do (module watch). `docs_url`: the page docs/DEPLOYING.md as it
    is published; `channels` and `made_by_hand`: people by urgency; `deployers`: accounts that may change the cloud
    without an alert. Null: nothing is watched.
  EOT
  type = object({
    docs_url          = string
    dead_subscription = optional(string, "dead")
    deployers         = optional(set(string), [])

    channels = map(object({
      email     = optional(string)
      sms       = optional(string)
      topic     = optional(string)
      urgencies = set(string)
    }))

    made_by_hand = optional(object({ page = optional(set(string), []), ticket = optional(set(string), []) }), {})
  })
  default = null
}
