module "push" {
  source = "../modules/push"

  project           = var.platform.project
  project_number    = var.platform.number
  region            = local.region
  account           = var.platform.push_account
  tick_topic        = var.platform.topics["tick"]
  dead_letter_topic = var.platform.topics["dead"]
  paused            = var.paused

  pushes = {
    for name, push in local.described.pushes.subscriptions : name => {
      topic = var.platform.topics[push.topic]
      url   = local.run_urls[push.function]
      path  = push.path
    }
  }

  # The address is known beforehand; a push to a service that is not there yet would count as a failed attempt.
  depends_on = [module.function]
}
