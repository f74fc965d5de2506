mock_provider "google" {}
mock_provider "google-beta" {}

variables {
  project  = "example-dev"
  accounts = { acquire = "license-acquire", migrate = "license-migrate" }
  deployer = "tofu-services@example-dev.iam.gserviceaccount.com"
}

run "every_function_has_its_account" {
  command = plan

  assert {
    condition     = output.accounts["acquire"] == "license-acquire@example-dev.iam.gserviceaccount.com"
    error_message = "The e-mail of acquire's account must be known to the plan."
  }
  assert {
    condition     = keys(google_service_account.account) == ["acquire", "migrate"]
    error_message = "There must be one account for each function and job."
  }
  assert {
    condition = alltrue([
      for grant in google_project_iam_member.log_writer : grant.role == "roles/logging.logWriter"
    ])
    error_message = "An account may write logs in the project and do nothing else there."
  }
  assert {
    condition     = alltrue([for service in google_project_service.used : !service.disable_on_destroy])
    error_message = "Taking this away must not disable Google's services: others in the project may use them."
  }
  assert {
    condition     = length(google_project_iam_member.people) == 0
    error_message = "No group was named, so nobody may be given a right."
  }
}

run "who_deploys_runs_functions_and_is_no_job" {
  command = plan

  variables {
    jobs = ["migrate"]
  }

  assert {
    condition     = keys(google_service_account_iam_member.deployer) == ["acquire"]
    error_message = "A service that runs as a job's account could do whatever the job may."
  }
}

run "a_job_without_an_account_is_refused" {
  command = plan

  variables {
    jobs = ["migrations"]
  }

  expect_failures = [var.jobs]
}

run "secrets_and_keys_are_audited" {
  command = plan

  assert {
    condition = alltrue([
      for service in ["cloudkms.googleapis.com", "secretmanager.googleapis.com"] :
      contains(keys(google_project_iam_audit_config.reads), service)
    ])
    error_message = "Reads of secrets and uses of keys must be written down."
  }
}

run "operators_only_look" {
  command = plan

  variables {
    groups = { operators = "operators@example.com" }
  }

  assert {
    condition     = alltrue([for grant in google_project_iam_member.people : endswith(grant.role, ".viewer")])
    error_message = "Operators change nothing by themselves."
  }
  assert {
    condition     = length(google_project_iam_member.people) == 3
    error_message = "Operators see services, logs and metrics."
  }
}

run "one_account_for_two_functions_is_refused" {
  command = plan

  variables {
    accounts = { acquire = "license-acquire", heartbeat = "license-acquire" }
  }

  expect_failures = [var.accounts]
}
