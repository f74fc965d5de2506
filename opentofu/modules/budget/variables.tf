variable "project" {
  description = "The project whose costs are watched."
  type        = string
}

variable "project_number" {
  description = "Its number, by which the budget knows it."
  type        = string
}

variable "billing_account" {
  description = "The billing account that pays for the project, such as 012345-6789AB-CDEF01."
  type        = string

  validation {
    condition     = can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "The billing account must be three groups of six digits, such as 012345-6789AB-CDEF01."
  }
}

variable "amount" {
  description = "What the environment may cost in a month, in whole units of the currency."
  type        = number

  validation {
    condition     = var.amount >= 1 && floor(var.amount) == var.amount
    error_message = "The amount must be a whole number of 1 or more."
  }
}

variable "currency" {
  description = "The currency of the amount, which must be that of the billing account."
  type        = string
  default     = "USD"
}

variable "channels" {
  description = "The notification channels that are told beside the billing administrators, at most five."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.channels) <= 5
    error_message = "A budget tells at most five channels."
  }
}
