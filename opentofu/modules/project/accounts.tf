locals {
  # Built, not read, so that a plan knows them before they exist.
  emails = { for name, account in var.accounts : name => "${account}@${var.project}.iam.gserviceaccount.com" }
}

resource "google_service_account" "account" {
  for_each = var.accounts

  project      = var.project
  account_id   = each.value
  display_name = "License server: ${each.key}"
  depends_on   = [google_project_service.used]
}

resource "google_project_iam_member" "log_writer" {
  for_each = local.emails

  project    = var.project
  role       = "roles/logging.logWriter"
  member     = "serviceAccount:${each.value}"
  depends_on = [google_service_account.account]
}

# Whoever deploys lets the functions run as these accounts, and can do nothing else with them. Not so the jobs: a
# service that runs as one of their accounts could do what they may.
resource "google_service_account_iam_member" "deployer" {
  for_each = {
    for name, email in local.emails : name => email if var.deployer != null && !contains(var.jobs, name)
  }

  service_account_id = "projects/${var.project}/serviceAccounts/${each.value}"
  role               = "roles/iam.serviceAccountUser"
  member             = "serviceAccount:${var.deployer}"
  depends_on         = [google_service_account.account]
}
