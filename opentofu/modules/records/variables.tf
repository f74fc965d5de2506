variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "The region of the instances."
  type        = string
}

variable "network" {
  description = "The full name of the network they are reached from."
  type        = string
}

variable "name" {
  description = "What instances are called, before a hyphen and their key. Google blocks a used name for a week."
  type        = string
  default     = "records"
}

variable "database" {
  description = "The name of the database."
  type        = string
  default     = "license"
}

variable "instances" {
  description = <<-EOT
    Key to instance. A restore to an earlier point is a new instance beside the others: `clone_of` (a key) and `at`
    (RFC 3339, as 2026-11-28T12:00:00.000Z), which both stay when that key is gone. Then `active` names it. `keep`:
    false takes the protection of this one away. `inherits`: whether its database and users are there without being
    made; unset: where it is a clone. None may be left where the region is lost and a replica was promoted.
  EOT
  type = map(object({
    clone_of = optional(string)
    at       = optional(string)
    keep     = optional(bool, true)
    inherits = optional(bool)
  }))
  default = { a = {} }

  validation {
    condition = alltrue([
      for key, instance in var.instances :
      (instance.clone_of == null) == (instance.at == null) && instance.clone_of != key
    ])
    error_message = "A clone names another instance and a time, and what is no clone neither."
  }

  validation {
    condition     = !contains(keys(var.instances), "replica")
    error_message = "No instance is called replica: that is how `active` names the one in another region."
  }
}

variable "released" {
  description = <<-EOT
    Keys that are gone from `instances`, or "replica", and may be deleted for it: each had `keep = false` in an apply
    before. Empty again after the apply that deletes them, because tofu protects no other instance in between.
  EOT
  type        = set(string)
  default     = []

  validation {
    condition     = length(setintersection(var.released, keys(var.instances))) == 0
    error_message = "What is released is not among the instances any more: take it out of them in the same apply."
  }
}

variable "active" {
  description = "The key of the instance that the functions use, or \"replica\", once that was promoted."
  type        = string
  default     = "a"

  validation {
    condition     = contains(keys(var.instances), var.active) || var.active == "replica"
    error_message = "The active instance is none of the instances: ${join(", ", keys(var.instances))}."
  }

  validation {
    condition     = var.active != "replica" || try(var.replica.promoted, false)
    error_message = "A replica takes no writes: promote it, and say replica = { …, promoted = true }."
  }
}

variable "tier" {
  description = "The machine of an instance."
  type        = string
}

variable "ha" {
  description = "Whether a synchronous standby in another zone takes over."
  type        = bool
}

variable "max_connections" {
  description = "The largest number of connections, Google's own among them."
  type        = number
}

variable "disk_limit_gb" {
  description = "To how many GB the disk may grow by itself; 0: without an end."
  type        = number
  default     = 0
}

variable "backup_location" {
  description = "Where backups are: a multi-region outlives the region."
  type        = string
}

variable "replica" {
  description = <<-EOT
    A replica for the day on which the region is lost: its `region`, the key of the instance that it is `of`, whether
    it was `promoted`, and `keep` as of an instance. Null: none.
  EOT
  type = object({
    region   = string
    of       = optional(string, "a")
    promoted = optional(bool, false)
    keep     = optional(bool, true)
  })
  default = null

  validation {
    condition     = try(var.replica.promoted || contains(keys(var.instances), var.replica.of), true)
    error_message = "A replica is of one of the instances: ${join(", ", keys(var.instances))}."
  }

  validation {
    condition     = try(var.replica.promoted || var.replica.region != var.region, true)
    error_message = "A replica in the region of its instance is lost together with it."
  }
}

variable "users" {
  description = "Function or job to the e-mail of its account: those that may log in."
  type        = map(string)
}

variable "migrator" {
  description = "The one of the users that migrates the schema, as a member of cloudsqlsuperuser."
  type        = string
  default     = "migrate"
}

variable "keep" {
  description = "Whether the instances are protected. False only for a teardown."
  type        = bool
  default     = true
}
