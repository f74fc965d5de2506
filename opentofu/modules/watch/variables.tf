variable "project" {
  description = "The environment's project: what is watched and where the metrics, alerts and dashboards are."
  type        = string
}

variable "domain" {
  description = "The domain of the front, without a scheme; null where there is no front, which is then not asked for."
  type        = string
  default     = null
}

variable "docs_url" {
  description = "The page that says what to do about each alert (docs/DEPLOYING.md), as a URL without an anchor."
  type        = string
  validation {
    condition     = startswith(var.docs_url, "https://") && !strcontains(var.docs_url, "#")
    error_message = "docs_url must be an https address without an anchor: each alert adds its own."
  }
}

variable "functions" {
  description = "The functions by name, each with the largest number of instances that it may have."
  type        = map(object({ max = number }))
}

variable "max_connections" {
  description = "The connections that PostgreSQL allows."
  type        = number
}

variable "subscriptions" {
  description = "The names of the subscription of the topic reap and of the one that keeps what was given up."
  type        = object({ reap = string, dead = string })
  default     = { reap = "reap", dead = "dead" }
}

variable "replica" {
  description = "True where PostgreSQL has a replica in another region."
  type        = bool
  default     = false
}

variable "deployers" {
  description = "E-mail addresses of the accounts that may change the cloud without an alert: those of the pipeline."
  type        = set(string)
  default     = []
}

variable "channels" {
  description = <<-EOT
    Whom an alert is told to, by a name of your own: an e-mail address, a number for text messages, or a Pub/Sub topic
    (projects/…/topics/…), and for which urgencies. Channels with a secret (PagerDuty, Slack) are made by hand, so that
    no secret is in the state; give their ids in made_by_hand.
  EOT
  type = map(object({
    email     = optional(string)
    sms       = optional(string)
    topic     = optional(string)
    urgencies = set(string)
  }))
  validation {
    condition = alltrue([for channel in var.channels :
    length([for address in [channel.email, channel.sms, channel.topic] : address if address != null]) == 1])
    error_message = "Each channel has exactly one of email, sms and topic."
  }
  validation {
    condition = alltrue([for channel in var.channels :
    length(setsubtract(channel.urgencies, ["page", "ticket"])) == 0])
    error_message = "The urgencies of a channel are page and ticket."
  }
}

variable "made_by_hand" {
  description = "Ids of notification channels (projects/…/notificationChannels/…) that were made by hand, by urgency."
  type        = object({ page = optional(set(string), []), ticket = optional(set(string), []) })
  default     = {}
}

variable "paused" {
  description = "True while the environment is paused on purpose: nobody is woken because nothing runs."
  type        = bool
  default     = false
}

variable "stored_share" {
  description = "The share of lines of successful heartbeats, and of those that Cloud Run itself writes, that is stored."
  type        = number
  default     = 0.01
  validation {
    condition     = var.stored_share > 0 && var.stored_share < 1
    error_message = "stored_share is above 0 and below 1: 0.01 stores one line in a hundred."
  }
}

variable "heartbeat_seconds" {
  description = "The average time between two heartbeats of a program: what turns heartbeats a second into sessions."
  type        = number
  default     = 108
}
