terraform {
  # 1.12: prevent_destroy may be a variable.
  required_version = ">= 1.12"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 8.0"
    }
    google-beta = {
      source  = "hashicorp/google-beta"
      version = "~> 8.0"
    }
  }

  # The bucket is in environments/ENVIRONMENT/backend.hcl.
  backend "gcs" {
    prefix = "platform"
  }
}

provider "google" {
  project = var.project
  region  = var.region

  # Identity Platform counts requests against a project, which for people's credentials must be named.
  billing_project       = var.project
  user_project_override = true
}

provider "google-beta" {
  project = var.project
  region  = var.region
}
