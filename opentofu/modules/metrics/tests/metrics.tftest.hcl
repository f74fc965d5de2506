mock_provider "google" {}

variables {
  project = "licenses-prod"
}

run "a_metric_with_a_value_is_a_distribution_and_the_others_count" {
  command = plan

  assert {
    condition = {
      for name, metric in google_logging_metric.lines : name => metric.metric_descriptor[0].value_type
      } == {
      latency            = "DISTRIBUTION", pool_connections = "DISTRIBUTION", seats_swept = "DISTRIBUTION",
      pools_rebuilt      = "INT64", requests = "INT64"
      stores_not_reached = "INT64"
    }
    error_message = "What has no value is counted."
  }
  assert {
    condition = alltrue([
      for metric in google_logging_metric.lines :
      join(" ", sort([for label in metric.metric_descriptor[0].labels : label.key])) ==
      join(" ", keys(coalesce(metric.label_extractors, {})))
    ])
    error_message = "Every label must be read from the line."
  }
  assert {
    condition = alltrue([
      for name, metric in google_logging_metric.lines :
      (length(metric.bucket_options) == 1) == (metric.metric_descriptor[0].value_type == "DISTRIBUTION")
    ])
    error_message = "A distribution has bounds."
  }
}
