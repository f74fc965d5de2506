# What each function is told: for every name in its row of functions.json the value from here, if there is one.
locals {
  public_url = var.front == null ? null : "https://${var.front.domain}"

  # The same for every function.
  values = {
    GOOGLE_CLOUD_PROJECT   = var.platform.project
    DOCS_URL               = var.docs_url
    PUBLIC_URL             = local.public_url
    START_PATIENCE_SECONDS = "45"

    DATABASE_AUTH = "iam"
    DATABASE_CA   = var.platform.records.ca
    REDIS_URL     = var.platform.seats.url
    REDIS_AUTH    = "iam"
    REDIS_CA      = var.platform.seats.ca

    SEAT_TTL_SECONDS   = tostring(var.lease.ttl_seconds)
    SEAT_DRAIN_SECONDS = tostring(var.lease.drain_seconds)
    HEARTBEAT_SECONDS  = var.lease.heartbeat_seconds == null ? null : tostring(var.lease.heartbeat_seconds)

    TOKEN_ISSUER  = coalesce(var.token_issuer, local.public_url, local.run_urls["acquire"])
    ROOT_KEY      = var.platform.signer.root_key
    ROOT_KEY_NEXT = var.platform.signer.root_key_next

    IDENTITY_ISSUER         = var.platform.identity.issuer
    IDENTITY_AUDIENCE       = var.platform.identity.audience
    STAFF_IDENTITY_ISSUER   = try(var.staff.issuer, null)
    STAFF_IDENTITY_AUDIENCE = try(var.staff.audience, null)
    STAFF_IDENTITY_JWKS_URL = try(var.staff.jwks_url, null)

    PUSH_EMAIL     = var.platform.push_account
    PUBSUB_PROJECT = var.platform.project
  }

  # One function's own. The login of a service account to PostgreSQL is its e-mail without what all of them end in.
  own_values = {
    for name, function in local.functions : name => {
      DATABASE_URL = replace(var.platform.records.url, "postgres://", format(
        "postgres://%s@", urlencode(trimsuffix(var.platform.accounts[name], ".gserviceaccount.com")),
      ))
      DATABASE_POOL_SIZE = tostring(local.sizes[name].pool)

      # Its own address, so that a token that one function is pushed is worth nothing at another.
      PUSH_AUDIENCE = local.run_urls[name]

      TRUSTED_PROXIES = tostring(local.ingress[name] == "lb" ? var.front.trusted_proxies : 1)
    }
  }

  variables = {
    for name, function in local.functions : name => concat(
      local.described.every.variables,
      flatten([for store in function.stores : local.described.stores[store].variables]),
      function.variables,
    )
  }

  environment = {
    for name, variables in local.variables : name => {
      for variable, value in merge(var.settings, local.values, local.own_values[name]) :
      variable => value if value != null && contains(variables, variable)
    }
  }

  # An optional secret is one that is being replaced, under another name, or the mail server: the platform says whether
  # it has a version.
  secrets = {
    for name, function in local.functions : name => {
      for variable, secret in var.platform.secrets :
      variable => secret if contains(concat(function.secrets, function.optional_secrets), variable)
    }
  }
}
