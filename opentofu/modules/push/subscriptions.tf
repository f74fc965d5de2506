resource "google_pubsub_subscription" "push" {
  for_each = var.pushes

  project = var.project
  name    = each.key
  topic   = each.value.topic

  # A sweep of the reaper may take 55 s, and so may the deliveries of notify. A message that is delivered again
  # meanwhile does the same work twice.
  ack_deadline_seconds = 60

  # An hour of failures ends in the dead-letter topic before the message is too old to be kept.
  message_retention_duration = "3600s"

  push_config {
    push_endpoint = "${each.value.url}${each.value.path}"

    oidc_token {
      service_account_email = var.account
      audience              = each.value.url
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = var.dead_letter_topic
    max_delivery_attempts = 10
  }

  # Without this a subscription that nobody used for a month would be removed: a paused environment would lose it.
  expiration_policy {
    ttl = ""
  }

  lifecycle {
    precondition {
      condition     = each.value.topic != var.dead_letter_topic
      error_message = "The dead-letter topic is pushed to the function itself: dead messages would go in a circle."
    }
  }
}

# Pub/Sub moves a message to the dead-letter topic as this agent: it takes the message from the subscription, and
# module events lets it publish there.
resource "google_pubsub_subscription_iam_member" "dead_letters" {
  for_each = var.pushes

  project      = var.project
  subscription = google_pubsub_subscription.push[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = "serviceAccount:service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}
