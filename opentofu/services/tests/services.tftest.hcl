# Run once for each environment, with `-var-file=../environments/ENVIRONMENT/services.tfvars`.

mock_provider "google" {}

variables {
  image = "example.dev/cloud@sha256:0000000000000000000000000000000000000000000000000000000000000001"

  platform = jsondecode(file("./tests/platform.json"))
}

run "each_service_runs_its_binary_of_the_digest" {
  command = plan

  assert {
    condition     = keys(module.function) == keys(jsondecode(file("../functions.json")).functions)
    error_message = "Every function of functions.json must be a service, and nothing else."
  }

  assert {
    condition     = alltrue([for function in module.function : function.configuration.image == var.image])
    error_message = "Every service must run the image of the digest."
  }

  assert {
    condition = alltrue([
      for name, function in module.function : function.configuration.command == tolist(["/${name}"])
    ])
    error_message = "Every service must run the binary of its name."
  }

  assert {
    condition = alltrue([
      for name, function in module.function : function.configuration.account == var.platform.accounts[name]
    ])
    error_message = "Every service must run as the account of its name."
  }
}

run "only_the_reaper_and_notify_are_internal" {
  command = plan

  assert {
    condition = [
      for name, function in module.function : name if function.configuration.ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY"
    ] == ["notify", "reaper"]
    error_message = "The reaper and notify, and no other service, must be reached by Google's own callers alone."
  }

  assert {
    condition = alltrue([
      for name, function in module.function :
      function.configuration.ingress == (
        var.front == null ? "INGRESS_TRAFFIC_ALL" : "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
      ) if !contains(["notify", "reaper"], name)
    ])
    error_message = "The other services must be reached through the load balancer where there is one."
  }
}

run "each_service_is_told_what_functions_json_says" {
  command = plan

  # Names that functions.json gives a function and that have no value in this environment are left out.
  assert {
    condition = alltrue([
      for name, function in module.function : length(setsubtract(
        keys(function.configuration.environment),
        concat(
          jsondecode(file("../functions.json")).every.variables,
          flatten([
            for store in jsondecode(file("../functions.json")).functions[name].stores :
            jsondecode(file("../functions.json")).stores[store].variables
          ]),
          jsondecode(file("../functions.json")).functions[name].variables,
        ),
      )) == 0
    ])
    error_message = "No service may be told a variable that functions.json does not give it."
  }

  assert {
    condition = alltrue([
      for name, function in module.function : length(setsubtract(
        setsubtract(
          concat(
            jsondecode(file("../functions.json")).every.variables,
            flatten([
              for store in jsondecode(file("../functions.json")).functions[name].stores :
              jsondecode(file("../functions.json")).stores[store].variables
            ]),
            jsondecode(file("../functions.json")).functions[name].variables,
          ),
          keys(function.configuration.environment),
        ),
        concat(
          tolist(setsubtract(local.settable, keys(var.settings))),
          [for variable, value in local.values : variable if value == null],
        ),
      )) == 0
    ])
    error_message = "A service must be told every variable of its row that has a value."
  }

  assert {
    condition = {
      for name, function in module.function : name => join(" ", keys(function.configuration.secrets))
      } == {
      for name, function in jsondecode(file("../functions.json")).functions : name => join(" ", sort(function.secrets))
    }
    error_message = "A service must read the secrets of its row and no other."
  }

  assert {
    condition = alltrue([
      for function in module.function : alltrue([
        for variable, secret in function.configuration.secrets :
        secret.version == var.platform.secrets[variable].version
      ])
    ])
    error_message = "A secret must be read at the version that the platform names."
  }
}

run "each_service_logs_in_as_itself" {
  command = plan

  assert {
    condition = alltrue([
      for name, function in module.function : function.configuration.environment.DATABASE_URL
      == "postgres://license-${name}%40example-env.iam@10.0.0.3:5432/license"
    ])
    error_message = "The user of DATABASE_URL must be the account of the service."
  }

  assert {
    condition = alltrue([
      for function in module.function :
      function.configuration.environment.DATABASE_AUTH == "iam"
      && try(function.configuration.environment.REDIS_AUTH, "iam") == "iam"
    ])
    error_message = "Both stores must be entered with tokens and not with passwords."
  }
}

run "what_connects_to_the_records_alone_is_told_nothing_of_the_seats" {
  command = plan

  assert {
    condition = [
      for name, function in module.function : name if !contains(keys(function.configuration.environment), "REDIS_URL")
    ] == ["notify"]
    error_message = "Notify, and no other service, does without the seats."
  }

  assert {
    condition     = !contains(keys(module.function["notify"].configuration.environment), "SEAT_TTL_SECONDS")
    error_message = "Notify has nothing to do with leases."
  }
}

run "the_reaper_and_notify_are_pushed_to_with_the_audience_that_they_expect" {
  command = plan

  assert {
    condition = module.push.configuration.endpoints == {
      notify-events = "https://notify-123456789012.us-central1.run.app/events"
      notify-tick   = "https://notify-123456789012.us-central1.run.app/due"
      reap          = "https://reaper-123456789012.us-central1.run.app/reap"
      tick          = "https://reaper-123456789012.us-central1.run.app/tick"
    }
    error_message = "The clock must be pushed to both, sweeps to the reaper and events to notify."
  }

  assert {
    condition = alltrue([
      for name, push in jsondecode(file("../functions.json")).pushes.subscriptions :
      module.push.configuration.audiences[name]
      == module.function[push.function].configuration.environment.PUSH_AUDIENCE
    ])
    error_message = "A function must expect the audience that its subscriptions send."
  }

  assert {
    condition     = module.push.configuration.schedule == "* * * * *"
    error_message = "The clock must tick every minute in every environment."
  }
}

run "no_heartbeat_is_paid_for_at_cloud_armor" {
  command = plan

  assert {
    condition = alltrue([
      for front in module.front : [for name, one in front.configuration : name if one.armor != null]
      == ["acquire", "admin", "register"]
    ])
    error_message = "Cloud Armor must look at acquire, admin and register, and never at heartbeat and release."
  }

  assert {
    condition     = length(module.front) == (var.front == null ? 0 : 1)
    error_message = "There must be a load balancer exactly where there is a domain."
  }
}

run "everything_scales_to_zero_unless_the_values_say_otherwise" {
  command = plan

  assert {
    condition = alltrue([
      for name, function in module.function :
      function.configuration.scaling.min_instance_count == try(var.sizes[name].min, 0)
      && function.configuration.scaling.max_instance_count == var.sizes[name].max
    ])
    error_message = "Instances must be what services.tfvars says."
  }
}

run "the_new_release_has_all_of_the_traffic_where_nothing_is_compared" {
  command = plan

  assert {
    condition = alltrue([
      for function in module.function : [for target in function.configuration.traffic : target.percent] == [100]
    ])
    error_message = "Without previous revisions the new release must serve every request."
  }
}

run "a_canary_shares_the_traffic_with_the_previous_revision" {
  command = plan

  variables {
    canary_percent     = 10
    previous_revisions = { acquire = "acquire-00007-xyz", heartbeat = "heartbeat-00009-abc" }
  }

  assert {
    condition = [
      for target in module.function["acquire"].configuration.traffic :
      join(" ", compact([target.percent, target.revision]))
    ] == ["10", "90 acquire-00007-xyz"]
    error_message = "The previous revision must keep what the canary does not have."
  }

  assert {
    condition     = [for target in module.function["admin"].configuration.traffic : target.percent] == [100]
    error_message = "A function without a previous revision must serve with its new one."
  }
}

run "previous_revisions_alone_are_no_canary" {
  command = plan

  variables {
    canary_percent     = null
    previous_revisions = { acquire = "acquire-00007-xyz" }
  }

  assert {
    condition     = [for target in module.function["acquire"].configuration.traffic : target.percent] == [100]
    error_message = "An environment that asks for no canary must not have one."
  }
}

run "paused_nothing_runs_and_the_clock_stands_still" {
  command = plan

  variables {
    paused = true
  }

  assert {
    condition = alltrue([
      for function in module.function :
      function.configuration.scaling.scaling_mode == "MANUAL"
      && function.configuration.scaling.manual_instance_count == 0
      && function.configuration.scaling.min_instance_count == 0
    ])
    error_message = "A paused environment must have no instance."
  }

  assert {
    condition     = module.push.configuration.paused
    error_message = "The clock of a paused environment must stand still."
  }
}
