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

output "settings" {
  description = "What the key is like, for the tests of roots."
  value = one([
    for template in google_kms_crypto_key.root.version_template : {
      algorithm  = template.algorithm
      protection = template.protection_level
    }
  ])
}

output "signers" {
  description = "The members that may sign."
  value = toset([
    for grant in google_kms_crypto_key_iam_member.signer : grant.member if grant.role == "roles/cloudkms.signer"
  ])
}
