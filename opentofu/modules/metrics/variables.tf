variable "project" {
  description = "The environment's project."
  type        = string
}
