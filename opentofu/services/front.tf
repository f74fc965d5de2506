# Without a domain there is no load balancer: each function is reached at its run.app address alone, which costs nothing
# while nobody asks, and which a client that knows one address for everything cannot use.
module "front" {
  source   = "../modules/front"
  for_each = var.front == null ? {} : { front = var.front }

  project             = var.platform.project
  region              = local.region
  domain              = each.value.domain
  dns_zone            = each.value.dns_zone
  requests_per_minute = each.value.requests_per_minute
  log_sample_rate     = each.value.log_sample_rate

  functions = {
    for name, function in local.functions : name => {
      service       = module.function[name].name
      paths         = function.paths
      armor         = function.armor
      cdn           = try(function.cdn, false)
      default_route = try(function.default_route, false)
    } if function.ingress == "lb"
  }
}
