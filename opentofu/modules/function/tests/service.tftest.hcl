mock_provider "google" {}

variables {
  project     = "example-dev"
  region      = "us-central1"
  name        = "acquire"
  image       = "example.dev/cloud@sha256:0000000000000000000000000000000000000000000000000000000000000001"
  account     = "acquire@example-dev.iam.gserviceaccount.com"
  ingress     = "lb"
  environment = { LOG_LEVEL = "info", ROOT_KEY = "kms:projects/example-dev/key", START_PATIENCE_SECONDS = "45" }
  secrets     = { HANDLE_KEY = { secret = "handle-key", version = "3" } }
  signs       = true
  network     = "license"
  subnet      = "functions"
  concurrency = 80
  timeout     = "10s"
  scaling     = { max = 4 }
}

run "the_binary_of_its_name_runs_from_the_digest" {
  command = plan

  assert {
    condition     = one(google_cloud_run_v2_service.function.template[0].containers).image == var.image
    error_message = "The container must run the image of the digest."
  }

  assert {
    condition     = one(google_cloud_run_v2_service.function.template[0].containers).command == tolist(["/acquire"])
    error_message = "The container must run the binary of the function's name."
  }

  assert {
    condition     = google_cloud_run_v2_service.function.template[0].service_account == var.account
    error_message = "The service must run as the function's own account."
  }
}

run "it_is_told_its_variables_and_nothing_else" {
  command = plan

  assert {
    condition     = output.configuration.environment == var.environment
    error_message = "The plain variables must be those that were given."
  }

  assert {
    condition = output.configuration.secrets == {
      HANDLE_KEY = { secret = "handle-key", version = "3" }
    }
    error_message = "A secret must be read at the version that was given."
  }
}

run "it_scales_to_zero_unless_somebody_asks_for_a_warm_instance" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_service.function.scaling[0].min_instance_count == 0
    error_message = "Without `min` no instance may be kept."
  }

  assert {
    condition     = google_cloud_run_v2_service.function.scaling[0].max_instance_count == 4
    error_message = "The limit of instances must be at the level of the service."
  }

  assert {
    condition     = google_cloud_run_v2_service.function.scaling[0].scaling_mode == "AUTOMATIC"
    error_message = "The service must scale by itself."
  }
}

run "a_warm_instance_is_kept_where_somebody_asks" {
  command = plan

  variables {
    scaling = { min = 1, max = 4 }
  }

  assert {
    condition     = google_cloud_run_v2_service.function.scaling[0].min_instance_count == 1
    error_message = "`min` must be the number of instances that are kept."
  }
}

run "paused_it_has_no_instance" {
  command = plan

  variables {
    paused  = true
    scaling = { min = 1, max = 4 }
  }

  assert {
    condition     = google_cloud_run_v2_service.function.scaling[0].scaling_mode == "MANUAL"
    error_message = "A paused service must not scale by itself."
  }

  assert {
    # Of the local too: where the argument is not set, the mock answers 0.
    condition = (
      local.manual_instances == 0 && google_cloud_run_v2_service.function.scaling[0].manual_instance_count == 0
    )
    error_message = "A paused service must have no instance."
  }

  assert {
    condition     = google_cloud_run_v2_service.function.scaling[0].min_instance_count == 0
    error_message = "A paused service must keep no warm instance."
  }
}

run "behind_the_load_balancer_it_has_no_address_of_its_own" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_service.function.ingress == "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
    error_message = "Requests must come from the load balancer."
  }

  assert {
    condition     = google_cloud_run_v2_service.function.default_uri_disabled
    error_message = "The run.app address would be a way around the load balancer."
  }
}

run "internal_it_keeps_the_address_that_pub_sub_pushes_to" {
  command = plan

  variables {
    ingress = "internal"
  }

  assert {
    condition     = google_cloud_run_v2_service.function.ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY"
    error_message = "Only Google's own callers may reach it."
  }

  assert {
    condition     = !google_cloud_run_v2_service.function.default_uri_disabled
    error_message = "Pub/Sub reaches an internal service at its run.app address alone."
  }
}

run "the_whole_traffic_goes_to_the_latest_revision" {
  command = plan

  assert {
    condition = [for target in google_cloud_run_v2_service.function.traffic : [target.type, target.percent]] == [
      ["TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", 100]
    ]
    error_message = "Without a canary the latest revision must have all requests."
  }
}

run "a_canary_has_its_share_of_the_traffic" {
  command = plan

  variables {
    canary = { previous_revision = "acquire-00007-xyz", percent = 10 }
  }

  assert {
    condition = {
      for target in google_cloud_run_v2_service.function.traffic :
      target.type => join(" ", compact([target.percent, target.revision]))
      } == {
      TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST   = "10"
      TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION = "90 acquire-00007-xyz"
    }
    error_message = "The new revision must have the canary's share, and the previous one the rest."
  }
}

run "it_waits_for_its_stores_and_reaches_them_directly" {
  command = plan

  assert {
    condition = (
      one(google_cloud_run_v2_service.function.template[0].containers).startup_probe[0].http_get[0].path
      == "/health/started"
    )
    error_message = "The startup probe must ask whether the stores have answered."
  }

  assert {
    condition     = google_cloud_run_v2_service.function.template[0].vpc_access[0].egress == "PRIVATE_RANGES_ONLY"
    error_message = "Only private addresses may go through the network: there is no NAT for others."
  }

  assert {
    condition     = length(google_cloud_run_v2_service.function.template[0].vpc_access[0].network_interfaces) == 1
    error_message = "The service must have an interface in the network."
  }
}

run "what_must_hold_for_every_service" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_service.function.invoker_iam_disabled
    error_message = "The check of Cloud Run removes the signature of the tokens that the reaper verifies."
  }

  assert {
    condition     = !google_cloud_run_v2_service.function.deletion_protection
    error_message = "Deletion protection would block every replacement."
  }

  assert {
    condition     = google_cloud_run_v2_service.function.binary_authorization[0].use_default
    error_message = "Only images that the project's policy admits may run."
  }

  assert {
    condition     = one(google_cloud_run_v2_service.function.template[0].containers).resources[0].cpu_idle
    error_message = "Unless somebody asks, CPU must be billed by requests."
  }

  assert {
    condition     = length(one(google_cloud_run_v2_service.function.template[0].containers).liveness_probe) == 0
    error_message = "A liveness probe would wake idle instances."
  }
}
