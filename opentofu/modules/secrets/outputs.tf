output "secrets" {
  description = "Variable to the secret and the version that serves, for those that have a version."
  value = {
    for name, version in var.versions : name => { secret = local.ids[name], version = version }
  }
}

output "readers" {
  description = "Variable to the members that read its secret."
  value = {
    for name in keys(local.ids) : name => toset([
      for key, grant in google_secret_manager_secret_iam_member.reader : grant.member if local.grants[key].name == name
    ])
  }
}
