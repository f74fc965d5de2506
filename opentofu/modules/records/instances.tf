locals {
  # The names of what is there, and of what is named as a source and may be gone by now.
  name = {
    for key in toset(concat(
      keys(var.instances), [for one in var.instances : one.clone_of if one.clone_of != null], try([var.replica.of], []),
    )) : key => "${var.name}-${key}"
  }
  # A restore makes an instance of its own; it has the users and the database of the one it was cloned from.
  first = {
    for key, instance in var.instances : key => instance if !coalesce(instance.inherits, instance.clone_of != null)
  }
}

resource "google_sql_database_instance" "records" {
  for_each = var.instances

  project          = var.project
  name             = local.name[each.key]
  region           = var.region
  database_version = "POSTGRES_16"

  # By the provider, by Google, and (at the end) by tofu.
  deletion_protection = var.keep && each.value.keep
  deletion_policy     = var.keep && each.value.keep ? "PREVENT" : "DELETE"

  settings {
    # Unless it is said, PostgreSQL 16 is ENTERPRISE_PLUS, which has no small machines.
    edition                     = "ENTERPRISE"
    tier                        = var.tier
    availability_type           = var.ha ? "REGIONAL" : "ZONAL"
    activation_policy           = "ALWAYS"
    disk_type                   = "PD_SSD"
    disk_autoresize             = true
    disk_autoresize_limit       = var.disk_limit_gb
    deletion_protection_enabled = var.keep && each.value.keep
    retain_backups_on_delete    = true

    ip_configuration {
      ipv4_enabled    = false
      private_network = var.network
      ssl_mode        = "ENCRYPTED_ONLY"
      server_ca_mode  = "GOOGLE_MANAGED_INTERNAL_CA"
    }

    backup_configuration {
      enabled                        = true
      start_time                     = "03:00"
      location                       = var.backup_location
      point_in_time_recovery_enabled = true
      transaction_log_retention_days = 7

      backup_retention_settings {
        retained_backups = 14
      }
    }

    final_backup_config {
      enabled        = true
      retention_days = 30
    }

    maintenance_window {
      day          = 7
      hour         = 4
      update_track = "stable"
    }

    insights_config {
      query_insights_enabled  = true
      record_application_tags = false
      record_client_address   = false
    }

    dynamic "database_flags" {
      for_each = local.flags
      content {
        name  = database_flags.key
        value = database_flags.value
      }
    }
  }

  dynamic "clone" {
    for_each = each.value.clone_of == null ? {} : { source = each.value }
    content {
      source_instance_name = local.name[clone.value.clone_of]
      point_in_time        = clone.value.at
    }
  }

  # It is of all instances at once: tofu cannot ask one that is gone from the values whether it was protected. While
  # some are released, the provider and Google still protect each of the others.
  lifecycle {
    prevent_destroy = var.keep && length(setsubtract(var.released, ["replica"])) == 0
  }
}

locals {
  flags = {
    "cloudsql.iam_authentication" = "on"
    max_connections               = tostring(var.max_connections)

    # Few lines, and those that a person at night looks for: who waited for whose lock, whether writing kept up, which
    # statement failed, and who changed the schema. There are no passwords, so no statement has one.
    log_checkpoints         = "on"
    log_lock_waits          = "on"
    log_min_error_statement = "error"
    log_statement           = "ddl"
  }
}

# In another region, for the day on which this one is lost. It is asynchronous: promoting it is a restore.
resource "google_sql_database_instance" "replica" {
  for_each = var.replica == null ? {} : { replica = var.replica }

  project             = var.project
  name                = "${local.name[each.value.of]}-${each.value.region}"
  region              = each.value.region
  database_version    = "POSTGRES_16"
  deletion_protection = var.keep && each.value.keep
  deletion_policy     = var.keep && each.value.keep ? "PREVENT" : "DELETE"
  # Of one that was promoted Google knows no master any more.
  master_instance_name = each.value.promoted ? null : google_sql_database_instance.records[each.value.of].name

  settings {
    edition                     = "ENTERPRISE"
    tier                        = var.tier
    availability_type           = each.value.promoted && var.ha ? "REGIONAL" : "ZONAL"
    disk_type                   = "PD_SSD"
    deletion_protection_enabled = var.keep && each.value.keep

    ip_configuration {
      ipv4_enabled    = false
      private_network = var.network
      ssl_mode        = "ENCRYPTED_ONLY"
      server_ca_mode  = "GOOGLE_MANAGED_INTERNAL_CA"
    }

    # A replica has none of its own.
    dynamic "backup_configuration" {
      for_each = each.value.promoted ? toset(["backup"]) : toset([])
      content {
        enabled                        = true
        start_time                     = "03:00"
        location                       = var.backup_location
        point_in_time_recovery_enabled = true
        transaction_log_retention_days = 7

        backup_retention_settings {
          retained_backups = 14
        }
      }
    }

    dynamic "database_flags" {
      for_each = local.flags
      content {
        name  = database_flags.key
        value = database_flags.value
      }
    }
  }

  lifecycle {
    prevent_destroy = var.keep && !contains(var.released, "replica")
  }
}

locals {
  active = merge(google_sql_database_instance.records, google_sql_database_instance.replica)[var.active]
}
