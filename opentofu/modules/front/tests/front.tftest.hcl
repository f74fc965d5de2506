mock_provider "google" {}

variables {
  project = "example-prod"
  region  = "us-central1"
  domain  = "licenses.example.com"
  functions = {
    acquire   = { service = "acquire", paths = ["/api/v1/licenses/acquire"], armor = true }
    heartbeat = { service = "heartbeat", paths = ["/api/v1/licenses/heartbeat"] }
    release   = { service = "release", paths = ["/api/v1/licenses/release"] }
    admin     = { service = "admin", paths = ["/api/v1/me", "/docs/*"], armor = true, default_route = true }
  }
}

run "each_function_has_a_backend_of_its_service" {
  command = plan

  assert {
    condition = {
      for name, group in google_compute_region_network_endpoint_group.function : name => group.cloud_run[0].service
    } == { acquire = "acquire", admin = "admin", heartbeat = "heartbeat", release = "release" }
    error_message = "Each function must have an endpoint group of its own service."
  }

  assert {
    condition = alltrue([
      for one in google_compute_backend_service.function :
      one.load_balancing_scheme == "EXTERNAL_MANAGED" && one.protocol == "HTTPS"
    ])
    error_message = "Each backend must belong to the global external load balancer."
  }
}

run "cloud_armor_looks_at_no_heartbeat_and_no_release" {
  command = plan

  assert {
    condition = [for name, one in google_compute_backend_service.function : name if one.security_policy != null] == [
      "acquire", "admin",
    ]
    error_message = "Cloud Armor must look at the functions that ask for it, and never at heartbeat and release."
  }

  assert {
    condition     = google_compute_backend_service.function["heartbeat"].security_policy == null
    error_message = "A heartbeat must not be paid for at Cloud Armor."
  }

  assert {
    condition = (
      google_compute_backend_service.function["acquire"].security_policy
      == "projects/example-prod/global/securityPolicies/front"
    )
    error_message = "The backend must have the policy of this module."
  }
}

run "one_address_is_throttled_and_rules_of_others_only_preview" {
  command = plan

  assert {
    condition = [
      for rule in google_compute_security_policy.front["front"].rule :
      rule.rate_limit_options[0].rate_limit_threshold[0] if rule.action == "throttle"
    ] == [{ count = 600, interval_sec = 60 }]
    error_message = "One address must have 600 requests a minute."
  }

  assert {
    condition = alltrue([
      for rule in google_compute_security_policy.front["front"].rule : rule.preview
      if rule.priority >= 2000 && rule.priority < 3000
    ])
    error_message = "A preconfigured rule must not refuse anything before somebody has looked at what it would refuse."
  }

  assert {
    condition = [
      for rule in google_compute_security_policy.front["front"].rule : rule.action if rule.priority == 2147483647
    ] == ["allow"]
    error_message = "What no rule refuses must be let through."
  }
}

run "nothing_is_armored_without_a_policy" {
  command = plan

  variables {
    functions = { admin = { service = "admin", paths = ["/api/v1/me"], default_route = true } }
  }

  assert {
    condition     = length(google_compute_security_policy.front) == 0
    error_message = "A policy that no backend has would cost $5 a month."
  }
}

run "paths_and_hosts_lead_to_their_functions" {
  command = plan

  assert {
    condition = toset(flatten([
      for rule in google_compute_url_map.front.host_rule : [for host in rule.hosts : "${host} ${rule.path_matcher}"]
      ])) == toset([
      "licenses.example.com paths",
      "acquire.licenses.example.com acquire",
      "admin.licenses.example.com admin",
      "heartbeat.licenses.example.com heartbeat",
      "release.licenses.example.com release",
    ])
    error_message = "The domain must serve paths, and each function must have a host of its own."
  }

  assert {
    condition = toset(flatten([
      for matcher in google_compute_url_map.front.path_matcher :
      [for rule in matcher.path_rule : rule.paths] if matcher.name == "paths"
      ])) == toset([
      "/api/v1/licenses/acquire", "/api/v1/licenses/heartbeat", "/api/v1/licenses/release", "/api/v1/me", "/docs/*",
    ])
    error_message = "Each path of a function must be a rule of the domain."
  }

  assert {
    condition     = length(google_compute_url_map.front.test) == 5
    error_message = "The API must be asked to check where each path leads."
  }

  assert {
    condition     = output.urls["heartbeat"] == "https://heartbeat.licenses.example.com"
    error_message = "The address of a function must be its own host."
  }
}

run "http_leads_to_https_and_old_tls_is_refused" {
  command = plan

  assert {
    condition     = google_compute_url_map.redirect.default_url_redirect[0].https_redirect
    error_message = "HTTP must only lead to HTTPS."
  }

  assert {
    condition     = google_compute_ssl_policy.front.min_tls_version == "TLS_1_2"
    error_message = "TLS before 1.2 must be refused."
  }

  assert {
    condition = (
      google_compute_global_forwarding_rule.http.port_range == "80"
      && google_compute_global_forwarding_rule.https.port_range == "443"
    )
    error_message = "The front must listen on 80 and 443."
  }
}

run "one_certificate_covers_the_domain_and_the_hosts_below_it" {
  command = plan

  assert {
    condition = (
      google_certificate_manager_certificate.front.managed[0].domains
      == tolist(["licenses.example.com", "*.licenses.example.com"])
    )
    error_message = "The certificate must cover the domain and every host below it."
  }

  assert {
    condition = toset([
      for entry in google_certificate_manager_certificate_map_entry.front : entry.hostname
    ]) == toset(["licenses.example.com", "*.licenses.example.com"])
    error_message = "The certificate must be used for the domain and every host below it."
  }
}

run "the_load_balancer_writes_no_second_line_for_a_request" {
  command = plan

  assert {
    condition     = alltrue([for one in google_compute_backend_service.function : !one.log_config[0].enable])
    error_message = "The services log each request already."
  }
}

run "the_load_balancer_logs_the_share_that_somebody_asks_for" {
  command = plan

  variables {
    log_sample_rate = 0.1
  }

  assert {
    condition = alltrue([
      for one in google_compute_backend_service.function :
      one.log_config[0].enable && one.log_config[0].sample_rate == 0.1
    ])
    error_message = "A tenth of the requests must be logged."
  }
}

run "records_are_made_in_the_zone_of_this_project" {
  command = plan

  variables {
    dns_zone = "licenses"
  }

  # What the API answers is a list of one record.
  override_resource {
    target = google_certificate_manager_dns_authorization.front
    values = {
      dns_resource_record = [{ name = "_acme-challenge.licenses.example.com.", type = "CNAME", data = "x.example." }]
    }
  }

  assert {
    condition = toset([for record in google_dns_record_set.address : record.name]) == toset([
      "licenses.example.com.", "*.licenses.example.com.",
    ])
    error_message = "The domain and the hosts below it must lead to the address."
  }

  assert {
    condition     = length(google_dns_record_set.authorization) == 1
    error_message = "The record that authorizes the certificate must be made."
  }
}

run "without_a_zone_no_record_is_made" {
  command = plan

  assert {
    condition     = length(google_dns_record_set.address) + length(google_dns_record_set.authorization) == 0
    error_message = "Without a zone the records are made by hand."
  }
}

run "the_cdn_keeps_answers_of_those_that_ask_alone" {
  command = plan

  variables {
    functions = {
      console = { service = "console", paths = [], cdn = true, default_route = true }
      admin   = { service = "admin", paths = ["/api/v1/me"] }
    }
  }

  assert {
    condition = (
      google_compute_backend_service.function["console"].enable_cdn
      && !google_compute_backend_service.function["admin"].enable_cdn
    )
    error_message = "Only a function that asks for it may have the CDN."
  }
}
