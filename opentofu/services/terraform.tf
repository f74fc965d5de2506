terraform {
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 8.0"
    }
  }

  # The bucket is in environments/ENVIRONMENT/backend.hcl.
  backend "gcs" {
    prefix = "services"
  }
}

provider "google" {
  project = var.platform.project
  region  = local.region

  # The API of budgets counts its requests against a project, which for people's credentials must be named.
  billing_project       = var.platform.project
  user_project_override = true
}
