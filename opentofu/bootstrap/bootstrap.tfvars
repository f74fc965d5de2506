# What exists once, for all environments.

project  = "example-build"
number   = "100000000000"
region   = "us-central1"
location = "us"

# Who approves a deploy of prod. A group, so that nobody is named here and who belongs to it changes without an apply.
approvers = "approvers@example.com"

environments = {
  dev     = { project = "example-dev", number = "100000000001", push = "^main$" }
  staging = { project = "example-staging", number = "100000000002" }
  prod    = { project = "example-prod", number = "100000000003", approval = true }
}
