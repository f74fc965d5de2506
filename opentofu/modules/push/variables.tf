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

variable "url" {
  description = "The address of the function that is pushed to, at run.app, without a slash at its end."
  type        = string

  validation {
    condition     = can(regex("^https://[a-z0-9.-]+\\.run\\.app$", var.url))
    error_message = <<-EOT
      The address must be one at run.app, such as https://reaper-123.us-central1.run.app: at any other one Pub/Sub does
      not reach a service with internal ingress.
    EOT
  }
}

variable "audience" {
  description = "The audience of the tokens that Pub/Sub sends, which the function compares with PUSH_AUDIENCE."
  type        = string
}

variable "account" {
  description = "The e-mail of the service account in whose name Pub/Sub sends tokens: PUSH_EMAIL of the function."
  type        = string
}

variable "pushes" {
  description = "The subscriptions: each the id of a topic, and the path that its messages are pushed to."
  type        = map(object({ topic = string, path = string }))

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
