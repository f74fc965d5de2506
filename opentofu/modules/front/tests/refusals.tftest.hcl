mock_provider "google" {}

variables {
  project = "example-prod"
  region  = "us-central1"
  domain  = "licenses.example.com"
  functions = {
    admin = { service = "admin", paths = ["/api/v1/me"], default_route = true }
  }
}

run "cloud_armor_on_heartbeats" {
  command = plan

  variables {
    functions = {
      admin     = { service = "admin", paths = ["/api/v1/me"], default_route = true }
      heartbeat = { service = "heartbeat", paths = ["/api/v1/licenses/heartbeat"], armor = true }
    }
  }

  expect_failures = [var.functions]
}

run "a_path_of_two_functions" {
  command = plan

  variables {
    functions = {
      admin    = { service = "admin", paths = ["/api/v1/me"], default_route = true }
      register = { service = "register", paths = ["/api/v1/me"] }
    }
  }

  expect_failures = [google_compute_url_map.front]
}

run "nobody_with_the_default_route" {
  command = plan

  variables {
    functions = { admin = { service = "admin", paths = ["/api/v1/me"] } }
  }

  expect_failures = [var.functions]
}

run "two_with_the_default_route" {
  command = plan

  variables {
    functions = {
      admin   = { service = "admin", paths = ["/api/v1/me"], default_route = true }
      console = { service = "console", paths = [], default_route = true }
    }
  }

  expect_failures = [var.functions]
}

run "a_star_in_the_middle_of_a_path" {
  command = plan

  variables {
    functions = { admin = { service = "admin", paths = ["/api/*/me"], default_route = true } }
  }

  expect_failures = [var.functions]
}

run "a_star_that_is_a_part_of_a_word" {
  command = plan

  variables {
    functions = { admin = { service = "admin", paths = ["/api/v1/organizations*"], default_route = true } }
  }

  expect_failures = [var.functions]
}

run "a_domain_that_is_an_address" {
  command = plan

  variables {
    domain = "https://licenses.example.com/"
  }

  expect_failures = [var.domain]
}

run "no_request_at_all_from_an_address" {
  command = plan

  variables {
    requests_per_minute = 0
  }

  expect_failures = [var.requests_per_minute]
}

run "a_share_of_logs_above_all" {
  command = plan

  variables {
    log_sample_rate = 2
  }

  expect_failures = [var.log_sample_rate]
}
