locals {
  no_secret = "not given: write the client's secret here (opentofu/modules/identity/README.md)"
}

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

# The secret has no write-only form, so it is in the state: the state's bucket has few readers and a key of its own. The
# pipeline does not know it. It is given once, when the provider is made, and left as it is from then on: what another
# apply says of it is ignored, and a provider of which an apply knows no secret stays.
resource "google_identity_platform_default_supported_idp_config" "provider" {
  for_each = var.clients

  project       = var.project
  idp_id        = each.key
  client_id     = each.value
  client_secret = lookup(var.client_secrets, each.key, local.no_secret)
  enabled       = true
  depends_on    = [google_identity_platform_config.customers]

  lifecycle {
    ignore_changes = [client_secret]
  }
}
