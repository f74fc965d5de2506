mock_provider "google" {
  mock_resource "google_service_account" {
    defaults = { name = "projects/example-build/serviceAccounts/mock@example-build.iam.gserviceaccount.com" }
  }
}

variables {
  project    = "example-build"
  number     = "100000000000"
  region     = "us-central1"
  location   = "europe"
  repository = "projects/example-build/locations/us-central1/connections/github/repositories/license"
  steps = {
    builder = "example.dev/builder@sha256:0000000000000000000000000000000000000000000000000000000000000001"
    cloud   = "example.dev/cloud@sha256:0000000000000000000000000000000000000000000000000000000000000002"
  }
  environments = {
    dev     = { project = "example-dev", number = "1", push = "^main$" }
    staging = { project = "example-staging", number = "2" }
    prod    = { project = "example-prod", number = "3", approval = true }
  }
}

run "a_person_approves_prod" {
  command = plan

  assert {
    condition = {
      for name, trigger in google_cloudbuild_trigger.deploy : name => trigger.approval_config[0].approval_required
    } == { dev = false, prod = true, staging = false }
    error_message = "Builds of prod wait for a person, and no others."
  }
  assert {
    condition     = google_cloudbuild_trigger.deploy["prod"].substitutions["_ENVIRONMENT"] == "prod"
    error_message = "The trigger says which environment it is for."
  }
}

run "who_approves_prod_is_a_group_and_nobody_who_deploys" {
  command = plan

  variables {
    approvers = "approvers@example.com"
  }

  assert {
    condition = {
      for grant in google_project_iam_member.approvers : grant.member => "${grant.project} ${grant.role}"
    } == { "group:approvers@example.com" = "example-build roles/cloudbuild.builds.approver" }
    error_message = "The trigger of prod waits for somebody who may approve."
  }
  assert {
    condition = alltrue([
      for grant in google_project_iam_member.builds : !strcontains(grant.role, "approver")
    ])
    error_message = "The pipeline may not approve itself."
  }
}

run "without_approvers_nobody_is_given_the_right" {
  command = plan

  assert {
    condition     = length(google_project_iam_member.approvers) == 0
    error_message = "No group was named."
  }
}

run "an_environment_changes_itself_and_no_other" {
  command = plan

  assert {
    condition = alltrue([
      for grant in google_project_iam_member.grant :
      grant.project == "example-dev" if startswith(grant.member, "serviceAccount:deploy-dev@")
    ])
    error_message = "Who deploys dev has rights in dev alone."
  }
  assert {
    condition = alltrue([
      for grant in google_project_iam_member.grant : (
        endswith(grant.role, "iewer") ||
        contains(["roles/dns.reader", "roles/serviceusage.serviceUsageConsumer"], grant.role)
        ) if(
        grant.project == "example-prod" &&
        grant.member == "serviceAccount:deploy-staging@example-build.iam.gserviceaccount.com"
      )
    ])
    error_message = "Staging plans prod, and changes nothing there."
  }
  assert {
    condition = {
      for grant in google_storage_bucket_iam_member.writer :
      grant.member => try(grant.condition[0].expression, "all of it") if endswith(grant.bucket, "-state-prod")
      } == {
      "serviceAccount:deploy-prod@example-build.iam.gserviceaccount.com"    = "all of it"
      "serviceAccount:deploy-staging@example-build.iam.gserviceaccount.com" = "resource.name.endsWith(\".tflock\")"
      "serviceAccount:tofu-platform@example-prod.iam.gserviceaccount.com" = join("", [
        "resource.name.startsWith(\"projects/_/buckets/example-build-state-prod/objects/platform/\")",
      ])
    }
    error_message = "Prod's state is written by prod's accounts alone; staging's locks it."
  }
}

run "staging_locks_prods_state_and_writes_its_plan" {
  command = plan

  assert {
    condition = (
      google_storage_bucket_iam_member.writer["locks staging for prod"].condition[0].expression ==
      "resource.name.endsWith(\".tflock\")"
    )
    error_message = "Who plans prod may lock its state and not write it."
  }
  assert {
    condition = google_storage_bucket_iam_member.writer["plans dev"].condition[0].expression == join("", [
      "resource.name.startsWith(\"projects/_/buckets/example-build-plans/objects/dev/\")",
    ])
    error_message = "Nobody may change the plan of another environment."
  }
}

run "what_is_submitted_to_a_build_is_written_by_deployers_and_read_by_the_builder" {
  command = plan

  assert {
    condition = toset([
      for grant in google_storage_bucket_iam_member.submitter : "${grant.bucket} ${grant.role} ${grant.member}"
      ]) == toset(flatten([
        for role in ["roles/storage.legacyBucketReader", "roles/storage.objectAdmin"] : [
          for email in values(output.deployers) : "example-build-source ${role} serviceAccount:${email}"
        ]
    ]))
    error_message = "gcloud builds submit writes the source into this bucket, as who deploys."
  }
  assert {
    condition = (
      google_storage_bucket_iam_member.builder_source.bucket == "example-build-source" &&
      google_storage_bucket_iam_member.builder_source.role == "roles/storage.objectViewer" &&
      startswith(google_storage_bucket_iam_member.builder_source.member, "serviceAccount:image-build@")
    )
    error_message = "The build reads the source as its own account."
  }
  assert {
    condition = toset([
      for grant in google_project_iam_member.builds : grant.member
      if grant.role == "roles/serviceusage.serviceUsageConsumer" && grant.project == "example-build"
    ]) == toset([for email in values(output.deployers) : "serviceAccount:${email}"])
    error_message = "Who submits a build names the project that its requests are counted for."
  }
  assert {
    condition = {
      for name, bucket in google_storage_bucket.bucket :
      name => join(" ", compact(flatten([for rule in bucket.lifecycle_rule : rule.condition[*].age])))
      } == {
      plans = "", releases = "", source = "7", state = "", state-dev = "", state-prod = "", state-staging = ""
    }
    error_message = "What was submitted goes after a week, and nothing of a state, a plan or a release."
  }
}

run "who_makes_the_job_reads_its_image" {
  command = plan

  assert {
    condition = toset([
      for grant in google_artifact_registry_repository_iam_member.reader : grant.member
      if startswith(grant.member, "serviceAccount:tofu-platform@")
      ]) == toset([for name in ["dev", "staging", "prod"] :
      "serviceAccount:tofu-platform@example-${name}.iam.gserviceaccount.com"
    ])
    error_message = "Cloud Run asks whether who makes the job migrate may read its image."
  }
}

run "who_applies_platform_reads_its_state" {
  command = plan

  assert {
    condition = alltrue([
      for name in ["dev", "staging", "prod"] : (
        google_storage_bucket_iam_member.reader["state-${name} platform"].member ==
        "serviceAccount:tofu-platform@example-${name}.iam.gserviceaccount.com"
      )
    ])
    error_message = "The state's backend acts as GOOGLE_IMPERSONATE_SERVICE_ACCOUNT says, as the provider does."
  }
}

run "who_plans_prod_reads_what_is_compared_and_nothing_of_customers" {
  command = plan

  assert {
    condition = [for name, grant in google_project_iam_member.planner : "${name} ${grant.project} ${grant.member}"] == [
      "prod example-prod serviceAccount:deploy-staging@example-build.iam.gserviceaccount.com",
    ]
    error_message = "Prod alone is planned by another environment's account."
  }
  assert {
    condition = alltrue([
      for permission in google_project_iam_custom_role.planner["prod"].permissions :
      anytrue([for verb in ["get", "getIamPolicy", "list", "read"] : endswith(permission, ".${verb}")])
    ])
    error_message = "Who plans prod changes nothing there."
  }
  assert {
    condition = length(setintersection(
      [for grant in google_project_iam_member.grant : grant.role],
      ["roles/cloudsql.viewer", "roles/identityplatform.viewer", "roles/iam.securityReviewer"],
    )) == 0
    error_message = "These roles export the records, show customers, or show log lines."
  }
}

run "a_budget_is_set_in_its_project_and_not_on_the_billing_account" {
  command = plan

  assert {
    condition = {
      for name, grant in google_project_iam_member.budget : name => "${grant.member} ${grant.role}"
      } == {
      for name, email in output.deployers :
      name => "serviceAccount:${email} projects/example-${name}/roles/projectBudget"
    }
    error_message = "Each environment's deployer sets the budget of its own project."
  }
  assert {
    condition = alltrue([
      for grant in google_project_iam_member.grant : !startswith(grant.role, "roles/billing.")
    ])
    error_message = "A role of billing reaches beyond one project."
  }
}

run "nobody_who_deploys_reads_secrets_or_signs" {
  command = plan

  assert {
    condition = alltrue([
      for grant in google_project_iam_member.grant : !contains([
        "roles/secretmanager.admin", "roles/secretmanager.secretAccessor", "roles/cloudkms.signer",
        "roles/cloudkms.signerVerifier",
      ], grant.role)
    ])
    error_message = "The pipeline may neither read a secret's value nor use the root key."
  }
  assert {
    condition = alltrue([
      for role in google_project_iam_custom_role.secret_places :
      alltrue([for permission in role.permissions : !strcontains(permission, "versions")])
    ])
    error_message = "Who makes the places of secrets reads no value."
  }
  assert {
    condition = alltrue([
      for name, grant in google_project_iam_member.subscription_policies :
      grant.member == "serviceAccount:${output.deployers[name]}" && endswith(grant.role, "/roles/subscriptionPolicies")
    ]) && length(google_project_iam_member.subscription_policies) == length(output.deployers)
    error_message = "Each environment's deployer must be able to say who forwards dead letters."
  }
  assert {
    condition = alltrue([
      for name, email in output.deployers : alltrue([
        for role in ["binaryauthorization.attestorsViewer", "containeranalysis.notes.occurrences.viewer"] :
        google_project_iam_member.builds["${name} roles/${role}"].member == "serviceAccount:${email}"
      ])
    ])
    error_message = "Each environment's deployer must see whether an image was attested."
  }
}

run "who_deploys_starts_the_job_only_as_it_is" {
  command = plan

  assert {
    condition = alltrue([
      for grant in google_project_iam_member.grant :
      !startswith(grant.role, "roles/run.") if startswith(grant.member, "serviceAccount:deploy-") &&
      !endswith(grant.role, ".viewer")
    ])
    error_message = "roles/run.admin and roles/run.developer run a job with other arguments (after-restore)."
  }
  assert {
    condition = alltrue([
      for role in google_project_iam_custom_role.services : alltrue([
        for permission in role.permissions : (
          startswith(permission, "run.services.") || endswith(permission, ".get") || endswith(permission, ".list")
        )
      ])
    ])
    error_message = "Of a job it may see what it is and how it went."
  }
  assert {
    condition = {
      for name, grant in google_project_iam_member.services : "${grant.project} ${grant.role}" => grant.member
      } == {
      for name, email in output.deployers :
      "example-${name} projects/example-${name}/roles/deployServices" => "serviceAccount:${email}"
    }
    error_message = "Each environment's deployer changes the services of that environment."
  }
}

run "images_are_kept_and_their_tags_stay" {
  command = plan

  assert {
    condition     = google_artifact_registry_repository.images.docker_config[0].immutable_tags
    error_message = "A tag must always mean the same image."
  }
  assert {
    condition = contains([
      for policy in google_artifact_registry_repository.images.cleanup_policies : policy.id if policy.action == "KEEP"
    ], "keep-releases")
    error_message = "What was released in production must be kept."
  }
}

run "who_releases_tags_the_image_that_is_kept_and_pushes_none" {
  command = plan

  assert {
    condition = {
      for grant in google_artifact_registry_repository_iam_member.releaser : grant.member => grant.role
      } == {
      "serviceAccount:deploy-prod@example-build.iam.gserviceaccount.com" = "projects/example-build/roles/releaseTags"
    }
    error_message = "Without its tag an image that serves production is deleted after 90 days."
  }
  assert {
    condition = alltrue([
      for permission in google_project_iam_custom_role.release_tags.permissions :
      startswith(permission, "artifactregistry.tags.")
    ])
    error_message = "Images are pushed by image-build@ alone."
  }
}

run "states_are_kept_and_closed" {
  command = plan

  assert {
    condition = alltrue([
      for bucket in google_storage_bucket.bucket : (
        bucket.versioning[0].enabled && bucket.uniform_bucket_level_access &&
        bucket.public_access_prevention == "enforced" &&
        bucket.soft_delete_policy[0].retention_duration_seconds == 2592000
      )
    ])
    error_message = "Buckets must keep earlier versions and be closed to the public."
  }
  assert {
    condition = toset([
      for kind in google_project_iam_audit_config.storage.audit_log_config : kind.log_type
    ]) == toset(["DATA_READ", "DATA_WRITE"])
    error_message = "Who read or wrote a state must be written down."
  }
}

run "a_lost_region_takes_no_state_and_no_image_with_it" {
  command = plan

  assert {
    condition     = alltrue([for bucket in google_storage_bucket.bucket : bucket.location == "EU"])
    error_message = "Buckets must be in a multi-region, which Cloud Storage calls by another name."
  }
  assert {
    condition = (
      google_kms_key_ring.build.location == "europe" &&
      google_artifact_registry_repository.images.location == "europe"
    )
    error_message = "The key of the buckets and the images must be in the same multi-region."
  }
  assert {
    condition     = output.repository == "europe-docker.pkg.dev/example-build/images"
    error_message = "${output.repository} was found."
  }
}

run "a_region_for_states_is_refused" {
  command = plan

  variables {
    location = "us-central1"
  }

  expect_failures = [var.location]
}

run "before_the_first_image_nothing_is_blocked" {
  command = plan

  assert {
    condition = alltrue([
      for policy in google_binary_authorization_policy.environment :
      policy.default_admission_rule[0].enforcement_mode == "DRYRUN_AUDIT_LOG_ONLY"
    ])
    error_message = "The attestor does not exist before the first image."
  }
}

run "after_it_only_what_cloud_build_built_runs" {
  command = plan

  variables {
    attested = true
  }

  assert {
    condition = alltrue([
      for policy in google_binary_authorization_policy.environment : (
        policy.default_admission_rule[0].enforcement_mode == "ENFORCED_BLOCK_AND_AUDIT_LOG" &&
        policy.default_admission_rule[0].evaluation_mode == "REQUIRE_ATTESTATION"
      )
    ])
    error_message = "Images that the pipeline did not build may not run."
  }
}

run "prod_without_approval_is_refused" {
  command = plan

  variables {
    environments = { prod = { project = "example-prod", number = "3" } }
  }

  expect_failures = [var.environments]
}

run "a_step_by_its_tag_is_refused" {
  command = plan

  variables {
    steps = { builder = "example.dev/builder:1" }
  }

  expect_failures = [var.steps]
}
