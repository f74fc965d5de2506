mock_provider "google" {}

variables {
  project      = "example-dev"
  number       = "123456789012"
  regions      = ["us-central1"]
  push_account = "license-push@example-dev.iam.gserviceaccount.com"
  publishers = {
    reaper = { email = "license-reaper@example-dev.iam.gserviceaccount.com", topics = ["reap", "events"] }
  }
}

run "what_cannot_be_delivered_waits_for_a_person" {
  command = plan

  assert {
    condition     = google_pubsub_subscription.dead.name == "dead" && contains(keys(google_pubsub_topic.topic), "dead")
    error_message = "A topic of dead letters without a subscription loses them."
  }
  assert {
    condition     = google_pubsub_subscription.dead.expiration_policy[0].ttl == ""
    error_message = "The subscription must not end by itself."
  }
  assert {
    condition = join("", [
      google_pubsub_topic_iam_member.dead.member, google_pubsub_topic_iam_member.dead.role,
    ]) == "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.comroles/pubsub.publisher"
    error_message = "Pub/Sub itself publishes what it gives up."
  }
}

run "only_the_reaper_publishes_and_not_to_tick" {
  command = plan

  assert {
    condition     = keys(google_pubsub_topic_iam_member.publisher) == ["reaper events", "reaper reap"]
    error_message = "Nobody but the reaper publishes, and only Cloud Scheduler to tick."
  }
  assert {
    condition     = output.topics["reap"] == "projects/example-dev/topics/reap"
    error_message = "The topics' names must be known to the plan."
  }
}
