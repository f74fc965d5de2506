# Who is who, and who may do what: all of it from functions.json.
locals {
  described = jsondecode(file("${path.module}/../functions.json"))
  functions = local.described.functions
  jobs      = local.described.jobs
  rows      = merge(local.functions, local.jobs)
  accounts  = merge({ for name, row in local.rows : name => row.account }, { push = local.described.pushes.account })

  # By store: function or job to the e-mail of its account.
  users = {
    for store in ["records", "seats"] : store => {
      for name, row in local.rows : name => module.project.accounts[name] if contains(row.stores, store)
    }
  }

  signers = { for name, row in local.functions : name => module.project.accounts[name] if row.kms }

  # Every secret of any function, with those that read it.
  secrets = distinct(flatten([
    for row in values(local.functions) : concat(row.secrets, row.optional_secrets)
  ]))
  readers = {
    for secret in local.secrets : secret => {
      for name, row in local.functions : name => module.project.accounts[name]
      if contains(concat(row.secrets, row.optional_secrets), secret)
    }
  }

  publishers = {
    for name, row in local.functions : name => { email = module.project.accounts[name], topics = row.publishes }
    if length(row.publishes) > 0
  }
}

module "project" {
  source = "../modules/project"

  project  = var.project
  accounts = local.accounts
  jobs     = keys(local.jobs)
  deployer = var.deployer
  groups   = var.groups
}
