locals {
  names  = ["tick", "reap", "events", "dead"]
  topics = { for name in local.names : name => "projects/${var.project}/topics/${name}" }
  agent  = "serviceAccount:service-${var.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_topic" "topic" {
  for_each = local.topics

  project = var.project
  name    = each.key

  message_storage_policy {
    allowed_persistence_regions = var.regions
  }
}

# What could not be delivered waits here for a person; a topic without a subscription would lose it.
resource "google_pubsub_subscription" "dead" {
  project                    = var.project
  name                       = "dead"
  topic                      = google_pubsub_topic.topic["dead"].id
  ack_deadline_seconds       = 60
  message_retention_duration = "604800s" # 7 days

  expiration_policy {
    ttl = "" # never, however long nobody reads it
  }
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = merge([
    for function, publisher in var.publishers : {
      for topic in publisher.topics : "${function} ${topic}" => { email = publisher.email, topic = topic }
    }
  ]...)

  project = var.project
  topic   = google_pubsub_topic.topic[each.value.topic].id
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:${each.value.email}"
}

# Pub/Sub itself moves what it gives up.
resource "google_pubsub_topic_iam_member" "dead" {
  project = var.project
  topic   = google_pubsub_topic.topic["dead"].id
  role    = "roles/pubsub.publisher"
  member  = local.agent
}

# Pub/Sub signs its pushes as this account. Agents that were made after April 2021 need no right for it.
resource "google_service_account_iam_member" "push" {
  service_account_id = "projects/${var.project}/serviceAccounts/${var.push_account}"
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.agent
}
