mock_provider "google" {}

variables {
  project = "example-dev"
  clients = { "google.com" = "client-1", "github.com" = "client-2" }
}

run "nobody_is_anonymous_and_an_address_has_one_account" {
  command = plan

  assert {
    condition     = !google_identity_platform_config.customers.sign_in[0].anonymous[0].enabled
    error_message = "Nobody may sign in without saying who they are."
  }
  assert {
    condition     = !google_identity_platform_config.customers.sign_in[0].allow_duplicate_emails
    error_message = "Two accounts of one address would be two people."
  }
  assert {
    condition     = output.issuer == "https://securetoken.google.com/example-dev" && output.audience == "example-dev"
    error_message = "Tokens are those of this project."
  }
}

run "a_provider_without_its_secret_waits" {
  command = plan

  assert {
    condition     = length(google_identity_platform_default_supported_idp_config.provider) == 0
    error_message = "A provider is configured once its secret is there."
  }
}

run "both_providers_are_configured" {
  command = plan

  variables {
    client_secrets = { "google.com" = "one", "github.com" = "two" }
  }

  assert {
    condition     = keys(google_identity_platform_default_supported_idp_config.provider) == ["github.com", "google.com"]
    error_message = "Google and GitHub must be there."
  }
}

run "another_provider_is_refused" {
  command = plan

  variables {
    clients = { "example.com" = "client-3" }
  }

  expect_failures = [var.clients]
}
