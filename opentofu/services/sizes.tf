locals {
  # Every function needs a size; one that is missing is refused by the output `sizes`, which names it.
  sizes = {
    for name in keys(local.functions) : name => merge(
      { min = 0, max = 1, cpu_idle = true },
      try(var.sizes[name], {}),
      { pool = coalesce(try(var.sizes[name].pool, null), var.pool_size) },
    )
  }

  # While a new revision starts, the old one still holds its connections: twice as many for a moment.
  connections_needed = 2 * sum([for size in values(local.sizes) : size.max * size.pool])

  # Not for the functions: three of superusers, and what Cloud SQL, the job migrate and a person at a console use.
  connections_kept      = 15
  connections_available = var.platform.records.max_connections - local.connections_kept
}

output "connections" {
  description = "The connections to PostgreSQL that the functions may hold at most, and how many there are for them."
  value       = { needed = local.connections_needed, available = local.connections_available }

  precondition {
    condition     = local.connections_needed <= local.connections_available
    error_message = <<-EOT
      The functions may need ${local.connections_needed} connections to PostgreSQL (instances times pool, twice during a
      rollout), and ${local.connections_available} are there for them (max_connections less ${local.connections_kept}).
      Lower `max` or the pool in services.tfvars, or raise max_connections in platform.tfvars and apply platform first.
    EOT
  }
}

output "sizes" {
  description = "The number of instances and connections of each function."
  value       = local.sizes

  precondition {
    condition     = toset(keys(var.sizes)) == toset(keys(local.functions))
    error_message = <<-EOT
      `sizes` in services.tfvars must name every function of functions.json and no other. Missing:
      [${join(" ", setsubtract(keys(local.functions), keys(var.sizes)))}]; unknown:
      [${join(" ", setsubtract(keys(var.sizes), keys(local.functions)))}].
    EOT
  }
}
