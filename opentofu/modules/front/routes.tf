# The owner's domain serves every function by its paths. Each function also has a host of its own.
resource "google_compute_url_map" "front" {
  project         = var.project
  name            = "front"
  default_service = google_compute_backend_service.function[local.default_function].id

  host_rule {
    hosts        = [var.domain]
    path_matcher = "paths"
  }

  path_matcher {
    name            = "paths"
    default_service = google_compute_backend_service.function[local.default_function].id

    dynamic "path_rule" {
      for_each = { for name, function in var.functions : name => function if length(function.paths) > 0 }

      content {
        paths   = path_rule.value.paths
        service = google_compute_backend_service.function[path_rule.key].id
      }
    }
  }

  dynamic "host_rule" {
    for_each = local.hosts

    content {
      hosts        = [host_rule.value]
      path_matcher = host_rule.key
    }
  }

  dynamic "path_matcher" {
    for_each = local.hosts

    content {
      name            = path_matcher.key
      default_service = google_compute_backend_service.function[path_matcher.key].id
    }
  }

  # The API evaluates these before it accepts the map: a change that would lead a path elsewhere is refused.
  dynamic "test" {
    for_each = local.routes

    content {
      host    = var.domain
      path    = replace(test.key, "*", "x")
      service = google_compute_backend_service.function[test.value].id
    }
  }

  lifecycle {
    precondition {
      condition     = length(local.paths) == length(distinct(local.paths))
      error_message = <<-EOT
        A path belongs to two functions: ${join(", ", local.paths_of_several)}. Remove it from one of them in
        functions.json.
      EOT
    }
  }
}
