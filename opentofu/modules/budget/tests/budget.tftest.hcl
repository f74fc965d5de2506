mock_provider "google" {}

variables {
  project         = "example-dev"
  project_number  = "123456789012"
  billing_account = "012345-6789AB-CDEF01"
  amount          = 120
}

run "it_watches_this_project_by_the_month" {
  command = plan

  assert {
    condition = (
      google_billing_budget.environment.budget_filter[0].projects == toset(["projects/123456789012"])
      && google_billing_budget.environment.budget_filter[0].calendar_period == "MONTH"
    )
    error_message = "The budget must be that of this project and of a month."
  }

  assert {
    condition     = google_billing_budget.environment.amount[0].specified_amount[0].units == "120"
    error_message = "The amount must be the one that was given."
  }
}

run "it_tells_at_half_at_most_at_all_and_by_forecast" {
  command = plan

  assert {
    condition = toset([
      for rule in google_billing_budget.environment.threshold_rules : "${rule.spend_basis} ${rule.threshold_percent}"
    ]) == toset(["CURRENT_SPEND 0.5", "CURRENT_SPEND 0.9", "CURRENT_SPEND 1", "FORECASTED_SPEND 1"])
    error_message = "Somebody must be told at 50, 90 and 100 percent, and when 100 percent are forecast."
  }
}

run "the_billing_administrators_are_told" {
  command = plan

  assert {
    condition     = !google_billing_budget.environment.all_updates_rule[0].disable_default_iam_recipients
    error_message = "Somebody must be told."
  }
}

run "an_account_that_is_none" {
  command = plan

  variables {
    billing_account = "my-billing-account"
  }

  expect_failures = [var.billing_account]
}

run "an_amount_of_nothing" {
  command = plan

  variables {
    amount = 0
  }

  expect_failures = [var.amount]
}

run "more_channels_than_a_budget_tells" {
  command = plan

  variables {
    channels = ["1", "2", "3", "4", "5", "6"]
  }

  expect_failures = [var.channels]
}
