# Once a minute everywhere: in an environment that ticked less often, what depends on the reaper would behave otherwise
# than in production.
resource "google_cloud_scheduler_job" "tick" {
  project     = var.project
  region      = var.region
  name        = "tick"
  description = "Asks once a minute for what is due: of the reaper sessions that ended, of notify deliveries."
  schedule    = "* * * * *"
  time_zone   = "Etc/UTC"
  paused      = var.paused

  pubsub_target {
    topic_name = var.tick_topic
    data       = base64encode("{}")
  }

  # The next minute makes up for a tick that was lost.
  retry_config {
    retry_count = 0
  }
}
