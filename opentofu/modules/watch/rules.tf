# Every filter and query of this module as plain data: tests/cloud evaluates them, with the metrics of the module
# metrics, over the real lines of a run.

locals {
  rules = {
    exclusions = { for name, it in local.exclusions : name => it.filter }
    logs       = local.log_alerts
    series     = { for name, series in local.series_alerts : name => [for it in series : it.filter] }
    burns      = { for name, it in local.burn_alerts : name => it.count }
    objectives = { for function in keys(local.objectives) : function => {
      total   = local.requests_of[function]
      bad     = local.failed_of[function]
      latency = local.latency_of[function]
    } }
    dashboards = { for name, it in local.dashboards : name => [for chart in it.charts : chart[1]] }
    anchors    = { for name, it in local.alerts : name => "${var.docs_url}#${name}" }
  }
}
