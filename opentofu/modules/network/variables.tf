variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "The region of the functions and the stores."
  type        = string
}

variable "name" {
  description = "What the network and its parts are called."
  type        = string
  default     = "license"
}

variable "ranges" {
  description = <<-EOT
    Private ranges: `functions` (a /24 has room for 60 instances, twice over while a revision is replaced) and
    `records` (Cloud SQL asks for a /24 or more for each region; a /20 has room for a replica elsewhere).
  EOT
  type = object({
    functions = optional(string, "10.10.0.0/24")
    records   = optional(string, "10.20.0.0/20")
  })
  default = {}

  validation {
    condition     = tonumber(split("/", var.ranges.functions)[1]) <= 26
    error_message = "The functions need a /26 or larger: Cloud Run starts no instance without addresses."
  }
}

variable "keep" {
  description = "Whether the connection to Cloud SQL is left alone when this is taken away. False only for a teardown."
  type        = bool
  default     = true
}
