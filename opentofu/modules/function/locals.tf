locals {
  ingress = {
    lb       = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
    internal = "INGRESS_TRAFFIC_INTERNAL_ONLY"
    all      = "INGRESS_TRAFFIC_ALL"
  }

  # A fresh instance reaches its stores after 20 to 40 s (Direct VPC egress), and says after START_PATIENCE_SECONDS
  # that it has started without them.
  startup_seconds = 90

  manual_instances = var.paused ? 0 : null

  share = var.canary == null ? 100 : var.canary.percent

  traffic = concat(
    [{ type = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", revision = null, percent = local.share }],
    [
      for canary in var.canary[*] : {
        type     = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
        revision = canary.previous_revision
        percent  = 100 - local.share
      }
    ],
  )
}
