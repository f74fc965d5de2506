locals {
  # Cloud SQL's name of an account.
  users = { for name, email in var.users : name => trimsuffix(email, ".gserviceaccount.com") }
  logins = merge([
    for key in keys(local.first) : {
      for name, user in local.users : "${key} ${name}" => { instance = key, name = name }
    }
  ]...)
}

resource "google_sql_database" "records" {
  for_each = local.first

  project         = var.project
  instance        = google_sql_database_instance.records[each.key].name
  name            = var.database
  charset         = "UTF8"
  deletion_policy = "ABANDON"
}

# No passwords: each account logs in with an access token. What it may do in the database is given by the job `migrate`,
# which alone is a superuser's member.
resource "google_sql_user" "user" {
  for_each = local.logins

  project  = var.project
  instance = google_sql_database_instance.records[each.value.instance].name
  name     = local.users[each.value.name]
  type     = "CLOUD_IAM_SERVICE_ACCOUNT"
  # A user that owns something cannot be deleted.
  deletion_policy = "ABANDON"
  database_roles  = each.value.name == var.migrator ? ["cloudsqlsuperuser"] : null
}

resource "google_project_iam_member" "login" {
  for_each = var.users

  project = var.project
  role    = "roles/cloudsql.instanceUser"
  member  = "serviceAccount:${each.value}"
}
