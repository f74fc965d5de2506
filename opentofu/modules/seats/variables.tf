variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "The region of the instance."
  type        = string
}

variable "network" {
  description = "The full name of the network it is reached from."
  type        = string
}

variable "name" {
  description = "What the instance is called."
  type        = string
  default     = "seats"
}

variable "users" {
  description = "Function or job to the e-mail of its account: those that may connect."
  type        = map(string)
}

variable "node_type" {
  description = "The size of a node. CUSTOM_PICO has 1 GB of memory, and a seat takes about 340 bytes."
  type        = string
  default     = "CUSTOM_PICO"
}

variable "replicas" {
  description = "How many replicas there are. With one, the loss of a zone is over in seconds."
  type        = number
  default     = 0

  validation {
    condition     = var.replicas >= 0 && var.replicas <= 5
    error_message = "Memorystore has 0 to 5 replicas."
  }
}

variable "maintenance" {
  description = "When Google may restart it, in UTC."
  type        = object({ day = string, hour = number })
  default     = { day = "SUNDAY", hour = 4 }
}

variable "keep" {
  description = "Whether the instance is protected. False only for a teardown, and to replace it."
  type        = bool
  default     = true
}
