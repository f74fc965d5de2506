output "metrics" {
  description = "The names of the log-based metrics."
  value       = keys(local.log_metrics)
}

output "objectives" {
  description = "The paths of the objectives, by name."
  value       = local.objective_path
}

output "channels" {
  description = "The ids of the channels by urgency; the budget tells those of tickets."
  value       = local.channels_for
}
