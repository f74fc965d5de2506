# The job that prepares the database: executed by the pipeline after this root is applied and before `services`.
locals {
  migrate = local.jobs.migrate

  # What each function may do in the database once it has logged in; the job itself is a superuser's member.
  grants = [
    for name, row in local.functions : "${module.records.users[name]}=${row.database_role}"
    if contains(row.stores, "records")
  ]

  job_values = {
    GOOGLE_CLOUD_PROJECT   = var.project
    START_PATIENCE_SECONDS = "45"
    DATABASE_URL = replace(
      module.records.url, "postgres://", "postgres://${urlencode(module.records.users["migrate"])}@"
    )
    DATABASE_AUTH      = "iam"
    DATABASE_CA        = module.records.ca
    DATABASE_GRANTS    = join(",", local.grants)
    REDIS_URL          = module.seats.url
    REDIS_AUTH         = "iam"
    REDIS_CA           = module.seats.ca
    SEAT_TTL_SECONDS   = tostring(var.lease.ttl_seconds)
    SEAT_DRAIN_SECONDS = tostring(var.lease.drain_seconds)
  }
  job_environment = { for name in local.migrate.variables : name => local.job_values[name] }
}

resource "google_cloud_run_v2_job" "migrate" {
  project  = var.project
  name     = "migrate"
  location = var.region
  # Nothing of value is in it.
  deletion_protection = false

  binary_authorization {
    use_default = true
  }

  template {
    task_count  = 1
    parallelism = 1

    template {
      service_account       = module.project.accounts["migrate"]
      timeout               = local.migrate.timeout
      max_retries           = local.migrate.retries
      execution_environment = "EXECUTION_ENVIRONMENT_GEN2"

      vpc_access {
        egress = "PRIVATE_RANGES_ONLY"
        network_interfaces {
          network    = module.network.network
          subnetwork = module.network.subnet
        }
      }

      containers {
        image   = var.image
        command = ["/migrate"]
        args    = local.migrate.arguments

        resources {
          limits = { cpu = "1", memory = local.migrate.memory }
        }

        dynamic "env" {
          for_each = local.job_environment
          content {
            name  = env.key
            value = env.value
          }
        }
      }
    }
  }

  depends_on = [module.records, module.seats]
}

# Whoever deploys executes it with the arguments it has: this role has no run.jobs.runWithOverrides, nor has any other
# of deploy-ENVIRONMENT@, which may not make a service that runs as this account either (modules/project, `jobs`). Other
# arguments (after-restore) are for break-glass; and for tofu-platform@, which makes the job.
resource "google_cloud_run_v2_job_iam_member" "deployer" {
  for_each = var.deployer == null ? {} : { deployer = var.deployer }

  project  = var.project
  location = var.region
  name     = google_cloud_run_v2_job.migrate.name
  role     = "roles/run.invoker"
  member   = "serviceAccount:${each.value}"
}
