# The metrics as plain data: tests/cloud evaluates them over the real lines of a run.

locals {
  rules = {
    metrics = { for name, it in local.log_metrics : name => {
      filter = it.filter
      labels = try(it.labels, {})
      value  = try(it.value, null)
      bounds = try(it.bounds, null)
    } }
  }
}
