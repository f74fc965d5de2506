# Cloud Armor costs money for each request. Heartbeats and releases carry a handle that the service checks without a
# store, and they are most of all requests: they never pass through it.
resource "google_compute_security_policy" "front" {
  for_each = local.armored ? { front = "front" } : {}

  project     = var.project
  name        = each.value
  description = "For the functions that answer people and machines without a session."

  dynamic "rule" {
    for_each = local.rules

    content {
      description = rule.value.description
      priority    = rule.value.priority
      action      = rule.value.action
      preview     = rule.value.preview

      match {
        versioned_expr = rule.value.expression == null ? "SRC_IPS_V1" : null

        dynamic "config" {
          for_each = rule.value.expression == null ? { everybody = ["*"] } : {}

          content {
            src_ip_ranges = config.value
          }
        }

        dynamic "expr" {
          for_each = rule.value.expression == null ? {} : { expression = rule.value.expression }

          content {
            expression = expr.value
          }
        }
      }

      dynamic "rate_limit_options" {
        for_each = rule.value.action == "throttle" ? { address = var.requests_per_minute } : {}

        content {
          conform_action = "allow"
          exceed_action  = "deny(429)"
          enforce_on_key = "IP"

          rate_limit_threshold {
            count        = rate_limit_options.value
            interval_sec = 60
          }
        }
      }
    }
  }
}

locals {
  # Of known attributes, so that a plan says which backends have the policy; it also orders the two.
  policy = local.armored ? join("/", [
    "projects", google_compute_security_policy.front["front"].project,
    "global/securityPolicies", google_compute_security_policy.front["front"].name,
  ]) : null

  rule = { description = null, action = "allow", preview = false, expression = null }

  rules = merge(
    {
      methods = merge(local.rule, {
        description = "Methods that no function answers."
        priority    = 1000
        action      = "deny(403)"
        expression  = "!request.method.matches('^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)$')"
      })
      size = merge(local.rule, {
        description = "Bodies above the 64 KiB that the services read."
        priority    = 1100
        action      = "deny(403)"
        expression = join(" && ", [
          "has(request.headers['content-length'])", "int(request.headers['content-length']) > 65536",
        ])
      })
      addresses = merge(local.rule, {
        description = "More requests from one address than a large office makes."
        priority    = 3000
        action      = "throttle"
      })
      others = merge(local.rule, {
        description = "Everything else."
        priority    = 2147483647
      })
    },
    # In preview these rules refuse nothing: the log says what they would have refused. JSON looks like an attack to
    # some of them, so each is looked at before it refuses requests.
    {
      for index, set in sort(var.waf_sets) : set => merge(local.rule, {
        description = "Google's rules of this name, in preview."
        priority    = 2000 + index
        action      = "deny(403)"
        preview     = true
        expression  = "evaluatePreconfiguredWaf('${set}', {'sensitivity': 1})"
      })
    },
  )
}
