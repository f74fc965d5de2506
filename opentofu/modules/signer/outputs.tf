output "root_key" {
  description = "The value of ROOT_KEY."
  value       = local.path[var.current]
}

output "root_key_next" {
  description = "The value of ROOT_KEY_NEXT; null: there is none."
  value       = var.next == null ? null : local.path[var.next]
}

output "key" {
  description = "The key's full name."
  value       = local.key
}
