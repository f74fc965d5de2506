locals {
  names = keys(var.environments)

  # Built, not read, so that a plan knows them before they exist.
  builder   = "image-build@${var.project}.iam.gserviceaccount.com"
  deployers = { for name in local.names : name => "deploy-${name}@${var.project}.iam.gserviceaccount.com" }
  platforms = {
    for name, environment in var.environments : name => "tofu-platform@${environment.project}.iam.gserviceaccount.com"
  }
  repository = "${var.location}-docker.pkg.dev/${var.project}/images"
  # What Cloud Storage calls the multi-regions of Artifact Registry and Cloud KMS.
  bucket_locations = { us = "US", europe = "EU", asia = "ASIA" }
  attestor         = "projects/${var.project}/attestors/built-by-cloud-build"

  # Each in its own project: (environment, role) to what is granted.
  deployer_roles = [
    # The editor may not delete, and what is replaced is deleted.
    "roles/certificatemanager.owner",
    "roles/cloudscheduler.admin",
    "roles/compute.loadBalancerAdmin",
    "roles/compute.securityAdmin",
    "roles/dns.admin",
    "roles/logging.configWriter",
    "roles/logging.viewer",
    "roles/monitoring.editor",
    "roles/pubsub.editor",
    # The provider names the project as the one that its requests are counted for.
    "roles/serviceusage.serviceUsageConsumer",
  ]
  build_roles = [
    "roles/binaryauthorization.attestorsViewer",
    "roles/cloudbuild.builds.editor",
    # The first is asked for the attestations of an attestor's note, the second for what is known of an image.
    "roles/containeranalysis.notes.occurrences.viewer",
    "roles/containeranalysis.occurrences.viewer",
    "roles/logging.logWriter",
  ]
  # Of those alone that submit builds: the project is the one that their requests are counted for.
  submitter_roles = [
    "roles/serviceusage.serviceUsageConsumer",
  ]
  platform_roles = [
    "roles/cloudkms.admin",
    "roles/cloudsql.admin",
    "roles/compute.networkAdmin",
    "roles/compute.securityAdmin",
    "roles/iam.serviceAccountAdmin",
    "roles/iam.serviceAccountUser",
    "roles/identityplatform.admin",
    "roles/logging.configWriter",
    "roles/memorystore.admin",
    "roles/networkconnectivity.consumerNetworkAdmin",
    "roles/pubsub.admin",
    "roles/resourcemanager.projectIamAdmin",
    "roles/run.admin",
    "roles/servicenetworking.networksAdmin",
    "roles/serviceusage.serviceUsageAdmin",
  ]

  # Who releases gives the image a tag that keeps it from being cleaned up.
  releasers = { for name, email in local.deployers : name => email if name == "prod" }

  # Staging plans prod before a person approves it: it sees prod, and changes nothing there.
  planned_by = { for name, before in { prod = "staging" } : name => before if contains(local.names, name) }
  # Roles that show what was set up and nothing that customers or services left there.
  viewer_roles = [
    "roles/certificatemanager.viewer",
    "roles/cloudkms.viewer",
    "roles/cloudscheduler.viewer",
    "roles/compute.viewer",
    "roles/dns.reader",
    "roles/memorystore.viewer",
    "roles/monitoring.viewer",
    "roles/pubsub.viewer",
    "roles/run.viewer",
    "roles/secretmanager.viewer",
    "roles/serviceusage.serviceUsageConsumer",
  ]
  # What the plan reads besides. The roles that have these rights have too much: cloudsql.viewer exports the records,
  # identityplatform.viewer shows the customers, logging.viewer and iam.securityReviewer show log lines.
  viewer_rights = [
    "billing.resourcebudgets.read",
    "cloudkms.cryptoKeys.getIamPolicy",
    "cloudsql.databases.get",
    "cloudsql.instances.get",
    "cloudsql.users.get",
    "cloudsql.users.list",
    "firebaseauth.configs.get",
    "iam.serviceAccounts.get",
    "iam.serviceAccounts.getIamPolicy",
    "logging.exclusions.get",
    "logging.logMetrics.get",
    "networkconnectivity.serviceConnectionPolicies.get",
    "pubsub.subscriptions.getIamPolicy",
    "pubsub.topics.getIamPolicy",
    "resourcemanager.projects.get",
    "resourcemanager.projects.getIamPolicy",
    "secretmanager.secrets.getIamPolicy",
    "servicenetworking.services.get",
  ]
}
