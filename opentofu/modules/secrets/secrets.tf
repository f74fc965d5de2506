locals {
  ids = { for name in keys(var.readers) : name => lower(replace(name, "_", "-")) }
  grants = merge([
    for name, accounts in var.readers : {
      for account, email in accounts : "${name} ${account}" => { name = name, email = email }
    }
  ]...)
}

# Only the place of each value. `deploy keys` draws the values: no state and no plan ever has one.
resource "google_secret_manager_secret" "secret" {
  for_each = local.ids

  project             = var.project
  secret_id           = each.value
  deletion_protection = var.keep
  deletion_policy     = var.keep ? "PREVENT" : "DELETE"

  # A version whose end was ordered can be had back for 30 days.
  version_destroy_ttl = "2592000s"

  replication {
    auto {}
  }

  lifecycle {
    prevent_destroy = var.keep
  }
}

# On each secret, not on the project: a function reads its own secrets and no others.
resource "google_secret_manager_secret_iam_member" "reader" {
  for_each = local.grants

  project   = var.project
  secret_id = google_secret_manager_secret.secret[each.value.name].id
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:${each.value.email}"
}
