"""What a strict environment takes for drift, tried on the real tofu: what a person changed, and nothing else."""

import pytest
import real_provider
from conftest import BUILT, IMAGE, Site
from real_provider import REQUIRED, TOFU, change

pytestmark = pytest.mark.skipif(
    not TOFU, reason="TOFU is not set: tests/cloud/parts/deploy sets it to the tofu it built"
)

TERRAFORM = f'terraform {{\n  {REQUIRED}\n  backend "local" {{}}\n}}\n'
PLATFORM = f"""{TERRAFORM}
variable "project" {{ type = string }}
variable "region" {{ type = string }}
variable "image" {{ type = string }}
resource "files_service" "job" {{
  name  = "job"
  image = var.image
}}
output "platform" {{ value = {{ project = var.project }} }}
output "image" {{ value = var.image }}
"""
SERVICES = f"""{TERRAFORM}
variable "platform" {{ type = object({{ project = string }}) }}
variable "image" {{ type = string }}
variable "paused" {{ type = bool }}
variable "traffic" {{
  type    = string
  default = null
}}
resource "files_service" "acquire" {{
  name    = "acquire"
  image   = var.image
  traffic = var.traffic
}}
output "image" {{ value = var.image }}
output "paused" {{ value = var.paused }}
output "generation" {{ value = files_service.acquire.generation }}
"""
STEPS = ("apply-platform", "migrate", "apply-services")


@pytest.fixture(scope="session")
def mirror(tmp_path_factory):
    return real_provider.build(tmp_path_factory.mktemp("mirror"))


@pytest.fixture
def site(tmp_path, template, mirror) -> Site:
    one = Site(tmp_path).begin(template)
    real_provider.install(one, mirror)
    opentofu = one.clone / "opentofu"
    (opentofu / "platform/main.tf").write_text(PLATFORM)
    (opentofu / "services/main.tf").write_text(SERVICES)
    (opentofu / "environments/staging/services.tfvars").write_text("")
    (opentofu / "environments/staging/backend.hcl").write_text('path = "state.tfstate"\n')
    (one.clone / ".gitignore").write_text("__pycache__\n/.deploy\n*.auto.tfvars.json\n*.tfstate*\n.terraform\n")
    one.ok("lock")
    one.git("add", "--all")
    one.git("commit", "--quiet", "--message", "roots")
    return one


def deploy(site, image):
    site.ok("image", "staging", "--image", image)
    site.ok("plan", "staging")
    for step in STEPS:
        site.ok(step, "staging")


def write_values(site, text: str):
    (site.clone / "opentofu/environments/staging/services.tfvars").write_text(text)
    site.git("commit", "--quiet", "--all", "--message", "values")


def test_neither_the_first_day_nor_a_new_image_nor_what_google_moves_is_drift(site):
    deploy(site, IMAGE)
    # As the count of a job's executions, which each migration moves.
    change(site, "job", generation="2")
    change(site, "acquire", generation="7")
    site.ok("image", "staging", "--image", BUILT)
    done = site.ok("plan", "staging")
    assert "past this repository" not in done.stderr
    for step in STEPS:
        site.ok(step, "staging")


@pytest.mark.parametrize("image", [IMAGE, BUILT], ids=["the same image", "a new image"])
def test_what_was_changed_by_hand_is_refused_with_its_name(site, image):
    deploy(site, IMAGE)
    change(site, "acquire", generation="2", traffic="somebody's revision")
    site.ok("image", "staging", "--image", image)
    words = site.refused(16, "plan", "staging")
    assert "files_service.acquire (traffic)" in words and "generation" not in words.splitlines()[-1]
    assert "job" not in words.splitlines()[-1]
    assert "Nothing is planned" in site.refused(9, "apply-platform", "staging")
    # What is written into the values is no difference any more, and what shall be undone is asked for.
    site.ok("plan", "staging", "--accept-drift")
    write_values(site, 'traffic = "somebody\'s revision"\n')
    site.ok("plan", "staging")


def test_what_was_deleted_by_hand_is_refused_with_its_name(site):
    deploy(site, IMAGE)
    (site.home / "cloud/acquire").unlink()
    assert "files_service.acquire (deleted)" in site.refused(16, "plan", "staging")


def test_what_was_changed_in_services_is_told_where_only_the_platform_is_deployed(site):
    deploy(site, IMAGE)
    change(site, "acquire", traffic="somebody's revision")
    assert "files_service.acquire (traffic)" in site.refused(16, "plan", "staging", "--only", "platform")


def test_the_provider_is_the_one_that_was_written_down_until_a_newer_one_is_asked_for(site, mirror):
    """A plan that is approved days later is applied by what made it."""
    real_provider.publish(mirror, "1.1.0")
    try:
        site.ok("image", "staging", "--image", IMAGE)
        site.ok("plan", "staging")
        taken = site.clone / ".deploy/staging/platform.terraform/providers/registry.opentofu.org/acme/files"
        assert [path.name for path in taken.iterdir()] == ["1.0.0"]
        assert site.git("status", "--porcelain") == ""
        site.ok("lock", "--upgrade")
        assert site.git("status", "--porcelain").split()[1::2] == [
            f"opentofu/{root}/.terraform.lock.hcl" for root in ("platform", "services")
        ]
        assert "opentofu/platform/.terraform.lock.hcl" in site.refused(7, "plan", "staging")
        site.git("commit", "--quiet", "--all", "--message", "newer")
        site.ok("plan", "staging")
        assert "1.1.0" in [path.name for path in taken.iterdir()]
    finally:
        real_provider.withdraw(mirror, "1.1.0")


def test_a_strict_environment_is_refused_where_no_provider_is_written_down(site):
    site.git("rm", "--quiet", "opentofu/services/.terraform.lock.hcl")
    site.git("commit", "--quiet", "--message", "no lock")
    site.ok("image", "staging", "--image", IMAGE)
    words = site.refused(3, "plan", "staging")
    assert "opentofu/services/.terraform.lock.hcl" in words and "./deploy lock" in words
    assert not (site.clone / "opentofu/services/.terraform.lock.hcl").exists()
