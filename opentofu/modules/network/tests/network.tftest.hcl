mock_provider "google" {}

variables {
  project = "example-dev"
  region  = "us-central1"
}

run "the_functions_reach_the_stores_and_nothing_else" {
  command = plan

  assert {
    condition     = google_compute_subnetwork.functions.private_ip_google_access
    error_message = "Google's services must be reached without an address outside."
  }
  assert {
    condition     = !google_compute_network.network.auto_create_subnetworks
    error_message = "Only our own subnet may be there."
  }
  assert {
    condition = (
      one(google_compute_firewall.nobody_comes_in.deny).protocol == "all" &&
      one(google_compute_firewall.no_other_way_out.deny).protocol == "all"
    )
    error_message = "What is not let through must be refused, in both directions."
  }
  assert {
    condition = {
      for name, rule in google_compute_firewall.way_out : name => one(rule.allow).ports
    } == { records = tolist(["5432"]), seats = tolist(["6379"]) }
    error_message = "The ways out are PostgreSQL's port and Valkey's."
  }
  assert {
    condition     = google_service_networking_connection.records.deletion_policy == "ABANDON"
    error_message = "The connection to Cloud SQL cannot be deleted for days: it must be left alone."
  }
  assert {
    condition     = output.subnet == "projects/example-dev/regions/us-central1/subnetworks/license"
    error_message = "The subnet's name must be known to the plan."
  }
}

run "a_subnet_without_room_is_refused" {
  command = plan

  variables {
    ranges = { functions = "10.10.0.0/28" }
  }

  expect_failures = [var.ranges]
}
