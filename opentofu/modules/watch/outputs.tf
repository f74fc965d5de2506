output "objectives" {
  description = "The paths of the objectives, by name."
  value       = local.objective_path
}

output "channels" {
  description = "The ids of the channels by urgency; the budget tells those of tickets."
  value       = local.channels_for
}
