module "watch" {
  source   = "../modules/watch"
  for_each = var.watch == null ? {} : { watch = var.watch }

  project         = var.platform.project
  domain          = try(var.front.domain, null)
  docs_url        = each.value.docs_url
  functions       = { for name, size in local.sizes : name => { max = size.max } }
  max_connections = var.platform.records.max_connections
  subscriptions   = { reap = module.push.subscriptions["reap"], dead = each.value.dead_subscription }
  replica         = coalesce(var.platform.records.replica, false)
  deployers       = each.value.deployers
  channels        = each.value.channels
  made_by_hand    = each.value.made_by_hand
  paused          = var.paused

  heartbeat_seconds = coalesce(var.lease.heartbeat_seconds, floor(var.lease.ttl_seconds * 0.3))
}
