mock_provider "google" {}

variables {
  project = "example-dev"
  readers = {
    HANDLE_KEY          = { acquire = "license-acquire@example-dev.iam.gserviceaccount.com" }
    HANDLE_KEY_PREVIOUS = { acquire = "license-acquire@example-dev.iam.gserviceaccount.com" }
    LICENSE_PEPPER      = { admin = "license-admin@example-dev.iam.gserviceaccount.com" }
  }
  versions = { HANDLE_KEY = "3", LICENSE_PEPPER = "1" }
}

run "each_secret_is_read_by_those_that_were_named" {
  command = plan

  assert {
    condition = keys(google_secret_manager_secret_iam_member.reader) == [
      "HANDLE_KEY acquire", "HANDLE_KEY_PREVIOUS acquire", "LICENSE_PEPPER admin",
    ]
    error_message = "Readers are exactly those that were named."
  }
  assert {
    condition     = google_secret_manager_secret.secret["LICENSE_PEPPER"].secret_id == "license-pepper"
    error_message = "The secret is called as its variable, in small letters."
  }
}

run "only_what_has_a_version_is_handed_over" {
  command = plan

  assert {
    condition = output.secrets == {
      HANDLE_KEY     = { secret = "handle-key", version = "3" }
      LICENSE_PEPPER = { secret = "license-pepper", version = "1" }
    }
    error_message = "A secret without a version is given to nobody."
  }
}

run "they_are_protected" {
  command = plan

  assert {
    condition = alltrue([
      for secret in google_secret_manager_secret.secret :
      secret.deletion_protection && secret.deletion_policy == "PREVENT"
    ])
    error_message = "With the pepper lost, every license key is wrong."
  }
}

run "an_unknown_secret_is_refused" {
  command = plan

  variables {
    versions = { PEPPER = "1" }
  }

  expect_failures = [var.versions]
}

run "the_latest_version_is_refused" {
  command = plan

  variables {
    versions = { HANDLE_KEY = "latest" }
  }

  expect_failures = [var.versions]
}
