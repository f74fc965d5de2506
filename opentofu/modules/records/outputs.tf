output "url" {
  description = "Where the active instance's database is, without a user."
  value       = "postgres://${local.active.private_ip_address}:5432/${var.database}"
}

output "ca" {
  description = "The certificates, as PEM, of which one signed the server's. They are no secret."
  value = nonsensitive(
    join("\n", [for one in local.active.server_ca_cert : one.cert])
  )
}

output "max_connections" {
  description = "The largest number of connections."
  value       = var.max_connections
}

output "users" {
  description = "Function or job to the user it logs in as."
  value       = local.users
}

output "ready" {
  description = "Known when the database and its users exist: for depends_on."
  value = merge(
    { for key, database in google_sql_database.records : "database ${key}" => database.id },
    { for key, user in google_sql_user.user : "user ${key}" => user.id },
  )
}

output "settings" {
  description = "What the active instance is like, for the tests of roots."
  value = one([
    for settings in local.active.settings : {
      edition      = settings.edition
      availability = settings.availability_type
      backups      = [for one in settings.backup_configuration : one.location]
      restorable   = alltrue([for one in settings.backup_configuration : one.point_in_time_recovery_enabled])
      protected = (
        settings.deletion_protection_enabled && local.active.deletion_protection
      )
      flags = { for flag in settings.database_flags : flag.name => flag.value }
    }
  ])
}

output "superusers" {
  description = "The users that are members of cloudsqlsuperuser."
  value = toset([
    for user in google_sql_user.user : user.name if contains(coalesce(user.database_roles, []), "cloudsqlsuperuser")
  ])
}
