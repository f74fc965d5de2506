# Cloud Build makes this attestor itself, with the first image that it builds. Until `attested` says that it exists,
# images without an attestation are only written down.
resource "google_binary_authorization_policy" "environment" {
  for_each = var.environments

  project                       = each.value.project
  global_policy_evaluation_mode = "ENABLE"

  default_admission_rule {
    evaluation_mode         = var.attested ? "REQUIRE_ATTESTATION" : "ALWAYS_ALLOW"
    enforcement_mode        = var.attested ? "ENFORCED_BLOCK_AND_AUDIT_LOG" : "DRYRUN_AUDIT_LOG_ONLY"
    require_attestations_by = var.attested ? [local.attestor] : []
  }
}

resource "google_binary_authorization_attestor_iam_member" "environment" {
  for_each = var.attested ? var.environments : {}

  project  = var.project
  attestor = local.attestor
  role     = "roles/binaryauthorization.attestorsVerifier"
  member   = "serviceAccount:service-${each.value.number}@gcp-sa-binaryauthorization.iam.gserviceaccount.com"
}
