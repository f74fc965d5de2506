output "secrets" {
  description = "Variable to the secret and the version that serves, for those that have a version."
  value = {
    for name, version in var.versions : name => { secret = local.ids[name], version = version }
  }
}
