"""What ./deploy relies on in tofu itself, tried on the real program: its options, its exit codes, its words.

The roots are made of terraform_data, which needs no provider, and keep their state in a file. TOFU is the program.
"""

import os
import pathlib
import shutil
import subprocess
import time
import zipfile

import pytest
from conftest import IMAGE, Site

TOFU = os.environ.get("TOFU", "")
pytestmark = pytest.mark.skipif(
    not TOFU, reason="TOFU is not set: tests/cloud/parts/deploy sets it to the tofu it built"
)

PLATFORM = """
terraform {
  backend "local" {}
}
variable "project" { type = string }
variable "region" { type = string }
variable "image" { type = string }
variable "slow" {
  type    = number
  default = 0
}
resource "terraform_data" "job" {
  input = var.image
  provisioner "local-exec" {
    command = "touch ${path.root}/started; sleep ${var.slow}"
  }
}
module "records" {
  source = "./records"
}
output "platform" { value = { project = var.project } }
"""
RECORDS = 'resource "terraform_data" "instance" {\n  input = "kept"\n}\n'
SERVICES = """
terraform {
  backend "local" {}
}
variable "platform" { type = object({ project = string }) }
variable "image" { type = string }
variable "paused" { type = bool }
resource "terraform_data" "function" { input = "${var.image} ${var.paused}" }
output "urls" { value = {} }
"""


@pytest.fixture
def site(tmp_path, template) -> Site:
    one = Site(tmp_path).begin(template)
    (one.programs / "tofu").unlink()
    (one.programs / "tofu").symlink_to(TOFU)
    opentofu = one.clone / "opentofu"
    (opentofu / "platform/records").mkdir()
    (opentofu / "platform/main.tf").write_text(PLATFORM)
    (opentofu / "platform/records/main.tf").write_text(RECORDS)
    (opentofu / "services/main.tf").write_text(SERVICES)
    (opentofu / "environments/dev/services.tfvars").write_text("")
    # One file for both roots: a state for each, by the folder that tofu is told to work in.
    (opentofu / "environments/dev/backend.hcl").write_text('path = "state.tfstate"\n')
    (one.clone / ".gitignore").write_text(
        "__pycache__\n/.deploy\n*.auto.tfvars.json\n*.tfstate*\nstarted\n.terraform*\n"
    )
    one.git("add", "--all")
    one.git("commit", "--quiet", "--message", "roots")
    return one


def deploy_all(site):
    site.ok("image", "dev", "--image", IMAGE)
    for step in ("plan", "apply-platform", "migrate", "apply-services"):
        site.ok(step, "dev")


def test_a_first_and_a_second_deploy(site):
    deploy_all(site)
    assert "services: planned when platform" not in site.ok("plan", "dev").stderr
    assert "platform: no change" in site.ok("plan", "dev").stderr
    inventory = site.ok("inventory", "dev").stderr
    assert "state of platform: 2 resources" in inventory and "state of services: 1 resources" in inventory


def test_what_tofu_warns_of_before_it_answers_is_not_taken_for_the_answer(site):
    deploy_all(site)
    assert "platform: no change" in site.ok("plan", "dev", TF_CLI_CONFIG_FILE="/nowhere/tofu.rc").stderr


def test_a_plan_that_deletes_the_records_is_refused(site):
    deploy_all(site)
    (site.clone / "opentofu/platform/records/main.tf").write_text("")
    words = site.refused(8, "plan", "dev")
    assert "deletes module.records.terraform_data.instance" in words
    site.ok("plan", "dev", "--allow-delete", "module.records.terraform_data.instance")


def test_what_is_forgotten_is_out_of_the_state_and_is_made_anew(site):
    deploy_all(site)
    assert "1 resources less" in site.ok("forget", "dev", "platform", "module.records").stderr
    assert "state of platform: 1 resources" in site.ok("inventory", "dev").stderr
    assert "nothing of it any more" in site.ok("forget", "dev", "platform", "module.records").stderr
    assert "module.records.terraform_data.instance will be created" in site.ok("plan", "dev").stdout


def test_a_saved_plan_does_not_say_who_made_it(site):
    """Staging's account makes the plan that prod's applies: nothing of the first may be left in it."""
    site.ok("image", "dev", "--image", IMAGE)
    site.ok("plan", "dev", GOOGLE_IMPERSONATE_SERVICE_ACCOUNT="somebody@acme-dev.iam.gserviceaccount.com")
    with zipfile.ZipFile(site.clone / ".deploy/dev/platform.plan") as plan:
        kept = {name: plan.read(name) for name in plan.namelist()}
    assert IMAGE.encode() in kept["tfplan"]
    assert [name for name, content in kept.items() if b"somebody" in content] == []


def saved(site) -> dict:
    kept = site.clone / ".deploy/dev"
    return {name: (kept / name).read_bytes() for name in ("platform.plan", "plan.json")}


def put_back(site, files: dict):
    for name, content in files.items():
        (site.clone / ".deploy/dev" / name).write_bytes(content)
    (site.clone / ".deploy/dev/platform.json").unlink(missing_ok=True)


def planned_for(site, letter: str) -> dict:
    site.ok("image", "dev", "--image", IMAGE.replace("a" * 64, letter * 64))
    site.ok("plan", "dev")
    return saved(site)


def test_a_plan_is_stale_where_something_else_was_applied_after_it(site):
    deploy_all(site)
    early = planned_for(site, "c")
    planned_for(site, "d")
    site.ok("apply-platform", "dev")
    put_back(site, early)
    assert "Plan again" in site.refused(9, "apply-platform", "dev")


def test_a_plan_that_was_applied_by_a_run_that_was_cut_short_is_found_applied(site):
    deploy_all(site)
    plan = planned_for(site, "c")
    site.ok("apply-platform", "dev")
    put_back(site, plan)
    assert "this plan was applied before" in site.ok("apply-platform", "dev").stderr


def slow_apply(site) -> subprocess.Popen:
    """An apply that is under way, in the middle of its one resource."""
    (site.clone / "opentofu/environments/dev/platform.tfvars").write_text(
        'project = "acme-dev"\nregion  = "us-central1"\nslow    = 60\n'
    )
    site.ok("image", "dev", "--image", IMAGE)
    site.ok("plan", "dev")
    child = subprocess.Popen(
        [site.clone / "deploy", "apply-platform", "dev"],
        env=site.environment("acme-dev"),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (site.clone / "opentofu/platform/started").exists():
        assert time.monotonic() < deadline and child.poll() is None
        time.sleep(0.05)
    return child


def another_clone(site) -> Site:
    """A clone of somebody else, with the same state of platform and less patience."""
    another = Site(site.clone.parent)
    another.clone = clone = site.clone.with_name("another")
    shutil.copytree(site.clone, clone, symlinks=True)
    for name in ("state.tfstate", ".state.tfstate.lock.info"):
        (clone / "opentofu/platform" / name).unlink(missing_ok=True)
        (clone / "opentofu/platform" / name).symlink_to(site.clone / "opentofu/platform" / name)
    another.change_piece("tofu.py", "-lock-timeout=30s", "-lock-timeout=1s")
    return another


def test_a_second_deploy_at_once_is_told_and_a_stopped_one_gives_back_its_lock(site):
    child = slow_apply(site)
    assert "Another ./deploy of this clone works on dev" in site.refused(6, "plan", "dev")
    words = another_clone(site).refused(6, "plan", "dev")
    assert "Somebody else changes platform" in words and "./deploy unlock ENVIRONMENT platform " in words
    assert "an unknown time" not in words
    child.terminate()
    _, words = child.communicate(timeout=60)
    assert child.returncode == 130, words
    # What it left is mended by the same commands.
    values = site.clone / "opentofu/environments/dev/platform.tfvars"
    values.write_text(values.read_text().replace("slow    = 60\n", ""))
    deploy_all(site)
    assert not list(pathlib.Path(site.clone / "opentofu/platform").glob("*.lock.info"))
