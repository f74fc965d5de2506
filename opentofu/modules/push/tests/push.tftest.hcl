mock_provider "google" {}

variables {
  project           = "example-dev"
  project_number    = "123456789012"
  region            = "us-central1"
  account           = "push@example-dev.iam.gserviceaccount.com"
  tick_topic        = "projects/example-dev/topics/tick"
  dead_letter_topic = "projects/example-dev/topics/dead"
  pushes = {
    tick = {
      topic = "projects/example-dev/topics/tick", url = "https://reaper-1.us-central1.run.app", path = "/tick"
    }
    reap = {
      topic = "projects/example-dev/topics/reap", url = "https://reaper-1.us-central1.run.app", path = "/reap"
    }
    notify-tick = {
      topic = "projects/example-dev/topics/tick", url = "https://notify-1.us-central1.run.app", path = "/due"
    }
    notify-events = {
      topic = "projects/example-dev/topics/events", url = "https://notify-1.us-central1.run.app"
      path  = "/events"
    }
  }
}

run "each_topic_is_pushed_to_its_path_with_a_token" {
  command = plan

  assert {
    condition = output.configuration.endpoints == {
      notify-events = "https://notify-1.us-central1.run.app/events"
      notify-tick   = "https://notify-1.us-central1.run.app/due"
      reap          = "https://reaper-1.us-central1.run.app/reap"
      tick          = "https://reaper-1.us-central1.run.app/tick"
    }
    error_message = "Each subscription must be pushed to its own path of its function."
  }

  assert {
    condition = alltrue([
      for one in google_pubsub_subscription.push : one.push_config[0].oidc_token[0].service_account_email == var.account
    ])
    error_message = "Every subscription must send tokens of the account that the functions compare with PUSH_EMAIL."
  }

  assert {
    condition = alltrue([
      for name, audience in output.configuration.audiences : audience == var.pushes[name].url
    ])
    error_message = "A subscription must send the audience that its function compares with PUSH_AUDIENCE."
  }

  assert {
    condition = (
      google_pubsub_subscription.push["tick"].topic == google_pubsub_subscription.push["notify-tick"].topic
      && google_pubsub_subscription.push["notify-events"].topic == "projects/example-dev/topics/events"
    )
    error_message = "The reaper and notify must hear of the same clock, each by a subscription of its own."
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
    condition     = keys(google_pubsub_subscription_iam_member.dead_letters) == keys(var.pushes)
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
