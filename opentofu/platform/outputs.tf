output "platform" {
  description = "What the root services needs to know. `deploy` writes it to services/platform.auto.tfvars.json."
  value = {
    project  = var.project
    number   = var.number
    region   = var.region
    network  = module.network.network
    subnet   = module.network.subnet
    accounts = { for name in keys(local.functions) : name => module.project.accounts[name] }
    records = {
      url             = module.records.url
      ca              = module.records.ca
      max_connections = module.records.max_connections
      # Whether one follows: what was promoted does not. services watches how far it is behind.
      replica = try(!var.records.replica.promoted, false)
    }
    seats    = { url = module.seats.url, ca = module.seats.ca }
    signer   = { root_key = module.signer.root_key, root_key_next = module.signer.root_key_next }
    secrets  = module.secrets.secrets
    identity = { issuer = module.identity.issuer, audience = module.identity.audience }
    topics   = module.events.topics

    push_account = module.project.accounts["push"]
  }
}

output "environment" {
  description = "The variables of the job migrate, for the contract test and for a look at what is executed."
  value       = { migrate = local.job_environment }
}
