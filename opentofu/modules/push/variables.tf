variable "project" {
  description = "The project that the subscriptions and the clock are in."
  type        = string
}

variable "project_number" {
  description = "Its number, which is a part of the name of Pub/Sub's agent."
  type        = string
}

variable "region" {
  description = "The region of the clock."
  type        = string
}

variable "account" {
  description = "The e-mail of the service account in whose name Pub/Sub sends tokens: PUSH_EMAIL of the functions."
  type        = string
}

variable "pushes" {
  description = <<-EOT
    The subscriptions by their names: each the id of a topic, the address of the function that its messages are pushed
    to, at run.app and without a slash at its end, and the path there. The address is the audience of the tokens too,
    which the function compares with PUSH_AUDIENCE.
  EOT
  type        = map(object({ topic = string, url = string, path = string }))

  validation {
    condition     = alltrue([for push in var.pushes : can(regex("^https://[a-z0-9.-]+\\.run\\.app$", push.url))])
    error_message = <<-EOT
      The address must be one at run.app, such as https://reaper-123.us-central1.run.app: at any other one Pub/Sub does
      not reach a service with internal ingress.
    EOT
  }

  validation {
    condition     = alltrue([for push in var.pushes : startswith(push.path, "/")])
    error_message = "The path of a push must begin with a slash."
  }
}

variable "tick_topic" {
  description = "The id of the topic that the clock publishes to."
  type        = string

  validation {
    condition     = can(regex("^projects/[^/]+/topics/[^/]+$", var.tick_topic))
    error_message = "The topic must be named in full, as projects/PROJECT/topics/NAME."
  }
}

variable "dead_letter_topic" {
  description = "The id of the topic that a message is moved to after ten attempts."
  type        = string
}

variable "paused" {
  description = "Whether the clock stands still."
  type        = bool
  default     = false
}
