# Run with prod's values alone, as its name says.

mock_provider "google" {}
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
