resource "google_artifact_registry_repository" "images" {
  project       = var.project
  location      = var.location
  repository_id = "images"
  format        = "DOCKER"
  description   = "The image of all functions, and the images that the pipeline's steps run in."

  docker_config {
    immutable_tags = true
  }

  cleanup_policies {
    id     = "keep-releases"
    action = "KEEP"
    condition {
      tag_state    = "TAGGED"
      tag_prefixes = ["prod-"]
    }
  }
  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"
    most_recent_versions {
      keep_count = 30
    }
  }
  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      tag_state  = "ANY"
      older_than = "7776000s" # 90 days
    }
  }
}

locals {
  # Who reads images: Cloud Run's own account of each environment, those that deploy, and those that make the job
  # migrate. Cloud Run asks whether who names an image may read it.
  readers = merge(
    local.deployers,
    { for name, email in local.platforms : "platform-${name}" => email },
    {
      for name, environment in var.environments :
      "run-${name}" => "service-${environment.number}@serverless-robot-prod.iam.gserviceaccount.com"
    },
  )
}

resource "google_artifact_registry_repository_iam_member" "reader" {
  for_each = local.readers

  project    = var.project
  location   = var.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.reader"
  member     = "serviceAccount:${each.value}"
  depends_on = [google_service_account.deployer, google_service_account.platform]
}

resource "google_artifact_registry_repository_iam_member" "writer" {
  project    = var.project
  location   = var.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.writer"
  member     = "serviceAccount:${local.builder}"
  depends_on = [google_service_account.builder]
}
