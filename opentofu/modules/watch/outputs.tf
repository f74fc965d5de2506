output "alerts" {
  description = "The names of the alerts that are made."
  value       = setunion(keys(local.log_alerts), keys(local.series_alerts), [for it in local.burn_alerts : it.alert])
}

output "objectives" {
  description = "The paths of the objectives, by name."
  value       = local.objective_path
}

output "channels" {
  description = "The ids of the channels by urgency; the budget tells those of tickets."
  value       = local.channels_for
}
