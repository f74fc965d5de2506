locals {
  # Rules by range: Cloud Run's network tags do not work as targets.
  ways_out = {
    records = { range = var.ranges.records, port = "5432" }
    seats   = { range = var.ranges.functions, port = "6379" }
  }
}

resource "google_compute_firewall" "nobody_comes_in" {
  project       = var.project
  name          = "${var.name}-nobody-comes-in"
  network       = google_compute_network.network.id
  direction     = "INGRESS"
  priority      = 65000
  source_ranges = ["0.0.0.0/0"]

  deny {
    protocol = "all"
  }
}

resource "google_compute_firewall" "way_out" {
  for_each = local.ways_out

  project            = var.project
  name               = "${var.name}-to-${each.key}"
  network            = google_compute_network.network.id
  direction          = "EGRESS"
  priority           = 1000
  destination_ranges = [each.value.range]

  allow {
    protocol = "tcp"
    ports    = [each.value.port]
  }
}

resource "google_compute_firewall" "no_other_way_out" {
  project            = var.project
  name               = "${var.name}-no-other-way-out"
  network            = google_compute_network.network.id
  direction          = "EGRESS"
  priority           = 65000
  destination_ranges = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]

  deny {
    protocol = "all"
  }
}
