output "urls" {
  description = "The address of each function: at its own host of the domain, or at run.app where there is no domain."
  value = {
    for name in keys(local.functions) : name => (
      local.ingress[name] == "lb" ? module.front["front"].urls[name] : local.run_urls[name]
    )
  }
}

output "public_url" {
  description = "The address that clients know; null where there is no load balancer."
  value       = local.public_url
}

output "front" {
  description = "The address and the DNS records of the load balancer; null where there is none."
  value = var.front == null ? null : {
    address     = module.front["front"].address
    dns_records = module.front["front"].dns_records
  }
}

output "image" {
  description = "The image that the functions run."
  value       = var.image
}

output "revisions" {
  description = "The newest ready revision of each function: `previous_revisions` of the next canary."
  value       = { for name, function in module.function : name => function.latest_revision }
}

output "environment" {
  description = "The plain variables of each function, for the contract test and for a look at what runs."
  value       = local.environment
}

output "paused" {
  description = "Whether the environment is paused."
  value       = var.paused
}
