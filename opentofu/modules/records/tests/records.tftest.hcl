mock_provider "google" {
  mock_resource "google_sql_database_instance" {
    defaults = {
      private_ip_address = "10.20.0.3"
      server_ca_cert = [
        { cert = "first", common_name = "", create_time = "", expiration_time = "", sha1_fingerprint = "" },
        { cert = "second", common_name = "", create_time = "", expiration_time = "", sha1_fingerprint = "" },
      ]
    }
  }
}

variables {
  project         = "example-prod"
  region          = "us-central1"
  network         = "projects/example-prod/global/networks/license"
  tier            = "db-custom-1-3840"
  ha              = true
  max_connections = 200
  backup_location = "us"
  users = {
    acquire = "license-acquire@example-prod.iam.gserviceaccount.com"
    migrate = "license-migrate@example-prod.iam.gserviceaccount.com"
  }
}

run "a_small_machine_is_possible_and_a_zone_may_fail" {
  command = plan

  assert {
    condition     = google_sql_database_instance.records["a"].settings[0].edition == "ENTERPRISE"
    error_message = "The edition must be ENTERPRISE: the other one has no small machines."
  }
  assert {
    condition     = google_sql_database_instance.records["a"].settings[0].availability_type == "REGIONAL"
    error_message = "With `ha` there is a standby in another zone."
  }
}

run "it_can_be_restored_to_any_point_of_a_week" {
  command = plan

  assert {
    condition = alltrue([
      for backup in google_sql_database_instance.records["a"].settings[0].backup_configuration :
      backup.enabled && backup.point_in_time_recovery_enabled && backup.transaction_log_retention_days == 7
    ])
    error_message = "Backups and seven days of the log must be kept."
  }
}

run "it_logs_what_is_looked_for_at_night" {
  command = plan

  variables {
    replica = { region = "us-east1" }
  }

  assert {
    condition = alltrue([
      for instance in concat(
        values(google_sql_database_instance.records), values(google_sql_database_instance.replica),
        ) : length(setintersection([for flag in instance.settings[0].database_flags : "${flag.name}=${flag.value}"], [
          "log_checkpoints=on", "log_lock_waits=on", "log_min_error_statement=error", "log_statement=ddl",
      ])) == 4
    ])
    error_message = "Lock waits, checkpoints, failed statements and changes of the schema must be logged."
  }
}

run "it_is_protected" {
  command = plan

  assert {
    condition = (
      google_sql_database_instance.records["a"].deletion_protection &&
      google_sql_database_instance.records["a"].deletion_policy == "PREVENT" &&
      google_sql_database_instance.records["a"].settings[0].deletion_protection_enabled
    )
    error_message = "The instance must be protected from being deleted, by Google and by tofu."
  }
}

run "nobody_connects_from_outside_or_without_tls" {
  command = plan

  assert {
    condition = alltrue([
      for way in google_sql_database_instance.records["a"].settings[0].ip_configuration :
      !way.ipv4_enabled && way.ssl_mode == "ENCRYPTED_ONLY"
    ])
    error_message = "It may have no address outside, and no connection without TLS."
  }
}

run "there_are_no_passwords_and_migrate_alone_is_a_superuser" {
  command = plan

  assert {
    condition     = alltrue([for user in google_sql_user.user : user.type == "CLOUD_IAM_SERVICE_ACCOUNT"])
    error_message = "Every user logs in by IAM."
  }
  assert {
    condition = [
      for user in google_sql_user.user : user.name if contains(coalesce(user.database_roles, []), "cloudsqlsuperuser")
    ] == ["license-migrate@example-prod.iam"]
    error_message = "Only migrate may be a superuser's member."
  }
  assert {
    condition = {
      for flag in google_sql_database_instance.records["a"].settings[0].database_flags : flag.name => flag.value
      } == {
      "cloudsql.iam_authentication" = "on", max_connections = "200", log_checkpoints = "on", log_lock_waits = "on",
      log_min_error_statement       = "error", log_statement = "ddl"
    }
    error_message = "IAM login must be on, and the number of connections the one that sizes are checked with."
  }
}

run "a_restore_is_a_second_instance_with_the_users_of_the_first" {
  command = plan

  variables {
    instances = { a = {}, b = { clone_of = "a", at = "2026-11-28T12:00:00.000Z" } }
    active    = "b"
  }

  assert {
    condition     = google_sql_database_instance.records["b"].clone[0].source_instance_name == "records-a"
    error_message = "b is cloned from a."
  }
  assert {
    condition     = keys(google_sql_user.user) == ["a acquire", "a migrate"]
    error_message = "The clone has its users already."
  }
}

run "an_active_instance_that_is_not_there_is_refused" {
  command = plan

  variables {
    active = "b"
  }

  expect_failures = [var.active]
}

run "a_clone_without_a_time_is_refused" {
  command = plan

  variables {
    instances = { a = {}, b = { clone_of = "a" } }
  }

  expect_failures = [var.instances]
}

run "a_replica_waits_in_another_region" {
  command = plan

  variables {
    replica = { region = "us-east1" }
  }

  assert {
    condition     = google_sql_database_instance.replica["replica"].region == "us-east1"
    error_message = "The replica must be elsewhere."
  }
  assert {
    condition     = google_sql_database_instance.replica["replica"].settings[0].deletion_protection_enabled
    error_message = "The replica must be protected too."
  }
  assert {
    condition     = google_sql_database_instance.replica["replica"].master_instance_name == "records-a"
    error_message = "It must follow the records."
  }
}

run "a_restore_leaves_the_replica_where_it_is" {
  command = plan

  variables {
    instances = { a = {}, b = { clone_of = "a", at = "2026-11-28T12:00:00.000Z" } }
    active    = "b"
    replica   = { region = "us-east1" }
  }

  assert {
    condition     = google_sql_database_instance.replica["replica"].name == "records-a-us-east1"
    error_message = "Another name would be another instance, and this one is protected."
  }
}

run "in_a_lost_region_nothing_is_left_and_the_promoted_replica_serves" {
  variables {
    region    = "us-east1"
    instances = {}
    active    = "replica"
    replica   = { region = "us-east1", promoted = true }
    keep      = false
  }

  assert {
    condition = (
      google_sql_database_instance.replica["replica"].name == "records-a-us-east1" &&
      google_sql_database_instance.replica["replica"].settings[0].availability_type == "REGIONAL"
    )
    error_message = "It keeps its name, and has a standby from now on."
  }
  assert {
    condition = alltrue([
      for backup in google_sql_database_instance.replica["replica"].settings[0].backup_configuration :
      backup.enabled && backup.point_in_time_recovery_enabled
    ])
    error_message = "From now on it must be backed up."
  }
  assert {
    condition     = output.url == "postgres://10.20.0.3:5432/license" && output.settings.restorable
    error_message = "${output.url} was found."
  }
  assert {
    condition     = length(google_sql_user.user) == 0
    error_message = "It has the users of the instance that it followed."
  }
}

run "a_replica_that_was_not_promoted_does_not_serve" {
  command = plan

  variables {
    active  = "replica"
    replica = { region = "us-east1" }
  }

  expect_failures = [var.active]
}

run "a_replica_of_nothing_is_refused" {
  command = plan

  variables {
    replica = { region = "us-east1", of = "b" }
  }

  expect_failures = [var.replica]
}

run "a_replica_in_the_same_region_is_refused" {
  command = plan

  variables {
    replica = { region = "us-central1" }
  }

  expect_failures = [var.replica]
}

run "the_url_is_that_of_the_active_instance" {
  variables {
    keep = false
  }

  assert {
    condition     = output.url == "postgres://10.20.0.3:5432/license"
    error_message = "${output.url} was found."
  }
  assert {
    condition     = output.ca == "first\nsecond"
    error_message = "Every certificate must be handed over: Google exchanges them while both hold."
  }
}

# From here on each run goes on with what the one before left, as the applies of a restore do.
run "a_restore_is_made_beside_what_is_protected" {
  variables {
    instances = { a = {}, b = { clone_of = "a", at = "2026-11-28T12:00:00.000Z" } }
    active    = "b"
  }

  assert {
    condition     = alltrue([for one in google_sql_database_instance.records : one.deletion_protection])
    error_message = "Both must be protected."
  }
}

run "first_the_protection_of_one_is_taken_away" {
  variables {
    instances = { a = { keep = false }, b = { clone_of = "a", at = "2026-11-28T12:00:00.000Z" } }
    active    = "b"
  }

  assert {
    condition = {
      for key, one in google_sql_database_instance.records : key => join(" ", [
        one.deletion_policy, one.deletion_protection, one.settings[0].deletion_protection_enabled,
      ])
    } == { a = "DELETE false false", b = "PREVENT true true" }
    error_message = "Google and the provider must let go of a, and of nothing else."
  }
}

run "then_it_is_removed_and_what_was_cloned_from_it_stays_as_it_is" {
  variables {
    instances = { b = { clone_of = "a", at = "2026-11-28T12:00:00.000Z" } }
    released  = ["a"]
    active    = "b"
  }

  assert {
    condition     = keys(google_sql_database_instance.records) == ["b"]
    error_message = "a must be gone."
  }
  assert {
    condition     = google_sql_database_instance.records["b"].clone[0].source_instance_name == "records-a"
    error_message = "Another source would be another instance."
  }
  assert {
    condition     = length(google_sql_user.user) == 0 && length(google_sql_database.records) == 0
    error_message = "b has its database and its users from a."
  }
}

run "what_has_its_users_already_gets_none_whatever_it_was_cloned_from" {
  variables {
    instances = { b = { inherits = true } }
    active    = "b"
    keep      = false
  }

  assert {
    condition     = length(google_sql_user.user) == 0 && length(google_sql_database.records) == 0
    error_message = "The database and the users are there: making them would fail."
  }
}

run "what_is_used_is_not_released" {
  command = plan

  variables {
    released = ["a"]
  }

  expect_failures = [var.released]
}
