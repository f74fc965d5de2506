module "push" {
  source = "../modules/push"

  project           = var.platform.project
  project_number    = var.platform.number
  region            = local.region
  url               = local.reaper_url
  audience          = local.values.PUSH_AUDIENCE
  account           = var.platform.push_account
  tick_topic        = var.platform.topics["tick"]
  dead_letter_topic = var.platform.topics["dead"]
  paused            = var.paused

  pushes = {
    for topic, path in local.described.pushes.topics : topic => { topic = var.platform.topics[topic], path = path }
  }

  # The address is known beforehand; a push to a service that is not there yet would count as a failed attempt.
  depends_on = [module.function]
}
