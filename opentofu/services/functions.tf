locals {
  described = jsondecode(file("${path.module}/../functions.json"))
  functions = local.described.functions
  region    = coalesce(var.region, var.platform.region)

  # The address that Cloud Run gives a service besides the one with a random part. It is known before the service is
  # there, so that the reaper and notify can be told the audience of the tokens that they are shown.
  run_urls = {
    for name in keys(local.functions) : name => "https://${name}-${var.platform.number}.${local.region}.run.app"
  }

  # Without a load balancer everybody reaches the functions at run.app.
  ingress = {
    for name, function in local.functions :
    name => function.ingress == "lb" && var.front == null ? "all" : function.ingress
  }

  previous_revisions = var.canary_percent == null ? {} : var.previous_revisions
}

module "function" {
  source   = "../modules/function"
  for_each = local.functions

  project     = var.platform.project
  region      = local.region
  name        = each.key
  image       = var.image
  account     = var.platform.accounts[each.key]
  ingress     = local.ingress[each.key]
  environment = local.environment[each.key]
  secrets     = local.secrets[each.key]
  signs       = each.value.kms
  network     = var.platform.network
  subnet      = var.platform.subnet
  concurrency = each.value.concurrency
  timeout     = each.value.timeout
  memory      = each.value.memory
  cpu_idle    = local.sizes[each.key].cpu_idle
  scaling     = { min = local.sizes[each.key].min, max = local.sizes[each.key].max }
  paused      = var.paused

  # A function that had no revision before serves with its new one alone.
  canary = contains(keys(local.previous_revisions), each.key) ? {
    previous_revision = local.previous_revisions[each.key]
    percent           = var.canary_percent
  } : null
}
