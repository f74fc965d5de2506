# What services.tfvars and the platform may not say together, each refused under its own name.

mock_provider "google" {}

variables {
  image = "example.dev/cloud@sha256:0000000000000000000000000000000000000000000000000000000000000001"

  platform = jsondecode(file("./tests/platform.json"))
}

run "a_tag_in_place_of_a_digest" {
  command = plan

  variables {
    image = "us-docker.pkg.dev/example-build/license-server/cloud:latest"
  }

  expect_failures = [var.image]
}

run "more_connections_than_postgresql_has" {
  command = plan

  variables {
    pool_size = 4

    sizes = {
      acquire   = { max = 20 }
      heartbeat = { max = 4 }
      release   = { max = 3 }
      register  = { max = 2 }
      admin     = { max = 2 }
      reaper    = { max = 2 }
      notify    = { max = 2 }
    }
  }

  expect_failures = [output.connections]
}

run "more_connections_because_of_one_large_pool" {
  command = plan

  variables {
    pool_size = 4

    sizes = {
      acquire   = { max = 4, pool = 40 }
      heartbeat = { max = 4 }
      release   = { max = 3 }
      register  = { max = 2 }
      admin     = { max = 2 }
      reaper    = { max = 2 }
      notify    = { max = 2 }
    }
  }

  expect_failures = [output.connections]
}

run "more_instances_at_least_than_at_most" {
  command = plan

  variables {
    pool_size = 1

    sizes = {
      acquire   = { max = 2, min = 3 }
      heartbeat = { max = 4 }
      release   = { max = 3 }
      register  = { max = 2 }
      admin     = { max = 2 }
      reaper    = { max = 2 }
      notify    = { max = 2 }
    }
  }

  expect_failures = [var.sizes]
}

run "a_function_without_a_size" {
  command = plan

  variables {
    sizes = { acquire = { max = 4 } }
  }

  expect_failures = [output.sizes]
}

run "a_size_of_no_function" {
  command = plan

  variables {
    pool_size = 1

    sizes = {
      acquire   = { max = 1 }
      heartbeat = { max = 4 }
      release   = { max = 3 }
      register  = { max = 2 }
      admin     = { max = 2 }
      reaper    = { max = 2 }
      notify    = { max = 2 }
      accquire  = { max = 1 }
    }
  }

  expect_failures = [output.sizes]
}

run "a_secret_that_the_platform_does_not_have" {
  command = plan

  variables {
    platform = merge(jsondecode(file("./tests/platform.json")), {
      secrets = { HANDLE_KEY = { secret = "handle-key", version = "1" } }
    })
  }

  expect_failures = [output.secrets]
}

run "staff_with_the_audience_of_customers" {
  command = plan

  variables {
    staff = { issuer = "https://accounts.google.com", audience = "example-env" }
  }

  expect_failures = [output.staff_audience]
}

run "a_setting_that_no_function_reads" {
  command = plan

  variables {
    settings = { RATE_AQCUIRE = "120/40" }
  }

  expect_failures = [output.settings]
}

run "a_sender_of_mail_without_a_mail_server" {
  command = plan

  variables {
    settings = { MAIL_FROM = "Licenses <license@example.com>" }
  }

  expect_failures = [output.settings]
}

run "a_mail_server_without_a_sender" {
  command = plan

  variables {
    platform = merge(jsondecode(file("./tests/platform.json")), {
      secrets = merge(jsondecode(file("./tests/platform.json")).secrets, {
        MAIL_URL = { secret = "mail-url", version = "1" }
      })
    })
  }

  expect_failures = [output.settings]
}

run "a_setting_that_this_root_fills_in" {
  command = plan

  variables {
    settings = { DATABASE_URL = "postgres://elsewhere" }
  }

  expect_failures = [output.settings]
}

run "a_lease_shorter_than_the_services_accept" {
  command = plan

  variables {
    lease = { ttl_seconds = 1 }
  }

  expect_failures = [var.lease]
}

run "a_lease_longer_than_the_services_accept" {
  command = plan

  variables {
    lease = { ttl_seconds = 86401 }
  }

  expect_failures = [var.lease]
}

run "a_drain_shorter_than_cloud_run_needs" {
  command = plan

  variables {
    lease = { drain_seconds = 34 }
  }

  expect_failures = [var.lease]
}

run "a_drain_longer_than_the_services_accept" {
  command = plan

  variables {
    lease = { drain_seconds = 3601 }
  }

  expect_failures = [var.lease]
}

run "heartbeats_that_lose_the_seat_with_one" {
  command = plan

  variables {
    lease = { ttl_seconds = 361, heartbeat_seconds = 181 }
  }

  expect_failures = [var.lease]
}

run "a_lease_of_a_part_of_a_second" {
  command = plan

  variables {
    lease = { ttl_seconds = 360.5 }
  }

  expect_failures = [var.lease]
}

run "a_pool_of_no_connection" {
  command = plan

  variables {
    pool_size = 0
  }

  expect_failures = [var.pool_size]
}

run "a_canary_of_everything" {
  command = plan

  variables {
    canary_percent = 100
  }

  expect_failures = [var.canary_percent]
}
