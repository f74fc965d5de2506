locals {
  services = [
    "artifactregistry.googleapis.com",
    "binaryauthorization.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudkms.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "containeranalysis.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "storage.googleapis.com",
  ]
  # The rest of an environment's services is enabled by its root platform.
  first_services = ["binaryauthorization.googleapis.com", "iam.googleapis.com", "serviceusage.googleapis.com"]
  enabled = merge(
    { for service in local.services : "build ${service}" => { project = var.project, service = service } },
    merge([
      for name, environment in var.environments : {
        for service in local.first_services :
        "${name} ${service}" => { project = environment.project, service = service }
      }
    ]...),
  )
}

resource "google_project_service" "used" {
  for_each = local.enabled

  project            = each.value.project
  service            = each.value.service
  disable_on_destroy = false
}

module "pipeline" {
  source = "../modules/pipeline"

  project        = var.project
  number         = var.number
  region         = var.region
  location       = var.location
  environments   = var.environments
  repository     = var.repository
  steps          = var.steps
  attested       = var.attested
  approvers      = var.approvers
  administrators = var.administrators
  keep           = var.keep
  depends_on     = [google_project_service.used]
}
