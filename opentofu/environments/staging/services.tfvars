# The services of staging: as in production, on stores of dev's size.

front = {
  domain = "staging.licenses.example.com"
}

pool_size = 2

sizes = {
  acquire   = { max = 2 }
  heartbeat = { max = 2 }
  release   = { max = 1 }
  register  = { max = 1 }
  admin     = { max = 1 }
  reaper    = { max = 1 }
  notify    = { max = 1, pool = 1 }
}

staff = {
  issuer   = "https://accounts.google.com"
  audience = "000000000000-staging.apps.googleusercontent.com"
  jwks_url = "https://www.googleapis.com/oauth2/v3/certs"
}

watch = {
  deployers = [
    "deploy-staging@example-build.iam.gserviceaccount.com",
    "tofu-platform@example-staging.iam.gserviceaccount.com",
  ]
  docs_url = "https://docs.example.com/DEPLOYING.md"
  channels = {
    operators = { email = "operators@example.com", urgencies = ["ticket"] }
  }
}

settings = {
  LOG_LEVEL        = "info"
  SECURITY_CONTACT = "mailto:security@example.com"
}
