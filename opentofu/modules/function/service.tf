resource "google_cloud_run_v2_service" "function" {
  project  = var.project
  location = var.region
  name     = var.name
  ingress  = local.ingress[var.ingress]

  # Behind the load balancer the run.app address would only be a way around it. Pub/Sub reaches an internal service at
  # its run.app address and nowhere else.
  default_uri_disabled = var.ingress == "lb"

  # Callers are checked by the service itself. With the check of Cloud Run on, Cloud Run removes the signature of the
  # token it forwards, which the reaper verifies; and a binding for allUsers is what domain restricted sharing forbids.
  invoker_iam_disabled = true

  # A service holds nothing of value, and the provider's default (true) blocks every replacement.
  deletion_protection = false

  # At the level of the service, so that the limit also holds while two revisions serve. Cloud Run fills in what is not
  # said here, which would be a difference in every plan.
  scaling {
    scaling_mode          = var.paused ? "MANUAL" : "AUTOMATIC"
    manual_instance_count = local.manual_instances
    min_instance_count    = var.paused ? 0 : var.scaling.min
    max_instance_count    = var.scaling.max
  }

  binary_authorization {
    use_default = true
  }

  dynamic "traffic" {
    for_each = local.traffic

    content {
      type     = traffic.value.type
      revision = traffic.value.revision
      percent  = traffic.value.percent
    }
  }

  template {
    service_account                  = var.account
    timeout                          = var.timeout
    max_instance_request_concurrency = var.concurrency
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN1"

    # Both stores have private addresses; KMS, Pub/Sub, the keys of identity providers and the receivers of webhooks are
    # reached without the network, so that no NAT is needed. What is sent to a private address goes into the network,
    # whose firewall lets nothing out but to the stores (modules/network): a webhook reaches no other machine there,
    # whatever its name is made to mean.
    vpc_access {
      egress = "PRIVATE_RANGES_ONLY"

      network_interfaces {
        network    = var.network
        subnetwork = var.subnet
      }
    }

    containers {
      image   = var.image
      command = ["/${var.name}"]

      ports {
        name           = "http1"
        container_port = 8080
      }

      resources {
        limits            = { cpu = "1", memory = var.memory }
        cpu_idle          = var.cpu_idle
        startup_cpu_boost = true
      }

      # No liveness probe: a panic is caught, a dead process is started again anyway, and a probe wakes idle instances.
      startup_probe {
        period_seconds    = 1
        timeout_seconds   = 1
        failure_threshold = local.startup_seconds

        http_get {
          path = "/health/started"
          port = 8080
        }
      }

      dynamic "env" {
        for_each = var.environment

        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = var.secrets

        content {
          name = env.key

          value_source {
            secret_key_ref {
              secret  = env.value.secret
              version = env.value.version
            }
          }
        }
      }
    }
  }

  lifecycle {
    precondition {
      condition     = length(setintersection(keys(var.environment), keys(var.secrets))) == 0
      error_message = <<-EOT
        ${var.name} is given a variable both as a plain value and as a secret. Remove it from one of the two.
      EOT
    }

    precondition {
      condition     = var.signs == contains(keys(var.environment), "ROOT_KEY")
      error_message = <<-EOT
        ${var.name} ${var.signs ? "signs and is given no ROOT_KEY" : "never signs and is given a ROOT_KEY"}. In
        functions.json `kms` and the variable ROOT_KEY belong together: a function that may not use the key is not told
        which one it is.
      EOT
    }

    precondition {
      condition     = var.signs || !contains(keys(var.environment), "ROOT_KEY_NEXT")
      error_message = "${var.name} never signs and is given ROOT_KEY_NEXT. Remove the variable from functions.json."
    }

    precondition {
      condition     = tonumber(lookup(var.environment, "START_PATIENCE_SECONDS", "0")) < local.startup_seconds
      error_message = <<-EOT
        START_PATIENCE_SECONDS of ${var.name} is not shorter than the ${local.startup_seconds} s after which the startup
        probe gives up: with a store away, no instance would ever start.
      EOT
    }
  }
}
