# The stores, keys and accounts of production.

project      = "example-prod"
number       = "100000000003"
region       = "us-central1"
kms_location = "us"

# Who deploys the services: bootstrap made it.
deployer = "deploy-prod@example-build.iam.gserviceaccount.com"

records = {
  tier            = "db-custom-1-3840"
  ha              = true
  max_connections = 200
}

seats = {
  replicas = 1
}

signer = {
  protection_level = "HSM"
}

# `deploy keys` prints the numbers.
secret_versions = {
  HANDLE_KEY     = "1"
  LICENSE_PEPPER = "1"
  WEBHOOK_KEY    = "1"
}

identity = {
  domains = ["licenses.example.com"]
}
