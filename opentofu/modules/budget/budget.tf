resource "google_billing_budget" "environment" {
  billing_account = var.billing_account
  display_name    = "license server: ${var.project}"

  budget_filter {
    projects               = ["projects/${var.project_number}"]
    calendar_period        = "MONTH"
    credit_types_treatment = "EXCLUDE_ALL_CREDITS"
  }

  amount {
    specified_amount {
      currency_code = var.currency
      units         = tostring(var.amount)
    }
  }

  dynamic "threshold_rules" {
    for_each = local.thresholds

    content {
      threshold_percent = threshold_rules.value.percent / 100
      spend_basis       = threshold_rules.value.basis
    }
  }

  all_updates_rule {
    monitoring_notification_channels = var.channels
    disable_default_iam_recipients   = false
  }
}

locals {
  # The forecast says so while there is time to act; the other three say what was spent.
  thresholds = {
    half     = { percent = 50, basis = "CURRENT_SPEND" }
    most     = { percent = 90, basis = "CURRENT_SPEND" }
    all      = { percent = 100, basis = "CURRENT_SPEND" }
    forecast = { percent = 100, basis = "FORECASTED_SPEND" }
  }
}
