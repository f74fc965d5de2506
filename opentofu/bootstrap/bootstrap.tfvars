# What exists once, for all environments.

project  = "example-build"
number   = "100000000000"
region   = "us-central1"
location = "us"

environments = {
  dev     = { project = "example-dev", number = "100000000001", push = "^main$" }
  staging = { project = "example-staging", number = "100000000002" }
  prod    = { project = "example-prod", number = "100000000003", approval = true }
}
