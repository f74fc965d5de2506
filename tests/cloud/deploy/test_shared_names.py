"""Names that the pipeline uses and the root bootstrap makes: accounts, buckets, registry, attestor, triggers, images."""

import re

import pytest
from conftest import REPOSITORY

USERS = ("cloudbuild.yaml", ".ci/image.yaml", ".ci/steps.yaml", "deploy.d/*.py")
PIPELINE = "opentofu/modules/pipeline"
# How each side writes the same thing.
PLACES = {
    "$PROJECT_ID": "BUILD",
    "{environment.build.project}": "BUILD",
    "{build.project}": "BUILD",
    "{self.project}": "BUILD",
    "${var.project}": "BUILD",
    "var.project": "BUILD",
    "{environment.project}": "ENVIRONMENT",
    "{self.environment.project}": "ENVIRONMENT",
    "each.value.project": "ENVIRONMENT",
    "${_ENVIRONMENT}": "NAME",
    "{environment.name}": "NAME",
    "${each.key}": "NAME",
    "${name}": "NAME",
}
EMAIL = re.compile(r"([^\s\"'/:]+)@([^\s\"'/:]+)\.iam\.gserviceaccount\.com")
# Google's own agents and the runtime accounts are not made by bootstrap: the pipeline's code names none of them.
ACCOUNT = re.compile(
    r'resource "google_service_account" "\w+" \{[^}]*?project\s*=\s*(\S+)\n\s*account_id\s*=\s*"([^"]+)"', re.DOTALL
)


def plain(text: str) -> str:
    for written, meant in sorted(PLACES.items(), key=lambda pair: -len(pair[0])):
        text = text.replace(written, meant)
    return text


def texts(*patterns) -> dict:
    found = {path: path.read_text("utf-8") for one in patterns for path in sorted(REPOSITORY.glob(one))}
    assert found
    return found


def made(name: str) -> str:
    return (REPOSITORY / PIPELINE / name).read_text("utf-8")


def accounts_made(text: str) -> set:
    return {(plain(account), plain(project)) for project, account in ACCOUNT.findall(text)}


def accounts_used(files: dict) -> set:
    return {(plain(who), plain(where)) for text in files.values() for who, where in EMAIL.findall(text)}


def account_faults(used: set, there: set) -> list:
    unknown = [f"{who}@{where} is used and not made" for who, where in sorted(used - there)]
    # Google refuses a shorter one, and its answer comes only when it is made.
    short = [f"{who} is no name of an account: 6 to 30 letters" for who, _ in sorted(there) if not 6 <= len(who) <= 30]
    return unknown + short


def test_every_account_that_the_pipeline_runs_as_is_made_by_bootstrap():
    used, there = accounts_used(texts(*USERS)), accounts_made(made("accounts.tf"))
    assert ("image-build", "BUILD") in used and len(used) >= 3
    assert account_faults(used, there) == []


@pytest.mark.parametrize(
    ("written", "instead", "fault"),
    [
        ("image-build@", "build@", "build@BUILD is used and not made"),
        ("deploy-${_ENVIRONMENT}@", "deployer-${_ENVIRONMENT}@", "deployer-NAME@BUILD is used and not made"),
        ("tofu-platform@", "tofu@", "tofu@ENVIRONMENT is used and not made"),
    ],
)
def test_another_spelling_of_an_account_is_named(written, instead, fault):
    files = {path: text.replace(written, instead) for path, text in texts(*USERS).items()}
    assert account_faults(accounts_used(files), accounts_made(made("accounts.tf"))) == [fault]


def test_a_name_that_google_refuses_is_named():
    there = accounts_made(made("accounts.tf").replace('"image-build"', '"build"'))
    assert "build is no name of an account: 6 to 30 letters" in account_faults(set(), there)


def test_the_accounts_of_the_locals_are_those_of_the_resources():
    """The rights are given to e-mails that locals.tf builds."""
    locals_file = made("locals.tf").replace("${environment.project}", "ENVIRONMENT")
    built = {(plain(who), plain(where)) for who, where in EMAIL.findall(locals_file)}
    assert built == accounts_made(made("accounts.tf"))


def test_every_bucket_that_is_used_is_made():
    there = set(re.findall(r'"\$\{var\.project\}-(\w+)"', made("buckets.tf")))
    used = {
        name
        for text in texts(*USERS).values()
        for name in re.findall(r"(?:\{(?:self|build)\.project\}|\$PROJECT_ID)-(\w+)", text)
    }
    assert used == there == {"state", "plans", "releases", "source"}
    for path, text in texts("opentofu/environments/*/backend.hcl").items():
        assert re.search(rf'^bucket\s*=\s*"[\w-]+-state-{path.parent.name}"', text, re.MULTILINE), path


def test_registry_attestor_and_triggers_have_one_name():
    deploy = "".join(texts("deploy.d/*.py").values())
    repository = re.search(r'repository_id\s*=\s*"(\w+)"', made("registry.tf")).group(1)
    assert set(re.findall(r"-docker\.pkg\.dev/\{\w+\.project\}/(\w+)", deploy)) == {repository}
    attestor = re.search(r'attestor\s*=\s*"projects/\$\{var\.project\}/attestors/([\w-]+)"', made("locals.tf")).group(1)
    assert re.search(r'^ATTESTOR = "([\w-]+)"', deploy, re.MULTILINE).group(1) == attestor
    trigger = plain(re.search(r'^  name\s*=\s*"([^"]+)"', made("triggers.tf"), re.MULTILINE).group(1))
    assert plain(re.search(r'"run",\n\s+f"([^"]+)"', deploy).group(1)) == trigger


def test_the_images_of_the_steps_have_one_name():
    names = set(re.findall(r'lookup\(var\.steps, "(\w+)"', made("triggers.tf")))
    bootstrap = (REPOSITORY / "deploy.d/bootstrap.py").read_text("utf-8")
    assert set(re.findall(r'"(\w+)"', re.search(r"^STEP_IMAGES = (.*)$", bootstrap, re.MULTILINE).group(1))) == names
    stages = re.findall(r"^FROM .* AS (\w+)$", (REPOSITORY / ".ci/steps.Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert names <= set(stages)
