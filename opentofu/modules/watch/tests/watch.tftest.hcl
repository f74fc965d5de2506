mock_provider "google" {}

variables {
  project         = "licenses-prod"
  domain          = "licenses.example.com"
  docs_url        = "https://example.com/docs/DEPLOYING.md"
  functions       = { acquire = { max = 4 }, reaper = { max = 2 }, register = { max = 1 } }
  max_connections = 200
  deployers       = ["services@licenses-prod.iam.gserviceaccount.com"]
  channels = {
    on-call = { sms = "+10000000000", urgencies = ["page"] }
    team    = { email = "team@example.com", urgencies = ["page", "ticket"] }
  }
  made_by_hand = { page = ["projects/licenses-prod/notificationChannels/1"] }
}

run "every_alert_has_a_policy_that_links_to_what_to_do" {
  command = plan

  assert {
    condition     = length(local.unmatched) == 0
    error_message = "alerts.yaml and the conditions name different alerts."
  }
  assert {
    condition = setunion(
      keys(google_monitoring_alert_policy.log), keys(google_monitoring_alert_policy.series),
      [for policy in google_monitoring_alert_policy.burn : policy.user_labels.alert],
    ) == toset([for name in keys(local.alerts) : name if name != "the-replica-is-behind"])
    error_message = "Without a replica every other alert has a policy."
  }
  assert {
    condition = alltrue([for policy in concat(
      values(google_monitoring_alert_policy.log), values(google_monitoring_alert_policy.series),
      values(google_monitoring_alert_policy.burn),
    ) : policy.documentation[0].links[0].url == "https://example.com/docs/DEPLOYING.md#${policy.user_labels.alert}"])
    error_message = "An alert does not link to its own anchor."
  }
  assert {
    condition = alltrue([for name, policy in merge(
      google_monitoring_alert_policy.log, google_monitoring_alert_policy.series, google_monitoring_alert_policy.burn,
    ) : length(policy.documentation[0].content) < 8192])
    error_message = "Google takes 8 KiB of words at most."
  }
}

run "objectives_burn_at_two_speeds" {
  command = plan

  assert {
    condition = toset(keys(google_monitoring_alert_policy.burn)) == toset([
      "acquire-fails-too-often-page", "acquire-fails-too-often-ticket", "acquire-is-slow-page",
      "acquire-is-slow-ticket", "heartbeat-fails-too-often-page", "heartbeat-fails-too-often-ticket",
      "heartbeat-is-slow-page", "heartbeat-is-slow-ticket", "register-fails-too-often-ticket",
    ])
    error_message = "Each objective pages and makes a ticket, that of register a ticket alone."
  }
  assert {
    condition = alltrue([for policy in google_monitoring_alert_policy.burn :
    policy.combiner == "AND" && length(policy.conditions) == 3])
    error_message = "Both windows must burn, and there must be enough requests."
  }
  assert {
    condition     = google_monitoring_slo.answers["heartbeat"].goal == 0.9995
    error_message = "Heartbeats are answered 9,995 times of 10,000."
  }
}

run "whoever_is_paged_is_not_told_of_tickets" {
  command = plan

  assert {
    condition     = length(local.channel_type) == 2 && local.channel_type["on-call"].type == "sms"
    error_message = "Each channel is made as the kind that it is."
  }
  assert {
    condition = google_monitoring_alert_policy.series["postgresql-does-not-run"].severity == "CRITICAL" && (
    google_monitoring_alert_policy.series["messages-were-given-up"].severity == "WARNING")
    error_message = "A page is critical, a ticket a warning."
  }
}

run "heartbeats_that_went_well_are_counted_and_not_stored" {
  command = plan

  assert {
    condition = strcontains(google_logging_project_exclusion.counted["renewed-heartbeats"].filter, join(" AND ", [
      "jsonPayload.metric=\"heartbeat/requests\"", "httpRequest.status<400", "sample(insertId, 0.99)",
    ]))
    error_message = "One in a hundred is stored."
  }
}

run "how_much_is_stored_can_be_chosen" {
  command = plan
  variables {
    stored_share = 0.001
  }

  assert {
    condition     = endswith(google_logging_project_exclusion.counted["renewed-heartbeats"].filter, "(insertId, 0.999)")
    error_message = "One in a thousand is stored."
  }
}

run "storing_everything_is_refused_here" {
  command = plan
  variables {
    stored_share = 1
  }
  expect_failures = [var.stored_share]
}

run "without_a_front_nobody_asks_for_it" {
  command = plan
  variables {
    domain = null
  }

  assert {
    condition     = length(google_monitoring_uptime_check_config.keys) == 0
    error_message = "There is nothing to ask."
  }
  assert {
    condition     = !contains(keys(google_monitoring_alert_policy.series), "the-front-does-not-answer")
    error_message = "An alert about what is not there."
  }
}

run "a_replica_is_watched" {
  command = plan
  variables {
    replica = true
  }

  assert {
    condition     = contains(keys(google_monitoring_alert_policy.series), "the-replica-is-behind")
    error_message = "Nobody would know that the replica is behind."
  }
}

run "a_paused_environment_wakes_nobody" {
  command = plan
  variables {
    paused = true
  }

  assert {
    condition = alltrue([for policy in concat(
      values(google_monitoring_alert_policy.series), values(google_monitoring_alert_policy.burn),
    ) : !policy.enabled])
    error_message = "It is paused on purpose."
  }
}

run "an_address_with_an_anchor_is_refused" {
  command = plan
  variables {
    docs_url = "https://example.com/docs/DEPLOYING.md#top"
  }
  expect_failures = [var.docs_url]
}

run "a_channel_without_an_address_is_refused" {
  command = plan
  variables {
    channels = { nobody = { urgencies = ["page"] } }
  }
  expect_failures = [var.channels]
}

run "an_urgency_that_does_not_exist_is_refused" {
  command = plan
  variables {
    channels = { team = { email = "team@example.com", urgencies = ["panic"] } }
  }
  expect_failures = [var.channels]
}
