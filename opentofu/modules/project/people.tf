locals {
  roles = {
    operators   = ["roles/logging.viewer", "roles/monitoring.viewer", "roles/run.viewer"]
    break_glass = ["roles/cloudsql.admin", "roles/run.admin", "roles/secretmanager.admin"]
  }
  grants = merge([
    for group, roles in local.roles : {
      for role in roles : "${group} ${role}" => { group = var.groups[group], role = role }
      if try(var.groups[group], null) != null
    }
  ]...)
}

resource "google_project_iam_member" "people" {
  for_each = local.grants

  project = var.project
  role    = each.value.role
  member  = "group:${each.value.group}"
}

# Who read a secret, and who signed with the root key.
resource "google_project_iam_audit_config" "reads" {
  for_each = { for service in ["cloudkms.googleapis.com", "secretmanager.googleapis.com"] : service => service }

  project = var.project
  service = each.value

  audit_log_config {
    log_type = "DATA_READ"
  }
  audit_log_config {
    log_type = "ADMIN_READ"
  }
}
