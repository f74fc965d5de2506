output "name" {
  description = "The service's name, known when the service exists."
  value       = google_cloud_run_v2_service.function.name
}

output "latest_revision" {
  description = "The newest revision that is ready: what a canary of the next release is compared with."
  value       = google_cloud_run_v2_service.function.latest_ready_revision
}

output "configuration" {
  description = "What the service is given: for the contract test, the smoke test and the tests of the root."
  value = {
    image   = one(google_cloud_run_v2_service.function.template[0].containers).image
    command = one(google_cloud_run_v2_service.function.template[0].containers).command
    account = google_cloud_run_v2_service.function.template[0].service_account
    ingress = google_cloud_run_v2_service.function.ingress
    scaling = google_cloud_run_v2_service.function.scaling[0]
    traffic = google_cloud_run_v2_service.function.traffic
    environment = {
      for env in one(google_cloud_run_v2_service.function.template[0].containers).env :
      env.name => env.value if length(env.value_source) == 0
    }
    secrets = {
      for env in one(google_cloud_run_v2_service.function.template[0].containers).env :
      env.name => one(one(env.value_source).secret_key_ref) if length(env.value_source) == 1
    }
  }
}
