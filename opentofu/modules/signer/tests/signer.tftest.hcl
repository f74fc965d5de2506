mock_provider "google" {}

variables {
  project          = "example-prod"
  location         = "us"
  protection_level = "HSM"
  signers          = { acquire = "license-acquire@example-prod.iam.gserviceaccount.com" }
}

run "the_key_signs_as_clients_verify" {
  command = plan

  assert {
    condition = (
      google_kms_crypto_key.root.purpose == "ASYMMETRIC_SIGN" &&
      google_kms_crypto_key.root.version_template[0].algorithm == "RSA_SIGN_PKCS1_4096_SHA256"
    )
    error_message = "Clients verify RSA-4096 signatures with SHA-256."
  }
  assert {
    condition     = google_kms_crypto_key.root.version_template[0].protection_level == "HSM"
    error_message = "The protection that was asked for must be given."
  }
  assert {
    condition     = google_kms_crypto_key.root.destroy_scheduled_duration == "10368000s"
    error_message = "A version whose end was ordered must stay for 120 days."
  }
  assert {
    condition = output.root_key == join("/", [
      "kms:projects/example-prod/locations/us/keyRings/license/cryptoKeys/root/cryptoKeyVersions/1",
    ])
    error_message = "${output.root_key} was found."
  }
  assert {
    condition     = output.root_key_next == null
    error_message = "Nothing is published beside the key unless it is being replaced."
  }
}

run "it_is_protected" {
  command = plan

  assert {
    condition     = google_kms_crypto_key.root.deletion_policy == "PREVENT"
    error_message = "The key must be protected."
  }
  assert {
    condition     = google_kms_crypto_key_version.version["1"].deletion_policy == "PREVENT"
    error_message = "Every version must be protected."
  }
}

run "only_signers_use_it_and_none_changes_it" {
  command = plan

  assert {
    condition = toset(keys(google_kms_crypto_key_iam_member.signer)) == toset([
      "acquire roles/cloudkms.publicKeyViewer", "acquire roles/cloudkms.signer",
    ])
    error_message = "A signer may sign and read the public key."
  }
}

run "the_next_key_is_published" {
  command = plan

  variables {
    versions = { "1" = "ENABLED", "2" = "ENABLED" }
    next     = "2"
  }

  assert {
    condition     = endswith(output.root_key_next, "/cryptoKeyVersions/2")
    error_message = "The second version is the next one."
  }
}

run "a_disabled_current_version_is_refused" {
  command = plan

  variables {
    versions = { "1" = "DISABLED" }
  }

  expect_failures = [var.current]
}

run "a_next_version_that_is_not_there_is_refused" {
  command = plan

  variables {
    next = "2"
  }

  expect_failures = [var.next]
}

run "a_key_in_one_region_is_refused" {
  command = plan

  variables {
    location = "us-central1"
  }

  expect_failures = [var.location]
}
