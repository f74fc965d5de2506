mock_provider "google" {}

variables {
  project           = "example-dev"
  project_number    = "123456789012"
  region            = "us-central1"
  url               = "https://reaper-123456789012.us-central1.run.app"
  audience          = "https://reaper-123456789012.us-central1.run.app"
  account           = "push@example-dev.iam.gserviceaccount.com"
  tick_topic        = "projects/example-dev/topics/tick"
  dead_letter_topic = "projects/example-dev/topics/dead"
  pushes = {
    tick = { topic = "projects/example-dev/topics/tick", path = "/tick" }
    reap = { topic = "projects/example-dev/topics/reap", path = "/reap" }
  }
}

run "each_topic_is_pushed_to_its_path_with_a_token" {
  command = plan

  assert {
    condition = output.configuration.endpoints == {
      reap = "https://reaper-123456789012.us-central1.run.app/reap"
      tick = "https://reaper-123456789012.us-central1.run.app/tick"
    }
    error_message = "Each topic must be pushed to its own path of the reaper."
  }

  assert {
    condition = alltrue([
      for one in google_pubsub_subscription.push : one.push_config[0].oidc_token[0].service_account_email == var.account
    ])
    error_message = "Both subscriptions must send tokens of the account that the reaper compares with PUSH_EMAIL."
  }

  assert {
    condition     = output.configuration.audiences == tolist([var.audience])
    error_message = "Both subscriptions must send the audience that the reaper compares with PUSH_AUDIENCE."
  }
}

run "a_sweep_has_time_before_its_message_is_delivered_again" {
  command = plan

  assert {
    condition     = alltrue([for one in google_pubsub_subscription.push : one.ack_deadline_seconds >= 60])
    error_message = "A sweep may take 55 s: the deadline must be 60 s or more."
  }

  assert {
    condition = alltrue([
      for one in google_pubsub_subscription.push :
      one.retry_policy[0].minimum_backoff == "10s" && one.retry_policy[0].maximum_backoff == "600s"
    ])
    error_message = "Failed pushes must be tried again with a growing pause."
  }
}

run "a_message_that_fails_ten_times_is_kept_elsewhere" {
  command = plan

  assert {
    condition = alltrue([
      for one in google_pubsub_subscription.push :
      one.dead_letter_policy[0].max_delivery_attempts == 10
      && one.dead_letter_policy[0].dead_letter_topic == var.dead_letter_topic
    ])
    error_message = "After ten attempts a message must go to the dead-letter topic."
  }

  assert {
    condition = alltrue([
      for name, one in google_pubsub_subscription_iam_member.dead_letters :
      one.role == "roles/pubsub.subscriber"
      && one.member == "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
      && one.subscription == google_pubsub_subscription.push[name].name
    ])
    error_message = "Pub/Sub's agent must be able to take a dead message from each subscription."
  }

  assert {
    condition     = keys(google_pubsub_subscription_iam_member.dead_letters) == ["reap", "tick"]
    error_message = "Each subscription must have the agent's right."
  }
}

run "a_subscription_outlives_a_long_pause" {
  command = plan

  assert {
    condition     = alltrue([for one in google_pubsub_subscription.push : one.expiration_policy[0].ttl == ""])
    error_message = "A subscription must never expire."
  }
}

run "the_clock_ticks_every_minute" {
  command = plan

  assert {
    condition     = google_cloud_scheduler_job.tick.schedule == "* * * * *"
    error_message = "The clock must tick once a minute, in every environment."
  }

  assert {
    condition     = google_cloud_scheduler_job.tick.pubsub_target[0].topic_name == var.tick_topic
    error_message = "The clock must publish to the topic tick."
  }

  assert {
    condition     = !google_cloud_scheduler_job.tick.paused
    error_message = "The clock must run unless it is paused."
  }
}

run "paused_the_clock_stands_still" {
  command = plan

  variables {
    paused = true
  }

  assert {
    condition     = google_cloud_scheduler_job.tick.paused
    error_message = "The clock of a paused environment must stand still."
  }
}
