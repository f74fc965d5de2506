# Run with prod's values alone, as its name says.

mock_provider "google" {}

variables {
  image = "example.dev/cloud@sha256:0000000000000000000000000000000000000000000000000000000000000001"

  # The connections that this environment's PostgreSQL really has.
  platform = merge(jsondecode(file("./tests/platform.json")), {
    records = {
      url = "postgres://10.0.0.3:5432/license"
      ca  = "the CA of the records", replica = false
      max_connections = tonumber(one(
        regex("max_connections = ([0-9]+)", file("../environments/prod/platform.tfvars")),
      ))
    }
  })
}

run "postgresql_has_the_connections_that_the_functions_may_need" {
  command = plan

  assert {
    condition     = output.connections.needed == 152 && output.connections.available == 185
    error_message = "The sizes in services.tfvars and max_connections in platform.tfvars must fit each other."
  }
}

run "nothing_is_kept_warm" {
  command = plan

  assert {
    condition     = alltrue([for size in output.sizes : size.min == 0])
    error_message = "A warm instance is asked for on purpose: docs/COST.md has its price."
  }
}

run "clients_know_one_address" {
  command = plan

  assert {
    condition     = output.public_url == "https://licenses.example.com"
    error_message = "Clients must reach every function at the domain."
  }

  assert {
    condition     = output.environment["acquire"].TOKEN_ISSUER == output.public_url
    error_message = "Tokens must name the address that clients know."
  }

  assert {
    condition     = output.urls["heartbeat"] == "https://heartbeat.licenses.example.com"
    error_message = "Each function must also have a host of its own."
  }

  assert {
    condition = {
      for name, environment in output.environment : name => environment.TRUSTED_PROXIES
    } == { acquire = "2", admin = "2", heartbeat = "2", notify = "1", reaper = "1", register = "2", release = "2" }
    error_message = "Behind the load balancer two addresses are added to X-Forwarded-For, at run.app one."
  }
}

run "staff_signs_in_where_customers_cannot" {
  command = plan

  assert {
    condition     = output.environment["admin"].STAFF_IDENTITY_AUDIENCE == var.staff.audience
    error_message = "Admin must be told who staff is."
  }

  assert {
    condition     = !contains(keys(output.environment["register"]), "STAFF_IDENTITY_AUDIENCE")
    error_message = "No other function may be told."
  }
}

run "somebody_is_told" {
  command = plan

  assert {
    condition     = length(module.watch) == 1
    error_message = "This environment must be watched."
  }
}

run "a_replica_has_its_alert_by_itself" {
  command = plan

  variables {
    platform = merge(jsondecode(file("./tests/platform.json")), {
      records = { url = "postgres://10.0.0.3:5432/license", ca = "the CA", max_connections = 200, replica = true }
    })
  }

  assert {
    condition     = contains(module.watch["watch"].alerts, "the-replica-is-behind")
    error_message = "Platform says that there is a replica, and no value of services has to say it again."
  }
}

run "without_a_replica_there_is_no_alert_on_one" {
  command = plan

  assert {
    condition     = !contains(module.watch["watch"].alerts, "the-replica-is-behind")
    error_message = "An alert on what is not there."
  }
}

run "a_new_release_is_compared_with_the_one_before" {
  command = plan

  variables {
    previous_revisions = { acquire = "acquire-00007-xyz" }
  }

  assert {
    condition     = [for target in module.function["acquire"].configuration.traffic : target.percent] == [10, 90]
    error_message = "Production asks for a canary of a tenth."
  }
}

run "a_budget_is_kept" {
  command = plan

  assert {
    condition     = length(module.budget) == 1
    error_message = "Production must have a budget."
  }
}
