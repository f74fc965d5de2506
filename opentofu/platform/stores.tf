module "network" {
  source = "../modules/network"

  project    = var.project
  region     = var.region
  ranges     = var.ranges
  keep       = var.keep
  depends_on = [module.project]
}

locals {
  # What Cloud SQL calls the multi-regions of Cloud KMS.
  backup_locations = { us = "us", europe = "eu", asia = "asia" }
}

module "records" {
  source = "../modules/records"

  project         = var.project
  region          = var.region
  network         = module.network.network
  instances       = var.records.instances
  released        = var.records.released
  active          = var.records.active
  tier            = var.records.tier
  ha              = var.records.ha
  max_connections = var.records.max_connections
  backup_location = local.backup_locations[var.kms_location]
  replica         = var.records.replica
  users           = local.users.records
  keep            = var.keep
  depends_on      = [module.network]
}

module "seats" {
  source = "../modules/seats"

  project    = var.project
  region     = var.region
  network    = module.network.network
  node_type  = var.seats.node_type
  replicas   = var.seats.replicas
  users      = local.users.seats
  keep       = var.keep
  depends_on = [module.network]
}
