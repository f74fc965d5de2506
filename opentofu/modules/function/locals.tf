locals {
  ingress = {
    lb       = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
    internal = "INGRESS_TRAFFIC_INTERNAL_ONLY"
    all      = "INGRESS_TRAFFIC_ALL"
  }

  # A fresh instance reaches its stores after 20 to 40 s (Direct VPC egress), and says after START_PATIENCE_SECONDS
  # that it has started without them.
  startup_seconds = 90

  latest = { type = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", revision = null }

  traffic = var.canary == null ? [merge(local.latest, { percent = 100 })] : [
    merge(local.latest, { percent = var.canary.percent }),
    {
      type     = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
      revision = var.canary.previous_revision
      percent  = 100 - var.canary.percent
    },
  ]
}
