# Roles of our own, where Google's have more than is needed or less.
locals {
  secret_verbs = ["create", "delete", "get", "getIamPolicy", "list", "setIamPolicy", "update"]
}

# roles/secretmanager.admin reads values too. Whoever makes the places of secrets reads none.
resource "google_project_iam_custom_role" "secret_places" {
  for_each = var.environments

  project     = each.value.project
  role_id     = "secretPlaces"
  title       = "Makes secrets and says who reads them"
  permissions = [for verb in local.secret_verbs : "secretmanager.secrets.${verb}"]
}

resource "google_project_iam_member" "secret_places" {
  for_each = local.platforms

  project    = var.environments[each.key].project
  role       = "projects/${var.environments[each.key].project}/roles/secretPlaces"
  member     = "serviceAccount:${each.value}"
  depends_on = [google_project_iam_custom_role.secret_places, google_service_account.platform]
}

# roles/pubsub.editor makes subscriptions and may not say who forwards their dead letters, which the services do.
resource "google_project_iam_custom_role" "subscription_policies" {
  for_each = var.environments

  project     = each.value.project
  role_id     = "subscriptionPolicies"
  title       = "Says who may use a subscription"
  permissions = [for verb in ["getIamPolicy", "setIamPolicy"] : "pubsub.subscriptions.${verb}"]
}

resource "google_project_iam_member" "subscription_policies" {
  for_each = local.deployers

  project    = var.environments[each.key].project
  role       = "projects/${var.environments[each.key].project}/roles/subscriptionPolicies"
  member     = "serviceAccount:${each.value}"
  depends_on = [google_project_iam_custom_role.subscription_policies, google_service_account.deployer]
}

# roles/run.admin and roles/run.developer run a job with other arguments too (run.jobs.runWithOverrides): migrate's
# after-restore takes the seats of all customers. The job's own policy lets who deploys run it as it is.
resource "google_project_iam_custom_role" "services" {
  for_each = var.environments

  project = each.value.project
  role_id = "deployServices"
  title   = "Changes services and looks at jobs"
  permissions = [
    "run.configurations.get",
    "run.configurations.list",
    "run.executions.get",
    "run.executions.list",
    "run.jobs.get",
    "run.jobs.list",
    "run.locations.list",
    "run.operations.get",
    "run.operations.list",
    "run.revisions.get",
    "run.revisions.list",
    "run.routes.get",
    "run.routes.list",
    "run.services.create",
    "run.services.delete",
    "run.services.get",
    "run.services.getIamPolicy",
    "run.services.list",
    # That no token is asked for (invoker_iam_disabled) is a right of the policy.
    "run.services.setIamPolicy",
    "run.services.update",
    "run.tasks.get",
    "run.tasks.list",
  ]
}

resource "google_project_iam_member" "services" {
  for_each = local.deployers

  project    = var.environments[each.key].project
  role       = "projects/${var.environments[each.key].project}/roles/deployServices"
  member     = "serviceAccount:${each.value}"
  depends_on = [google_project_iam_custom_role.services, google_service_account.deployer]
}

# A budget of one project needs rights in that project alone. A role on the billing account would let the account that
# deploys one environment change the budgets of all of them, and of everything else that is paid there.
resource "google_project_iam_custom_role" "budget" {
  for_each = var.environments

  project = each.value.project
  role_id = "projectBudget"
  title   = "Says what the project may cost"
  permissions = concat(
    [for verb in ["read", "write"] : "billing.resourcebudgets.${verb}"],
    ["resourcemanager.projects.get"],
  )
}

resource "google_project_iam_member" "budget" {
  for_each = local.deployers

  project    = var.environments[each.key].project
  role       = "projects/${var.environments[each.key].project}/roles/projectBudget"
  member     = "serviceAccount:${each.value}"
  depends_on = [google_project_iam_custom_role.budget, google_service_account.deployer]
}

resource "google_project_iam_custom_role" "planner" {
  for_each = local.planned_by

  project     = var.environments[each.key].project
  role_id     = "plansThis"
  title       = "Reads what a plan compares"
  permissions = local.viewer_rights
}

resource "google_project_iam_member" "planner" {
  for_each = local.planned_by

  project    = var.environments[each.key].project
  role       = "projects/${var.environments[each.key].project}/roles/plansThis"
  member     = "serviceAccount:${local.deployers[each.value]}"
  depends_on = [google_project_iam_custom_role.planner, google_service_account.deployer]
}

# roles/artifactregistry.writer pushes images too, which image-build@ alone does. A tag cannot be moved all the same:
# the registry refuses it (immutable_tags).
resource "google_project_iam_custom_role" "release_tags" {
  project     = var.project
  role_id     = "releaseTags"
  title       = "Gives images a tag"
  permissions = ["artifactregistry.tags.create", "artifactregistry.tags.get", "artifactregistry.tags.update"]
}

resource "google_artifact_registry_repository_iam_member" "releaser" {
  for_each = local.releasers

  project    = var.project
  location   = var.location
  repository = google_artifact_registry_repository.images.name
  role       = "projects/${var.project}/roles/releaseTags"
  member     = "serviceAccount:${each.value}"
  depends_on = [google_project_iam_custom_role.release_tags, google_service_account.deployer]
}
