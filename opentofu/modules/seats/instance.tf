resource "google_memorystore_instance" "seats" {
  project       = var.project
  instance_id   = var.name
  location      = var.region
  mode          = "CLUSTER_DISABLED"
  shard_count   = 1
  replica_count = var.replicas
  node_type     = var.node_type

  engine_version = "VALKEY_8_0"
  # Every other policy would discard seats that are held.
  engine_configs = { "maxmemory-policy" = "noeviction" }

  # Both can be chosen only when the instance is made.
  authorization_mode      = "IAM_AUTH"
  transit_encryption_mode = "SERVER_AUTHENTICATION"
  server_ca_mode          = "GOOGLE_MANAGED_PER_INSTANCE_CA"

  # Everything in it is rebuilt from the records.
  persistence_config {
    mode = "DISABLED"
  }

  desired_auto_created_endpoints {
    project_id = var.project
    network    = var.network
  }

  maintenance_policy {
    weekly_maintenance_window {
      day = var.maintenance.day
      start_time {
        hours = var.maintenance.hour
      }
    }
  }

  deletion_protection_enabled = var.keep
  deletion_policy             = var.keep ? "PREVENT" : "DELETE"

  lifecycle {
    prevent_destroy = var.keep
  }
}

resource "google_project_iam_member" "user" {
  for_each = var.users

  project = var.project
  role    = "roles/memorystore.dbConnectionUser"
  member  = "serviceAccount:${each.value}"
}
