"""For each rule faults that it must refuse: a file of the repository in which something is replaced, or a file more.

What stands in a file several times is replaced in one place after the other: each is a fault of its own.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """`old` is replaced by `new` in one place of `path`; without `old`, `new` is a file more."""

    rule: str
    path: str
    old: str
    new: str


def edit(rule: str, path: str, old: str, new: str) -> Fault:
    return Fault(rule, path, old, new)


def more(rule: str, new: str) -> Fault:
    return Fault(rule, "modules/project/planted.tf", "", new)


SEATS = "modules/seats/instance.tf"
RECORDS = "modules/records/instances.tf"
SIGNER = "modules/signer/key.tf"
SECRETS = "modules/secrets/secrets.tf"
IDENTITY = "modules/identity/identity.tf"
BUCKETS = "modules/pipeline/buckets.tf"
POLICY = 'deletion_policy             = var.keep ? "PREVENT" : "DELETE"'
JOB_END = "  depends_on = [module.records, module.seats]"
RELEASED = 'length(setsubtract(var.released, ["replica"]))'
MEMBER = "google_project_iam_member"

FAULTS = (
    more("everybody", f'resource "{MEMBER}" "x" {{\n  role   = "roles/run.invoker"\n  member = "allUsers"\n}}\n'),
    more("everybody", f'resource "{MEMBER}" "x" {{\n  member = "allAuthenticatedUsers"\n}}\n'),
    edit("wide-role", "modules/project/people.tf", "roles/cloudsql.admin", "roles/viewer"),
    edit("wide-role", "modules/project/accounts.tf", "roles/logging.logWriter", "roles/editor"),
    edit("wide-role", "modules/project/people.tf", "roles/cloudsql.admin", "roles/owner"),
    edit("whole-policy", "modules/seats/instance.tf", MEMBER, "google_project_iam_binding"),
    more("whole-policy", 'resource "google_project_iam_policy" "x" {\n  policy_data = "{}"\n}\n'),
    more("data-source", 'data "google_project" "x" {}\n'),
    *(
        edit("ignored-image", "platform/migrate.tf", JOB_END, f"  lifecycle {{\n    ignore_changes = {ignored}\n  }}")
        for ignored in ("[template[0].template[0].containers[0].image]", "[template]", "[template[0].template]", "all")
    ),
    more(
        "secret-value",
        'resource "google_secret_manager_secret_version" "x" {\n  secret      = "x"\n  secret_data = "x"\n}\n',
    ),
    edit("password", "modules/records/users.tf", '  type     = "CLOUD', '  password = "x"\n  type     = "CLOUD'),
    more("account-key", 'resource "google_service_account_key" "x" {\n  service_account_id = "x"\n}\n'),
    edit("latest", "environments/prod/platform.tfvars", 'HANDLE_KEY     = "1"', 'HANDLE_KEY     = "latest"'),
    more("image-tag", 'locals {\n  image = "us-docker.pkg.dev/build/images/functions:1.0"\n}\n'),
    edit("unprotected", SEATS, "prevent_destroy = var.keep", "prevent_destroy = false"),
    edit("unprotected", SEATS, "deletion_protection_enabled = var.keep", "deletion_protection_enabled = false"),
    edit("unprotected", RECORDS, 'deletion_policy     = var.keep && each.value.keep ? "PREVENT" : "DELETE"', ""),
    edit("unprotected", RECORDS, "deletion_protection = var.keep && each.value.keep", "deletion_protection = false"),
    edit("unprotected", RECORDS, f"prevent_destroy = var.keep && {RELEASED} == 0", ""),
    edit("unprotected", RECORDS, f"{RELEASED} == 0", f"{RELEASED} >= 0"),
    edit("unprotected", RECORDS, '!contains(var.released, "replica")', "each.value.keep"),
    edit("unprotected", SEATS, "prevent_destroy = var.keep", f"prevent_destroy = var.keep && {RELEASED} == 0"),
    edit("unprotected", SIGNER, "prevent_destroy = var.keep", "prevent_destroy = !var.keep"),
    edit("unprotected", SIGNER, "prevent_destroy = var.keep", ""),
    edit("unprotected", SIGNER, 'deletion_policy               = var.keep ? "PREVENT" : "DELETE"', ""),
    edit("unprotected", SIGNER, '  deletion_policy = var.keep ? "PREVENT" : "DELETE"', '  deletion_policy = "DELETE"'),
    edit("unprotected", SEATS, POLICY, 'deletion_policy = "DELETE"'),
    edit("unprotected", SECRETS, 'deletion_policy     = var.keep ? "PREVENT" : "DELETE"', ""),
    edit("unprotected", SECRETS, "deletion_protection = var.keep", "deletion_protection = false"),
    edit("unprotected", SECRETS, "prevent_destroy = var.keep", "prevent_destroy = false"),
    edit("unprotected", IDENTITY, "prevent_destroy = var.keep", "prevent_destroy = false"),
    edit("unprotected", BUCKETS, "prevent_destroy = var.keep", "prevent_destroy = false"),
    edit("fixed-value", SEATS, '"maxmemory-policy" = "noeviction"', '"maxmemory-policy" = "volatile-ttl"'),
    edit("fixed-value", SEATS, '"IAM_AUTH"', '"AUTH_DISABLED"'),
    edit("fixed-value", SEATS, '"SERVER_AUTHENTICATION"', '"TRANSIT_ENCRYPTION_DISABLED"'),
    edit("fixed-value", RECORDS, '"ENCRYPTED_ONLY"', '"ALLOW_UNENCRYPTED_AND_ENCRYPTED"'),
    edit("fixed-value", RECORDS, "ipv4_enabled    = false", "ipv4_enabled    = true"),
    edit("fixed-value", RECORDS, '"ENTERPRISE"', '"ENTERPRISE_PLUS"'),
    edit("fixed-value", SIGNER, "RSA_SIGN_PKCS1_4096_SHA256", "RSA_SIGN_PKCS1_2048_SHA256"),
    edit(
        "impersonation",
        "platform/terraform.tf",
        "  region  = var.region\n\n",
        "  region  = var.region\n\n  impersonate_service_account = var.actor\n",
    ),
    edit("impersonation", "environments/prod/platform.tfvars", "\nrecords = {", '\nimpersonate = "x"\nrecords = {'),
    edit("impersonation", "environments/prod/backend.hcl", 'bucket = ', 'impersonate_service_account = "x"\nbucket = '),
    edit("list", SEATS, "  for_each = var.users\n", "  count = length(var.users)\n"),
    edit("list", SECRETS, "  for_each = local.ids\n", "  count = 2\n"),
    edit("list", SECRETS, "  for_each = local.ids\n", "  for_each = toset(keys(local.ids))\n"),
    edit("list", "services/front.tf", "var.front == null ? {} : { front = var.front }", 'toset(["front"])'),
    edit("teardown", "environments/prod/platform.tfvars", "\nseats = {", "\nkeep = false\nseats = {"),
    edit("teardown", "environments/prod/platform.tfvars", "seats = {", "seats = {\n  keep     = false"),
    edit("provider", "modules/seats/versions.tf", '"~> 8.0"', '">= 7.0"'),
    edit("provider", "modules/seats/versions.tf", "google = {", "random = {"),
)
