"""The first steps of the pipeline: the checks, the tests, and the image."""

import os

from environments import DIGEST, ROOT, Environment, check_project, commit, commit_time, opentofu
from failures import Failure
from reading import parse, read_text
from steps import Steps
from streams import say

ATTESTOR = "built-by-cloud-build"


def given_image() -> str:
    """The image that the pipeline was started with (promotion, rollback), or nothing."""
    return os.environ.get("_IMAGE", "")


def check(runner):
    """Everything that a machine can say of the code and of opentofu/."""
    _own(runner, "check", [["./dev", "check"], ["./dev", "cloud", "test"]])


def test(runner):
    """The tests on real stores."""
    _own(runner, "test", [["./dev", "test"]])


def _own(runner, step: str, commands: list):
    if given_image():
        say(f"{step}: left out, because {given_image()} passed it when it was made")
        return
    for command in commands:
        try:
            runner.run([str(ROOT / command[0]), *command[1:]])
        except Failure as failure:
            if failure.kind != "failed":
                raise
            raise Failure("check", f"{' '.join(command)} failed; its own words stand above.") from failure


def image(runner, name: str, given: str | None) -> str:
    """Make the image, or check the one that was given. Leaves its digest for the next steps."""
    environment = Environment(name)
    check_project(runner, environment)
    given = given or given_image()
    digest = _check_given(runner, environment, given) if given else _make(runner, environment)
    Steps(environment).write("image", {"digest": digest})
    say(f"image: {digest}")
    return digest


def _step_image(name: str) -> str:
    """The image that a step runs in: as the trigger says it, or as `./deploy bootstrap` wrote it on this machine."""
    given = os.environ.get(name)
    if given:
        return given
    path = opentofu() / "bootstrap" / "steps.auto.tfvars.json"
    way = "The images of the steps are not known here without it. What reads their digests: ./deploy bootstrap"
    text, key = read_text(path, "machine", way), name.strip("_").lower()
    return parse(text, {"steps": {key: str}}, "machine", f"{path} was cut short or edited, and holds", way)["steps"][
        key
    ]


def _make(runner, environment: Environment) -> str:
    build = environment.build
    substitutions = (
        f"_REPOSITORY={build.repository},_COMMIT={commit(runner)},_TIME={commit_time(runner)},"
        f"_BUILDER={_step_image('_BUILDER')},_CLOUD={_step_image('_CLOUD')}"
    )
    done = runner.run(
        [
            "gcloud",
            "builds",
            "submit",
            str(ROOT),
            f"--config={ROOT}/.ci/image.yaml",
            f"--project={build.project}",
            f"--region={build.region}",
            f"--gcs-source-staging-dir={build.source}",
            f"--substitutions={substitutions}",
            "--format=value(results.images[0].digest)",
        ],
        capture=True,
    )
    digest = f"{build.repository}@{done.output.strip()}"
    if not DIGEST.match(digest):
        raise Failure("image", f"The build of the image named no digest, but {done.output.strip()!r}.")
    return digest


def _check_given(runner, environment: Environment, given: str) -> str:
    if not DIGEST.match(given):
        raise Failure(
            "image", f"{given} is no image by its digest. Write {environment.build.repository}@sha256:… in full."
        )
    if given.split("@")[0] != environment.build.repository:
        raise Failure(
            "image", f"{given} is not from {environment.build.repository}: only what the pipeline made is deployed."
        )
    try:
        runner.run(["gcloud", "artifacts", "docker", "images", "describe", given, "--format=json"], capture=True)
    except Failure as failure:
        if failure.kind != "failed":
            raise
        raise Failure("image", f"{given} is not in the registry. ./deploy inventory lists what is.") from failure
    found = runner.ask(
        [
            "gcloud",
            "container",
            "binauthz",
            "attestations",
            "list",
            f"--attestor=projects/{environment.build.project}/attestors/{ATTESTOR}",
            f"--artifact-url={given}",
            f"--project={environment.build.project}",
            "--format=json",
        ],
        [dict],
        empty=[],
    )
    if not found:
        raise Failure(
            "image", f"{given} has no attestation of {ATTESTOR}: Cloud Run would refuse it. Build it by the pipeline."
        )
    return given
