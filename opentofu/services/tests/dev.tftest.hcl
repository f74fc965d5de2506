# Run with dev's values alone, as its name says.

mock_provider "google" {}

variables {
  image = "example.dev/cloud@sha256:0000000000000000000000000000000000000000000000000000000000000001"

  # The connections that this environment's PostgreSQL really has.
  platform = merge(jsondecode(file("./tests/platform.json")), {
    records = {
      url             = "postgres://10.0.0.3:5432/license"
      ca              = "the CA of the records"
      max_connections = tonumber(one(regex("max_connections = ([0-9]+)", file("../environments/dev/platform.tfvars"))))
    }
  })
}

run "postgresql_has_the_connections_that_the_functions_may_need" {
  command = plan

  assert {
    condition     = output.connections.needed == 34 && output.connections.available == 35
    error_message = "The sizes in services.tfvars and max_connections in platform.tfvars must fit each other."
  }
}

run "nothing_is_kept_warm" {
  command = plan

  assert {
    condition     = alltrue([for size in output.sizes : size.min == 0])
    error_message = "Dev must cost nothing while nobody asks."
  }
}

run "each_function_is_reached_at_its_own_address" {
  command = plan

  assert {
    condition     = length(module.front) == 0 && output.public_url == null
    error_message = "Dev has no load balancer."
  }

  assert {
    condition     = output.urls["acquire"] == "https://acquire-123456789012.us-central1.run.app"
    error_message = "A function without a load balancer must be reached at run.app."
  }

  assert {
    condition     = output.environment["acquire"].TOKEN_ISSUER == output.urls["acquire"]
    error_message = "Tokens must name an address of this environment."
  }

  assert {
    condition     = alltrue([for environment in output.environment : environment.TRUSTED_PROXIES == "1"])
    error_message = "At run.app one address is added to X-Forwarded-For."
  }
}
