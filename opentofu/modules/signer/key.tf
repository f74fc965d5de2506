locals {
  # Built, not read: Google numbers the versions of a key from 1, in the order in which they are made.
  ring = "projects/${var.project}/locations/${var.location}/keyRings/${var.name}"
  key  = "${local.ring}/cryptoKeys/root"
  path = { for number in keys(var.versions) : number => "kms:${local.key}/cryptoKeyVersions/${number}" }
}

# Rings and keys can never be deleted, only left alone.
resource "google_kms_key_ring" "ring" {
  project  = var.project
  name     = var.name
  location = var.location

  lifecycle {
    prevent_destroy = var.keep
  }
}

resource "google_kms_crypto_key" "root" {
  name                          = "root"
  key_ring                      = google_kms_key_ring.ring.id
  purpose                       = "ASYMMETRIC_SIGN"
  skip_initial_version_creation = true
  destroy_scheduled_duration    = "10368000s" # 120 days
  deletion_policy               = var.keep ? "PREVENT" : "DELETE"

  version_template {
    algorithm        = "RSA_SIGN_PKCS1_4096_SHA256"
    protection_level = var.protection_level
  }

  lifecycle {
    prevent_destroy = var.keep
  }
}

resource "google_kms_crypto_key_version" "version" {
  for_each = var.versions

  crypto_key      = google_kms_crypto_key.root.id
  state           = each.value
  deletion_policy = var.keep ? "PREVENT" : "DELETE"

  lifecycle {
    prevent_destroy = var.keep
  }
}

# The functions that sign, and nobody else: they may use the key and may not change it.
resource "google_kms_crypto_key_iam_member" "signer" {
  for_each = merge([
    for role in ["roles/cloudkms.signer", "roles/cloudkms.publicKeyViewer"] : {
      for name, email in var.signers : "${name} ${role}" => { email = email, role = role }
    }
  ]...)

  crypto_key_id = google_kms_crypto_key.root.id
  role          = each.value.role
  member        = "serviceAccount:${each.value.email}"
}
