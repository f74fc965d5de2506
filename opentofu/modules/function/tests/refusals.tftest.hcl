mock_provider "google" {}

variables {
  project     = "example-dev"
  region      = "us-central1"
  name        = "release"
  image       = "example.dev/cloud@sha256:0000000000000000000000000000000000000000000000000000000000000001"
  account     = "release@example-dev.iam.gserviceaccount.com"
  ingress     = "lb"
  environment = { START_PATIENCE_SECONDS = "45" }
  network     = "license"
  subnet      = "functions"
  concurrency = 80
  timeout     = "10s"
  scaling     = { max = 3 }
}

run "a_tag_in_place_of_a_digest" {
  command = plan

  variables {
    image = "us-docker.pkg.dev/example-build/license-server/cloud:latest"
  }

  expect_failures = [var.image]
}

run "a_tag_beside_a_digest" {
  command = plan

  variables {
    image = "example.dev/cloud:v1@sha256:0000000000000000000000000000000000000000000000000000000000000001"
  }

  expect_failures = [var.image]
}

run "a_secret_at_its_latest_version" {
  command = plan

  variables {
    secrets = { HANDLE_KEY = { secret = "handle-key", version = "latest" } }
  }

  expect_failures = [var.secrets]
}

run "more_instances_at_least_than_at_most" {
  command = plan

  variables {
    scaling = { min = 4, max = 3 }
  }

  expect_failures = [var.scaling]
}

run "no_instance_at_all_without_a_pause" {
  command = plan

  variables {
    scaling = { max = 0 }
  }

  expect_failures = [var.scaling]
}

run "an_unknown_ingress" {
  command = plan

  variables {
    ingress = "public"
  }

  expect_failures = [var.ingress]
}

run "a_canary_with_all_of_the_traffic" {
  command = plan

  variables {
    canary = { previous_revision = "release-00007-xyz", percent = 100 }
  }

  expect_failures = [var.canary]
}

run "release_with_a_kms_variable" {
  command = plan

  variables {
    environment = { ROOT_KEY = "kms:projects/example-dev/key" }
  }

  expect_failures = [google_cloud_run_v2_service.function]
}

run "release_with_the_next_kms_variable" {
  command = plan

  variables {
    environment = { ROOT_KEY_NEXT = "kms:projects/example-dev/key" }
  }

  expect_failures = [google_cloud_run_v2_service.function]
}

run "a_signer_without_a_key" {
  command = plan

  variables {
    signs = true
  }

  expect_failures = [google_cloud_run_v2_service.function]
}

run "a_variable_both_plain_and_secret" {
  command = plan

  variables {
    environment = { HANDLE_KEY = "in plain sight" }
    secrets     = { HANDLE_KEY = { secret = "handle-key", version = "1" } }
  }

  expect_failures = [google_cloud_run_v2_service.function]
}

run "a_start_that_waits_longer_than_the_probe" {
  command = plan

  variables {
    environment = { START_PATIENCE_SECONDS = "90" }
  }

  expect_failures = [google_cloud_run_v2_service.function]
}

run "a_timeout_without_its_unit" {
  command = plan

  variables {
    timeout = "10"
  }

  expect_failures = [var.timeout]
}

run "more_requests_at_once_than_cloud_run_takes" {
  command = plan

  variables {
    concurrency = 1001
  }

  expect_failures = [var.concurrency]
}

run "a_name_that_cloud_run_does_not_take" {
  command = plan

  variables {
    name = "Release_2"
  }

  expect_failures = [var.name]
}
