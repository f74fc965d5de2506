# Run once for each environment, with `-var-file=../environments/ENVIRONMENT/platform.tfvars`.

mock_provider "google" {
  mock_resource "google_memorystore_instance" {
    defaults = {
      endpoints = [{
        connections = [{
          psc_auto_connection = [{
            connection_type = "CONNECTION_TYPE_PRIMARY", ip_address = "10.10.0.8", forwarding_rule = "", network = "",
            port            = 6379, project_id = "", psc_connection_id = "", service_attachment = ""
          }]
        }]
      }]
      managed_server_ca = [{ ca_certs = [{ certificates = ["the CA of the seats"] }] }]
    }
  }
  mock_resource "google_sql_database_instance" {
    defaults = {
      private_ip_address = "10.20.0.3"
      server_ca_cert = [
        { cert = "the CA", common_name = "", create_time = "", expiration_time = "", sha1_fingerprint = "" },
      ]
    }
  }
}
mock_provider "google-beta" {}

variables {
  image = "example.dev/cloud@sha256:0000000000000000000000000000000000000000000000000000000000000001"
}

run "secrets_are_read_by_those_that_functions_json_names" {
  command = plan

  assert {
    condition = alltrue([
      for secret, readers in module.secrets.readers : readers == toset([
        for name, row in jsondecode(file("../functions.json")).functions :
        "serviceAccount:${row.account}@${var.project}.iam.gserviceaccount.com"
        if contains(concat(row.secrets, row.optional_secrets), secret)
      ])
    ])
    error_message = "A secret is read by others than the functions whose rows of functions.json name it."
  }
  assert {
    condition = !contains(
      module.secrets.readers["LICENSE_PEPPER"], "serviceAccount:license-reaper@${var.project}.iam.gserviceaccount.com"
    )
    error_message = "The reaper may not read the pepper."
  }
  assert {
    condition     = length(module.secrets.readers) == 7
    error_message = "There are three secrets, three while they are being replaced, and the mail server."
  }
}

run "only_acquire_and_heartbeat_sign" {
  command = plan

  assert {
    condition = module.signer.signers == toset([
      "serviceAccount:license-acquire@${var.project}.iam.gserviceaccount.com",
      "serviceAccount:license-heartbeat@${var.project}.iam.gserviceaccount.com",
    ])
    error_message = "Nobody but acquire and heartbeat may sign: release does not."
  }
  assert {
    condition     = module.signer.settings.algorithm == "RSA_SIGN_PKCS1_4096_SHA256"
    error_message = "Clients verify RSA-4096 signatures with SHA-256."
  }
}

run "migrate_alone_is_a_superuser" {
  command = plan

  assert {
    condition     = module.records.superusers == toset(["license-migrate@${var.project}.iam"])
    error_message = "Only the job migrate may be a superuser's member."
  }
  assert {
    condition = toset(local.grants) == toset([
      "license-acquire@${var.project}.iam=service", "license-heartbeat@${var.project}.iam=service",
      "license-release@${var.project}.iam=service", "license-register@${var.project}.iam=admin",
      "license-admin@${var.project}.iam=admin", "license-reaper@${var.project}.iam=reaper",
      "license-notify@${var.project}.iam=notify",
    ])
    error_message = "The job gives each function the database role of its row."
  }
}

run "the_job_runs_migrate_of_the_digest_once" {
  command = plan

  assert {
    condition = (
      google_cloud_run_v2_job.migrate.template[0].template[0].containers[0].image == var.image &&
      google_cloud_run_v2_job.migrate.template[0].template[0].containers[0].command == tolist(["/migrate"]) &&
      google_cloud_run_v2_job.migrate.template[0].template[0].containers[0].args == tolist(["up"])
    )
    error_message = "The job runs `/migrate up` of the image."
  }
  assert {
    condition = (
      google_cloud_run_v2_job.migrate.template[0].template[0].max_retries == 0 &&
      google_cloud_run_v2_job.migrate.template[0].task_count == 1
    )
    error_message = "A migration that failed is looked at by a person, not tried again."
  }
  assert {
    condition = toset([
      for one in google_cloud_run_v2_job.migrate.template[0].template[0].containers[0].env : one.name
    ]) == toset(jsondecode(file("../functions.json")).jobs.migrate.variables)
    error_message = "The job is given the variables of its row of functions.json."
  }
  assert {
    condition     = google_cloud_run_v2_job.migrate.binary_authorization[0].use_default
    error_message = "Only images that our pipeline built may run."
  }
}

run "no_seat_is_discarded_and_no_connection_is_open" {
  command = plan

  assert {
    condition     = module.seats.settings.policy == "noeviction"
    error_message = "Every policy but noeviction discards seats that are held."
  }
  assert {
    condition = (
      module.seats.settings.authorization == "IAM_AUTH" && module.seats.settings.encryption == "SERVER_AUTHENTICATION"
    )
    error_message = "Connections to the seats need IAM and TLS."
  }
}

run "stores_are_protected_and_can_be_restored" {
  command = plan

  assert {
    condition     = module.records.settings.protected && module.seats.settings.protected
    error_message = "Both stores must be protected."
  }
  assert {
    condition     = module.records.settings.restorable
    error_message = "The database must be restorable to any point of a week."
  }
  assert {
    condition     = module.records.settings.edition == "ENTERPRISE"
    error_message = "The edition must be ENTERPRISE: the other one has no small machines."
  }
}

run "services_is_handed_what_it_asks_for" {
  command = plan

  assert {
    condition     = output.platform.records.url == "postgres://10.20.0.3:5432/license"
    error_message = "The records' address is handed over without a user."
  }
  assert {
    condition     = output.platform.seats.url == "rediss://10.10.0.8:6379"
    error_message = "The seats' address is handed over, with TLS."
  }
  assert {
    condition     = keys(output.platform.accounts) == keys(jsondecode(file("../functions.json")).functions)
    error_message = "There must be an account for each function."
  }
  assert {
    condition = local.job_values.DATABASE_URL == (
      "postgres://license-migrate%40${var.project}.iam@10.20.0.3:5432/license"
    )
    error_message = "The job logs in as its own account: ${local.job_values.DATABASE_URL}"
  }
}

run "services_is_told_of_no_replica_where_there_is_none" {
  command = plan

  assert {
    condition     = !output.platform.records.replica
    error_message = "An alert on what is not there would never fire, and nobody would know."
  }
}

run "services_is_told_of_the_replica" {
  command = plan

  variables {
    records = {
      tier    = "db-custom-1-3840", ha = true, max_connections = 200
      replica = { region = "us-east1" }
    }
  }

  assert {
    condition     = output.platform.records.replica
    error_message = "A replica must never be without its alert."
  }
}

run "what_was_promoted_is_behind_nothing" {
  command = plan

  variables {
    records = {
      tier    = "db-custom-1-3840", ha = true, max_connections = 200, instances = {}, active = "replica"
      replica = { region = "us-east1", promoted = true }
    }
  }

  assert {
    condition     = !output.platform.records.replica
    error_message = "A replica that was promoted follows nothing any more."
  }
}

run "a_tag_in_place_of_a_digest_is_refused" {
  command = plan

  variables {
    image = "example.dev/cloud:1.0"
  }

  expect_failures = [var.image]
}

run "backups_are_where_cloud_sql_has_a_name_for_it" {
  command = plan

  variables {
    kms_location = "europe"
  }

  assert {
    condition     = module.records.settings.backups == ["eu"]
    error_message = "Cloud SQL knows no multi-region europe: ${join(", ", module.records.settings.backups)} was found."
  }
}

run "a_location_without_backups_is_refused" {
  command = plan

  variables {
    kms_location = "global"
  }

  expect_failures = [var.kms_location]
}
