# The image is built as an account that deploys nothing, and each environment is deployed as an account of its own:
# a build of dev cannot touch prod.
resource "google_service_account" "builder" {
  project      = var.project
  account_id   = "image-build"
  display_name = "Builds the image"
}

resource "google_service_account" "deployer" {
  for_each = local.deployers

  project      = var.project
  account_id   = "deploy-${each.key}"
  display_name = "Deploys ${each.key}"
}

# What changes stores, keys and rights. Nobody is it but for the time of an apply of `platform`.
resource "google_service_account" "platform" {
  for_each = var.environments

  project      = each.value.project
  account_id   = "tofu-platform"
  display_name = "Applies the root platform"
}

resource "google_service_account_iam_member" "platform" {
  for_each = local.deployers

  service_account_id = google_service_account.platform[each.key].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = "serviceAccount:${each.value}"
  depends_on         = [google_service_account.deployer]
}

resource "google_service_account_iam_member" "people" {
  for_each = var.administrators == null ? {} : local.platforms

  service_account_id = google_service_account.platform[each.key].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = "group:${var.administrators}"
}

locals {
  grants = merge(
    merge([for name, email in local.deployers : {
      for role in local.deployer_roles : "deploy-${name} ${role}" => { environment = name, role = role, email = email }
    }]...),
    merge([for name, email in local.platforms : {
      for role in local.platform_roles :
      "platform-${name} ${role}" => { environment = name, role = role, email = email }
    }]...),
    merge([for name, before in local.planned_by : {
      for role in local.viewer_roles :
      "deploy-${before} ${role} of ${name}" => { environment = name, role = role, email = local.deployers[before] }
    }]...),
  )
}

resource "google_project_iam_member" "grant" {
  for_each = local.grants

  project    = var.environments[each.value.environment].project
  role       = each.value.role
  member     = "serviceAccount:${each.value.email}"
  depends_on = [google_service_account.deployer, google_service_account.platform]
}

# In the build project: to write log lines, to submit and run builds, and to look whether an image was attested.
resource "google_project_iam_member" "builds" {
  for_each = merge(
    merge([
      for role in local.build_roles : {
        for name, email in merge(local.deployers, { build = local.builder }) :
        "${name} ${role}" => { role = role, email = email }
      }
    ]...),
    merge([
      for role in local.submitter_roles : {
        for name, email in local.deployers : "${name} ${role}" => { role = role, email = email }
      }
    ]...),
  )

  project    = var.project
  role       = each.value.role
  member     = "serviceAccount:${each.value.email}"
  depends_on = [google_service_account.deployer, google_service_account.builder]
}

# A person approves what is deployed to prod, and looks at builds to do so.
resource "google_project_iam_member" "approvers" {
  for_each = var.approvers == null ? {} : { approvers = var.approvers }

  project = var.project
  role    = "roles/cloudbuild.builds.approver"
  member  = "group:${each.value}"
}

# An environment starts the build of the image.
resource "google_service_account_iam_member" "builder" {
  for_each = local.deployers

  service_account_id = google_service_account.builder.name
  role               = "roles/iam.serviceAccountUser"
  member             = "serviceAccount:${each.value}"
}
