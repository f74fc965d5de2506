locals {
  channel_type = { for name, channel in var.channels : name => (
    channel.email != null ? { type = "email", labels = { email_address = channel.email } } :
    channel.sms != null ? { type = "sms", labels = { number = channel.sms } } :
    { type = "pubsub", labels = { topic = channel.topic } }
  ) }
  # A page goes to whoever is woken; a ticket to whoever works tomorrow.
  channels_for = { for urgency in ["page", "ticket"] : urgency => concat(
    [for name, channel in var.channels : google_monitoring_notification_channel.person[name].id
    if contains(channel.urgencies, urgency)],
    tolist(var.made_by_hand[urgency]),
  ) }
}

resource "google_monitoring_notification_channel" "person" {
  for_each = local.channel_type

  project      = var.project
  display_name = each.key
  type         = each.value.type
  labels       = each.value.labels
}
