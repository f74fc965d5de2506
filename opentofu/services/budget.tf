module "budget" {
  source   = "../modules/budget"
  for_each = var.budget == null ? {} : { budget = var.budget }

  project         = var.platform.project
  project_number  = var.platform.number
  billing_account = each.value.billing_account
  amount          = each.value.amount
  currency        = each.value.currency

  # Whoever works tomorrow; where nothing is watched, the billing administrators.
  channels = flatten([for watch in module.watch : watch.channels["ticket"]])
}
