"""What ./deploy reads of the real opentofu/, and the names that it and opentofu/ must agree on."""

import re
import sys

import pytest
import yaml
from conftest import IMAGE, REPOSITORY

sys.path.insert(0, str(REPOSITORY / "deploy.d"))
import secret_values  # noqa: E402 - the path comes first
from environments import NAMES, Environment, functions  # noqa: E402

OPENTOFU = REPOSITORY / "opentofu"


def text_of(*places: str) -> str:
    return "".join(path.read_text("utf-8") for place in places for path in sorted((OPENTOFU / place).glob("*.tf")))


@pytest.mark.parametrize("name", NAMES)
def test_the_values_of_each_environment_are_read(name):
    environment = Environment(name)
    assert environment.project.endswith(f"-{name}") and environment.region and environment.seat_ttl == 360
    assert environment.build.project in (environment.files / "backend.hcl").read_text()


def test_the_buckets_and_the_registry_are_those_that_bootstrap_makes():
    buckets = (OPENTOFU / "modules/pipeline/buckets.tf").read_text() + (
        OPENTOFU / "modules/pipeline/locals.tf"
    ).read_text()
    assert '"${var.project}-plans"' in buckets and '"${var.project}-releases"' in buckets
    build = Environment("dev").build
    assert build.plans == f"gs://{build.project}-plans" and build.releases == f"gs://{build.project}-releases"
    assert '"${var.location}-docker.pkg.dev/${var.project}/images"' in buckets
    assert build.repository == f"{build.location}-docker.pkg.dev/{build.project}/images/functions"


def test_the_triggers_and_accounts_are_called_as_the_builds_call_them():
    pipeline = text_of("modules/pipeline")
    assert 'name            = "deploy-${each.key}"' in pipeline and 'account_id   = "tofu-platform"' in pipeline
    account = re.search(r"serviceAccounts/(\S+?)@", (REPOSITORY / ".ci/image.yaml").read_text()).group(1)
    assert f'"{account}"' in pipeline
    deployer = yaml.safe_load((REPOSITORY / "cloudbuild.yaml").read_text())["serviceAccount"]
    assert "/deploy-${_ENVIRONMENT}@" in deployer and 'account_id   = "deploy-${each.key}"' in pipeline
    given = set(re.findall(r"^ +(_[A-Z]+) +=", pipeline, flags=re.MULTILINE))
    assert given == {"_ENVIRONMENT", "_BUILDER", "_CLOUD"}


def test_the_variables_that_deploy_sets_are_those_of_the_roots():
    services, platform = text_of("services"), text_of("platform")
    for name in ("image", "paused", "canary_percent", "previous_revisions", "platform"):
        assert f'variable "{name}"' in services, name
    assert 'variable "image"' in platform and 'output "platform"' in platform
    for name in ("urls", "public_url", "revisions", "environment"):
        assert f'output "{name}"' in services, name
    assert 'variable "steps"' in text_of("bootstrap")


def test_secrets_are_called_as_the_module_calls_them():
    assert 'lower(replace(name, "_", "-"))' in text_of("modules/secrets")
    assert secret_values.secret_id("HANDLE_KEY_PREVIOUS") == "handle-key-previous"
    described = (OPENTOFU / "functions.json").read_text()
    assert all(name in described and name + secret_values.PREVIOUS in described for name in secret_values.DRAWN)
    assert secret_values.CANARY_KEY not in described


def test_every_function_is_known_by_its_paths():
    paths = [path for row in functions().values() for path in row["paths"]]
    asked = ("/.well-known/license-keys", *(f"/api/v1/licenses/{verb}" for verb in ("acquire", "heartbeat", "release")))
    assert all(path in paths for path in asked)
    assert functions()["reaper"]["ingress"] == "internal"


def test_a_build_is_told_its_project(site):
    """Whether gcloud is set to it inside the image of a step was never seen."""
    site.ok("image", "dev", "--image", IMAGE, project="", BUILD_ID="1", PROJECT_ID="acme-build")
    site.refused(4, "image", "dev", "--image", IMAGE, project="", BUILD_ID="1", PROJECT_ID="acme-dev")
    # Outside of a build the variable means nothing.
    site.refused(4, "image", "dev", "--image", IMAGE, project="acme-prod", PROJECT_ID="acme-dev")
