# Run with prod's values alone, as its name says.

mock_provider "google" {
  mock_resource "google_memorystore_instance" {
    defaults = {
      endpoints = [{
        connections = [{
          psc_auto_connection = [{
            connection_type = "CONNECTION_TYPE_PRIMARY", ip_address = "10.10.0.8", forwarding_rule = "", network = "",
            port            = 6379, project_id = "", psc_connection_id = "", service_attachment = ""
          }]
        }]
      }]
      managed_server_ca = [{ ca_certs = [{ certificates = ["the CA of the seats"] }] }]
    }
  }
  mock_resource "google_sql_database_instance" {
    defaults = {
      private_ip_address = "10.20.0.3"
      server_ca_cert = [
        { cert = "the CA", common_name = "", create_time = "", expiration_time = "", sha1_fingerprint = "" },
      ]
    }
  }
}
mock_provider "google-beta" {}

variables {
  image = "example.dev/cloud@sha256:0000000000000000000000000000000000000000000000000000000000000001"
}

run "a_zone_may_fail" {
  command = plan

  assert {
    condition     = module.records.settings.availability == "REGIONAL"
    error_message = "Production's database needs a standby in another zone."
  }
  assert {
    condition     = module.seats.settings.replicas >= 1
    error_message = "Production's Valkey needs a replica."
  }
}

run "the_root_key_is_in_an_hsm" {
  command = plan

  assert {
    condition     = module.signer.settings.protection == "HSM"
    error_message = "Production's root key must be in an HSM."
  }
}
