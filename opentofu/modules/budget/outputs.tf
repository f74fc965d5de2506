output "thresholds" {
  description = "The shares of the amount, in percent, at which somebody is told."
  value       = { for name, threshold in local.thresholds : name => threshold.percent }
}
