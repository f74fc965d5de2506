locals {
  storage = "serviceAccount:service-${var.number}@gs-project-accounts.iam.gserviceaccount.com"
  # A state for each environment, so that who deploys dev cannot read prod's, and one of this root.
  buckets = merge(
    { for name in local.names : "state-${name}" => "${var.project}-state-${name}" },
    { state = "${var.project}-state", plans = "${var.project}-plans", releases = "${var.project}-releases" },
    # What `gcloud builds submit` packs up. Into the bucket that it would make itself, deployers may not write, and
    # from it image-build@ may not read.
    { source = "${var.project}-source" },
  )

  # Bucket, and the names that an account may write there (an expression of IAM conditions); "" is all of them.
  writers = merge(
    {
      for name in local.names :
      "state-${name} ${name}" => { bucket = "state-${name}", account = local.deployers[name], only = "" }
    },
    # Whoever applies `platform` is this account for its state too: the backend acts as the provider does.
    {
      for name in local.names : "platform's state of ${name}" => {
        bucket  = "state-${name}"
        account = local.platforms[name]
        only    = "startsWith(\"${local.objects["state-${name}"]}platform/\")"
      }
    },
    {
      for name in local.names :
      "plans ${name}" => {
        bucket  = "plans"
        account = local.deployers[name]
        only    = "startsWith(\"${local.objects.plans}${name}/\")"
      }
    },
    {
      for name in local.names : "releases ${name}" => {
        bucket  = "releases"
        account = local.deployers[name]
        only    = "startsWith(\"${local.objects.releases}${name}.json\")"
      }
    },
    {
      for name, before in local.planned_by : "plans ${before} for ${name}" => {
        bucket  = "plans"
        account = local.deployers[before]
        only    = "startsWith(\"${local.objects.plans}${name}/\")"
      }
    },
    {
      for name, before in local.planned_by : "locks ${before} for ${name}" => {
        bucket  = "state-${name}"
        account = local.deployers[before]
        only    = "endsWith(\".tflock\")"
      }
    },
  )
  objects = { for name, bucket in local.buckets : name => "projects/_/buckets/${bucket}/objects/" }

  # What serves elsewhere and what was planned is no secret among those that deploy. Who plans prod reads its state.
  readers_of_buckets = merge(
    merge([
      for bucket in ["plans", "releases"] : {
        for name in local.names : "${bucket} ${name}" => { bucket = bucket, account = local.deployers[name] }
      }
    ]...),
    {
      for name, before in local.planned_by :
      "state-${name} ${before}" => { bucket = "state-${name}", account = local.deployers[before] }
    },
    # The backend lists a bucket before it reads: that right has no name of an object, so it stands by itself.
    {
      for name in local.names :
      "state-${name} platform" => { bucket = "state-${name}", account = local.platforms[name] }
    },
  )
}

resource "google_kms_key_ring" "build" {
  project  = var.project
  name     = "build"
  location = var.location

  lifecycle {
    prevent_destroy = var.keep
  }
}

resource "google_kms_crypto_key" "buckets" {
  name            = "buckets"
  key_ring        = google_kms_key_ring.build.id
  purpose         = "ENCRYPT_DECRYPT"
  rotation_period = "7776000s" # 90 days
  deletion_policy = var.keep ? "PREVENT" : "DELETE"

  lifecycle {
    prevent_destroy = var.keep
  }
}

resource "google_kms_crypto_key_iam_member" "storage" {
  crypto_key_id = google_kms_crypto_key.buckets.id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = local.storage
}

resource "google_storage_bucket" "bucket" {
  for_each = local.buckets

  project                     = var.project
  name                        = each.value
  location                    = local.bucket_locations[var.location]
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }
  soft_delete_policy {
    retention_duration_seconds = 2592000 # 30 days
  }
  encryption {
    default_kms_key_name = google_kms_crypto_key.buckets.id
  }
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      num_newer_versions         = 50
      days_since_noncurrent_time = 90
    }
  }
  dynamic "lifecycle_rule" {
    for_each = each.key == "source" ? { week = 7 } : {}
    content {
      action {
        type = "Delete"
      }
      condition {
        age = lifecycle_rule.value
      }
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.storage]

  lifecycle {
    prevent_destroy = var.keep
  }
}

resource "google_storage_bucket_iam_member" "writer" {
  for_each = local.writers

  bucket = google_storage_bucket.bucket[each.value.bucket].name
  role   = "roles/storage.objectAdmin"
  member = "serviceAccount:${each.value.account}"

  dynamic "condition" {
    for_each = each.value.only == "" ? {} : { only = each.value.only }
    content {
      title      = "some objects"
      expression = "resource.name.${condition.value}"
    }
  }

  depends_on = [google_service_account.deployer, google_service_account.platform]
}

resource "google_storage_bucket_iam_member" "reader" {
  for_each = local.readers_of_buckets

  bucket     = google_storage_bucket.bucket[each.value.bucket].name
  role       = "roles/storage.objectViewer"
  member     = "serviceAccount:${each.value.account}"
  depends_on = [google_service_account.deployer, google_service_account.platform]
}

# The list of what an image is made of lies beside the releases.
resource "google_storage_bucket_iam_member" "builder" {
  bucket     = google_storage_bucket.bucket["releases"].name
  role       = "roles/storage.objectCreator"
  member     = "serviceAccount:${local.builder}"
  depends_on = [google_service_account.builder]
}

# Who submits a build looks whether the bucket is there, and writes the source into it.
resource "google_storage_bucket_iam_member" "submitter" {
  for_each = merge([
    for role in ["roles/storage.legacyBucketReader", "roles/storage.objectAdmin"] : {
      for name, email in local.deployers : "${name} ${role}" => { role = role, email = email }
    }
  ]...)

  bucket     = google_storage_bucket.bucket["source"].name
  role       = each.value.role
  member     = "serviceAccount:${each.value.email}"
  depends_on = [google_service_account.deployer]
}

resource "google_storage_bucket_iam_member" "builder_source" {
  bucket     = google_storage_bucket.bucket["source"].name
  role       = "roles/storage.objectViewer"
  member     = "serviceAccount:${local.builder}"
  depends_on = [google_service_account.builder]
}

# Who read or wrote a state, a plan or a release record: a state holds the secrets of OAuth clients.
resource "google_project_iam_audit_config" "storage" {
  project = var.project
  service = "storage.googleapis.com"

  audit_log_config {
    log_type = "DATA_READ"
  }
  audit_log_config {
    log_type = "DATA_WRITE"
  }
}
