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

# The way in for those who come by GitHub, whose addresses Identity Platform does not call verified.
run "a_link_by_mail_signs_in_and_no_password_does" {
  command = plan

  assert {
    condition     = google_identity_platform_config.customers.sign_in[0].email[0].enabled
    error_message = "Customers must be able to sign in by a link that is sent to their address."
  }
  assert {
    condition     = !google_identity_platform_config.customers.sign_in[0].email[0].password_required
    error_message = "There are no passwords: a link by mail is enough."
  }
}

run "both_providers_are_configured" {
  variables {
    client_secrets = { "google.com" = "one", "github.com" = "two" }
    keep           = false
  }

  assert {
    condition = {
      for name, provider in google_identity_platform_default_supported_idp_config.provider :
      name => nonsensitive(provider.client_secret)
    } == { "github.com" = "two", "google.com" = "one" }
    error_message = "Google and GitHub must be there, with their secrets."
  }
}

# As the pipeline applies it, on the state that the run before left.
run "who_does_not_know_the_secrets_takes_nothing_away" {
  variables {
    keep = false
  }

  assert {
    condition = {
      for name, provider in google_identity_platform_default_supported_idp_config.provider :
      name => nonsensitive(provider.client_secret)
    } == { "github.com" = "two", "google.com" = "one" }
    error_message = "A push must neither remove a provider nor write another secret over its own."
  }
}

run "a_provider_that_was_made_without_its_secret_says_what_to_do" {
  command = plan

  variables {
    project = "example-other"
    clients = { "google.com" = "client-1" }
  }

  assert {
    condition = (
      keys(google_identity_platform_default_supported_idp_config.provider) == ["google.com"] &&
      google_identity_platform_default_supported_idp_config.provider["google.com"].enabled
    )
    error_message = "A client that is named must be configured."
  }
  assert {
    condition     = startswith(local.no_secret, "not given: ")
    error_message = "Whoever looks at it in the console must read what is missing."
  }
}

run "another_provider_is_refused" {
  command = plan

  variables {
    clients = { "example.com" = "client-3" }
  }

  expect_failures = [var.clients]
}
