mock_provider "google" {
  mock_resource "google_memorystore_instance" {
    defaults = {
      endpoints = [{
        connections = [
          {
            psc_auto_connection = [{
              connection_type = "CONNECTION_TYPE_READER", ip_address = "10.10.0.9", forwarding_rule = "", network = "",
              port            = 6379, project_id = "", psc_connection_id = "", service_attachment = ""
            }]
          },
          {
            psc_auto_connection = [{
              connection_type = "CONNECTION_TYPE_PRIMARY", ip_address = "10.10.0.8", forwarding_rule = "", network = "",
              port            = 6379, project_id = "", psc_connection_id = "", service_attachment = ""
            }]
          }
        ]
      }]
      managed_server_ca = [{ ca_certs = [{ certificates = ["first", "second"] }] }]
    }
  }
}

variables {
  project = "example-dev"
  region  = "us-central1"
  network = "projects/example-dev/global/networks/license"
  users   = { acquire = "license-acquire@example-dev.iam.gserviceaccount.com" }
}

run "held_seats_are_never_discarded" {
  command = plan

  assert {
    condition     = google_memorystore_instance.seats.engine_configs["maxmemory-policy"] == "noeviction"
    error_message = "Every policy but noeviction discards seats that are held."
  }
}

run "nobody_connects_without_iam_and_tls" {
  command = plan

  assert {
    condition     = google_memorystore_instance.seats.authorization_mode == "IAM_AUTH"
    error_message = "Connections must be authenticated by IAM."
  }
  assert {
    condition     = google_memorystore_instance.seats.transit_encryption_mode == "SERVER_AUTHENTICATION"
    error_message = "Connections must be encrypted."
  }
  assert {
    condition     = keys(google_project_iam_member.user) == ["acquire"]
    error_message = "Only the accounts that were named may connect."
  }
}

run "it_is_protected" {
  command = plan

  assert {
    condition = (
      google_memorystore_instance.seats.deletion_protection_enabled &&
      google_memorystore_instance.seats.deletion_policy == "PREVENT"
    )
    error_message = "The instance must be protected from being deleted, by Google and by tofu."
  }
}

run "the_address_is_that_of_the_primary" {
  variables {
    keep = false
  }

  assert {
    condition     = output.url == "rediss://10.10.0.8:6379"
    error_message = "The address of the primary is wanted, and ${output.url} was found."
  }
  assert {
    condition     = output.ca == "first\nsecond"
    error_message = "Every certificate must be handed over: Google exchanges them while both hold."
  }
}
