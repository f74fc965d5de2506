variable "project" {
  description = "The project's id."
  type        = string
}

variable "number" {
  description = "The project's number: Pub/Sub's own account is named by it."
  type        = string
}

variable "regions" {
  description = "Where messages may be stored."
  type        = list(string)
}

variable "publishers" {
  description = "Function to the e-mail of its account and the topics that it publishes to."
  type        = map(object({ email = string, topics = list(string) }))
}

variable "push_account" {
  description = "The e-mail of the account that pushes are made as."
  type        = string
}
