"""cloudbuild.yaml and .ci/image.yaml: the schema of Cloud Build, our own lint, and that each step is a verb."""

import copy
import re
import subprocess
import sys

import pytest
import yaml
from cloudbuild_lint import faults
from conftest import REPOSITORY

FILES = ("cloudbuild.yaml", ".ci/image.yaml")


def read(name: str) -> dict:
    return yaml.safe_load((REPOSITORY / name).read_text("utf-8"))


def schema(path) -> subprocess.CompletedProcess:
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.cloudbuild", str(path)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", FILES)
def test_the_build_is_sound(name):
    done = schema(REPOSITORY / name)
    assert done.returncode == 0, done.stdout
    assert faults(read(name)) == []


def test_the_images_of_the_steps_are_built_in_the_one_image_without_a_digest():
    assert schema(REPOSITORY / ".ci/steps.yaml").returncode == 0
    assert faults(read(".ci/steps.yaml")) == ["image takes gcr.io/cloud-builders/docker not by its digest"]


def test_the_schema_refuses_what_it_should(tmp_path):
    build = read("cloudbuild.yaml")
    build["options"]["machineType"] = "HUGE"
    (tmp_path / "cloudbuild.yaml").write_text(yaml.safe_dump(build))
    assert schema(tmp_path / "cloudbuild.yaml").returncode != 0


def change(build, path, value):
    *places, last = path
    for place in places:
        build = build[place]
    build[last] = value


PLANTED = {
    "promote waits for smok, which is no step before it": (("steps", -1, "waitFor"), ["smok"]),
    "check waits for test, which is no step before it": (("steps", 0, "waitFor"), ["test"]),
    "two steps are called check": (("steps", 1, "id"), "check"),
    "the substitution _IMAGES is used and not declared": (("steps", 3, "args"), ["./deploy", "plan", "${_IMAGES}"]),
    "the substitution _IMAGES is used and not declared ": (("steps", 3, "args"), ["./deploy", "plan", "$_IMAGES"]),
    "the substitution _PLAN is declared and not used": (("options", "automapSubstitutions"), False),
    "plan uses the secret TOKEN, which is not declared": (("steps", 3, "secretEnv"), ["TOKEN"]),
    "check takes rust:1.95 from Docker Hub": (("steps", 0, "name"), "rust:1.95"),
    "check takes library/rust@sha256:" + "0" * 64 + " from Docker Hub": (
        ("steps", 0, "name"),
        "library/rust@sha256:" + "0" * 64,
    ),
    "check takes docker.io/library/rust:1 from Docker Hub": (("steps", 0, "name"), "docker.io/library/rust:1"),
    "check takes gcr.io/cloud-builders/docker:latest not by its digest": (
        ("steps", 0, "name"),
        "gcr.io/cloud-builders/docker:latest",
    ),
    "check has no image": (("steps", 0, "name"), ""),
    "a build with an account of its own must say where its lines go (options.logging)": (("options", "logging"), None),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_named(fault):
    build = copy.deepcopy(read("cloudbuild.yaml"))
    change(build, *PLANTED[fault])
    assert fault.strip() in faults(build)


def test_every_step_is_a_verb_in_the_order_of_the_help():
    build = read("cloudbuild.yaml")
    verbs = [step["args"][1] for step in build["steps"]]
    assert [step["id"] for step in build["steps"]] == verbs
    shown = subprocess.run([REPOSITORY / "deploy", "--help"], capture_output=True, text=True, check=True).stdout
    listed = [line.split()[0] for line in shown.split("For people:")[0].splitlines() if line.startswith("  ")]
    assert verbs == listed


def test_what_deploy_reads_from_the_build_is_declared():
    """A substitution that is spelt otherwise on the two sides would be ignored by both."""
    text = "".join(path.read_text("utf-8") for path in (REPOSITORY / "deploy.d").glob("*.py"))
    declared = set(read("cloudbuild.yaml")["substitutions"])
    read_there = set(re.findall(r"(?:os\.environ(?:\.get\(|\[)|_step_image\()[\"'](_[A-Z_]+)", text))
    assert read_there and read_there == declared


def test_what_deploy_gives_to_the_build_of_the_image_is_declared():
    text = (REPOSITORY / "deploy.d/build_steps.py").read_text("utf-8")
    given = set(re.findall(r"(_[A-Z]+)=\{", text))
    assert given == set(read(".ci/image.yaml")["substitutions"])
