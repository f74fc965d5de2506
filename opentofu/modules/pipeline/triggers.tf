# The connection to the repository is made by a person (OAuth consent): until it is named there are no triggers.
resource "google_cloudbuild_trigger" "deploy" {
  for_each = var.repository == null ? {} : var.environments

  project         = var.project
  location        = var.region
  name            = "deploy-${each.key}"
  description     = each.value.push == null ? "Started by the environment before, or by hand." : "On every push."
  filename        = each.value.push == null ? null : "cloudbuild.yaml"
  service_account = google_service_account.deployer[each.key].name

  substitutions = {
    _ENVIRONMENT = each.key
    _BUILDER     = lookup(var.steps, "builder", "")
    _CLOUD       = lookup(var.steps, "cloud", "")
  }

  dynamic "repository_event_config" {
    for_each = each.value.push == null ? {} : { branch = each.value.push }
    content {
      repository = var.repository
      push {
        branch = repository_event_config.value
      }
    }
  }

  dynamic "source_to_build" {
    for_each = each.value.push == null ? { branch = "refs/heads/main" } : {}
    content {
      repository = var.repository
      ref        = source_to_build.value
      repo_type  = "GITHUB"
    }
  }
  dynamic "git_file_source" {
    for_each = each.value.push == null ? { branch = "refs/heads/main" } : {}
    content {
      path       = "cloudbuild.yaml"
      repository = var.repository
      revision   = git_file_source.value
      repo_type  = "GITHUB"
    }
  }

  approval_config {
    approval_required = each.value.approval
  }
}
