module "signer" {
  source = "../modules/signer"

  project          = var.project
  location         = var.kms_location
  protection_level = var.signer.protection_level
  versions         = var.signer.versions
  current          = var.signer.current
  next             = var.signer.next
  signers          = local.signers
  keep             = var.keep
  depends_on       = [module.project]
}

module "secrets" {
  source = "../modules/secrets"

  project    = var.project
  readers    = local.readers
  versions   = var.secret_versions
  keep       = var.keep
  depends_on = [module.project]
}

module "identity" {
  source = "../modules/identity"

  project        = var.project
  domains        = var.identity.domains
  clients        = var.identity.clients
  client_secrets = var.client_secrets
  keep           = var.keep
  depends_on     = [module.project]
}

# Made here, and asked for by the alerts of services.
module "metrics" {
  source = "../modules/metrics"

  project    = var.project
  depends_on = [module.project]
}

module "events" {
  source = "../modules/events"

  project      = var.project
  number       = var.number
  regions      = [var.region]
  publishers   = local.publishers
  push_account = module.project.accounts["push"]
  depends_on   = [module.project]
}
