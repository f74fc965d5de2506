mock_provider "google" {
  mock_resource "google_service_account" {
    defaults = { name = "projects/example-build/serviceAccounts/mock@example-build.iam.gserviceaccount.com" }
  }
}

run "each_environment_has_its_deployer" {
  command = plan

  assert {
    condition     = output.deployers["prod"] == "deploy-prod@${var.project}.iam.gserviceaccount.com"
    error_message = "Prod is deployed by an account of its own."
  }
  assert {
    condition     = output.repository == "${var.location}-docker.pkg.dev/${var.project}/images"
    error_message = "The registry's name must be known to the plan."
  }
  assert {
    condition     = var.approvers != null
    error_message = "Nobody but owners could approve a deploy of prod."
  }
  assert {
    condition     = alltrue([for service in google_project_service.used : !service.disable_on_destroy])
    error_message = "Taking this away must not disable Google's services."
  }
}
