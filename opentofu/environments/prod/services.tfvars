# The services of production.

front = {
  domain = "licenses.example.com"
}

pool_size = 4

# `min = 1` keeps an instance of a function warm, for those who will not let the first client after a quiet time wait
# for a start of up to 45 s; docs/COST.md has the price.
sizes = {
  acquire   = { max = 4, min = 0 }
  heartbeat = { max = 4, min = 0 }
  release   = { max = 3, min = 0 }
  register  = { max = 2 }
  admin     = { max = 2 }
  reaper    = { max = 2 }
  notify    = { max = 2 }
}

# A new release serves a tenth of the requests before it serves all of them.
canary_percent = 10

staff = {
  issuer   = "https://accounts.google.com"
  audience = "000000000000-prod.apps.googleusercontent.com"
  jwks_url = "https://www.googleapis.com/oauth2/v3/certs"
}

budget = {
  billing_account = "000000-000000-000000"
  amount          = 300
}

watch = {
  deployers = [
    "deploy-prod@example-build.iam.gserviceaccount.com",
    "tofu-platform@example-prod.iam.gserviceaccount.com",
  ]
  docs_url = "https://docs.example.com/DEPLOYING.md"
  channels = {
    operators = { email = "operators@example.com", urgencies = ["page", "ticket"] }
  }
}

settings = {
  LOG_LEVEL        = "info"
  SECURITY_CONTACT = "mailto:security@example.com"
}
