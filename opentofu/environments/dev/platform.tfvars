# The stores, keys and accounts of dev.

project      = "example-dev"
number       = "100000000001"
region       = "us-central1"
kms_location = "us"

# Who deploys the services: bootstrap made it.
deployer = "deploy-dev@example-build.iam.gserviceaccount.com"

records = {
  tier            = "db-g1-small"
  ha              = false
  max_connections = 50
}

seats = {
  replicas = 0
}

signer = {
  protection_level = "SOFTWARE"
}

# `deploy keys` prints the numbers.
secret_versions = {
  HANDLE_KEY     = "1"
  LICENSE_PEPPER = "1"
  WEBHOOK_KEY    = "1"
}

identity = {
  domains = ["dev.licenses.example.com"]
}
