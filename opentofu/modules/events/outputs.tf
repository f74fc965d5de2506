output "topics" {
  description = "Name to the topic's full name, known to a plan."
  value       = local.topics
}
