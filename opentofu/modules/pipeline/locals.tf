locals {
  names = keys(var.environments)

  # Built, not read, so that a plan knows them before they exist.
  builder   = "image-build@${var.project}.iam.gserviceaccount.com"
  deployers = { for name in local.names : name => "deploy-${name}@${var.project}.iam.gserviceaccount.com" }
  platforms = {
    for name, environment in var.environments : name => "tofu-platform@${environment.project}.iam.gserviceaccount.com"
  }
  repository = "${var.region}-docker.pkg.dev/${var.project}/images"
  attestor   = "projects/${var.project}/attestors/built-by-cloud-build"

  # Each in its own project: (environment, role) to what is granted.
  deployer_roles = [
    "roles/certificatemanager.editor",
    "roles/cloudscheduler.admin",
    "roles/compute.loadBalancerAdmin",
    "roles/compute.securityAdmin",
    "roles/dns.admin",
    "roles/logging.configWriter",
    "roles/logging.viewer",
    "roles/monitoring.editor",
    "roles/pubsub.editor",
    "roles/run.admin",
  ]
  build_roles = [
    "roles/binaryauthorization.attestorsViewer",
    "roles/cloudbuild.builds.editor",
    "roles/containeranalysis.occurrences.viewer",
    "roles/logging.logWriter",
  ]
  platform_roles = [
    "roles/cloudkms.admin",
    "roles/cloudsql.admin",
    "roles/compute.networkAdmin",
    "roles/compute.securityAdmin",
    "roles/iam.serviceAccountAdmin",
    "roles/iam.serviceAccountUser",
    "roles/identityplatform.admin",
    "roles/memorystore.admin",
    "roles/networkconnectivity.consumerNetworkAdmin",
    "roles/pubsub.admin",
    "roles/resourcemanager.projectIamAdmin",
    "roles/run.admin",
    "roles/servicenetworking.networksAdmin",
    "roles/serviceusage.serviceUsageAdmin",
  ]

  # Staging plans prod before a person approves it: it sees prod, and changes nothing there.
  planned_by = { for name, before in { prod = "staging" } : name => before if contains(local.names, name) }
  viewer_roles = [
    "roles/cloudkms.viewer",
    "roles/cloudsql.viewer",
    "roles/compute.viewer",
    "roles/iam.securityReviewer",
    "roles/memorystore.viewer",
    "roles/monitoring.viewer",
    "roles/pubsub.viewer",
    "roles/run.viewer",
    "roles/secretmanager.viewer",
  ]
}
