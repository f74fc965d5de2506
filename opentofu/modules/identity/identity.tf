# Exists once in a project and can never be deleted.
resource "google_identity_platform_config" "customers" {
  project                    = var.project
  autodelete_anonymous_users = true
  authorized_domains         = concat(var.domains, ["${var.project}.firebaseapp.com"])

  sign_in {
    allow_duplicate_emails = false

    anonymous {
      enabled = false
    }
    email {
      enabled           = true
      password_required = false # a link by mail
    }
  }

  lifecycle {
    prevent_destroy = var.keep
  }
}

# The secret has no write-only form, so it is in the state: the state's bucket has few readers and a key of its own.
resource "google_identity_platform_default_supported_idp_config" "provider" {
  for_each = {
    for name, client in var.clients : name => client if contains(nonsensitive(keys(var.client_secrets)), name)
  }

  project       = var.project
  idp_id        = each.key
  client_id     = each.value
  client_secret = var.client_secrets[each.key]
  enabled       = true
  depends_on    = [google_identity_platform_config.customers]
}
