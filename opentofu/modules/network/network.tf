locals {
  network = "projects/${var.project}/global/networks/${var.name}"
  subnet  = "projects/${var.project}/regions/${var.region}/subnetworks/${var.name}"
}

resource "google_compute_network" "network" {
  project                 = var.project
  name                    = var.name
  auto_create_subnetworks = false
}

# The functions' way out. Cloud Run takes about two addresses for each instance, in blocks of 16.
resource "google_compute_subnetwork" "functions" {
  project                  = var.project
  name                     = var.name
  region                   = var.region
  network                  = google_compute_network.network.id
  ip_cidr_range            = var.ranges.functions
  private_ip_google_access = true
}

# Cloud SQL's addresses.
resource "google_compute_global_address" "records" {
  project       = var.project
  name          = "${var.name}-records"
  network       = google_compute_network.network.id
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  address       = split("/", var.ranges.records)[0]
  prefix_length = tonumber(split("/", var.ranges.records)[1])
}

resource "google_service_networking_connection" "records" {
  network                 = google_compute_network.network.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.records.name]
  # Cloud SQL keeps using the connection for days after its last instance is gone, and Google refuses to delete it.
  deletion_policy = var.keep ? "ABANDON" : "REMOVE_PEERING"
}

# Valkey's addresses are taken from the functions' subnet.
resource "google_network_connectivity_service_connection_policy" "seats" {
  project       = var.project
  name          = "${var.name}-seats"
  location      = var.region
  network       = google_compute_network.network.id
  service_class = "gcp-memorystore"

  psc_config {
    subnetworks = [google_compute_subnetwork.functions.id]
  }
}
