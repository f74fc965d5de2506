""".ci/steps.Dockerfile as far as it can be looked at without its base images, which a machine without Google cannot pull:
the packages exist, the versions are those of the rest of the repository, and every program that a step calls is there.
"""

import json
import re
import shutil
import subprocess

import pytest
from conftest import REPOSITORY

FILE = (REPOSITORY / ".ci/steps.Dockerfile").read_text("utf-8")
# What the base images bring along: of Debian's slim images the essential packages, and what the images are for.
BASE = {
    "builder": {"unshare", "cargo", "rustup"},
    "cloud": {"gcloud", "docker"},
}
# The packages whose name is not that of what dev.d/need.sh calls it by, as install_with_apt there has them.
PACKAGES = {
    "postgres": ["postgresql"],
    "redis": ["redis-server"],
    "python": ["python3", "python3-venv"],
    "compiler": ["gcc", "libc6-dev"],
    "ps": ["procps"],
}
# Words before a command: `git` of `["git", "-C", …]`.
CALLED = re.compile(r"\brun\(\s*\[\s*\"([a-z0-9]+)\"|(?:question|words|command) = \[\s*\"([a-z0-9]+)\"")


def stage(name: str, text: str = FILE) -> str:
    return re.search(rf"^FROM \S+ AS {name}\n(.*?)(?=^FROM |\Z)", text, re.MULTILINE | re.DOTALL)[1]


def installed(name: str, text: str = FILE) -> set:
    """The packages of Debian's that a stage installs."""
    commands = stage(name, text).replace("\\\n", " ")
    words = re.search(r"apt-get install (.*?)\s*&&", commands)[1].split()
    return {word for word in words if not word.startswith("-")}


def needed() -> set:
    """What ./dev wants of the system for what the step `check` and the step `test` do, in need.sh's words."""
    text = "".join((REPOSITORY / file).read_text("utf-8") for file in ("dev", ".ci/image", "tests/cloud/parts/image"))
    called = re.findall(r"^[^#\n]*?\bneed ((?:[a-z]+ ?)+)", text, re.MULTILINE)
    return {word for words in called for word in words.split()}


def lacking(text: str = FILE) -> set:
    """Packages that ./dev would install at every run of the pipeline, because the image has them not."""
    has = installed("builder", text) | BASE["builder"]
    return {package for thing in needed() for package in PACKAGES.get(thing, [thing])} - has


def test_the_builder_has_everything_that_the_checks_and_the_tests_need():
    assert {"postgres", "redis", "buildah", "openssl"} <= needed()
    assert lacking() == set()
    for program in ("buildah", "redis-server", "curl"):
        assert lacking(re.sub(rf"\b{program}\b", "", FILE)) == {program}


def test_the_builder_has_go_and_npm_and_the_components_of_rust():
    # dev asks for them by `have`: it does not install them.
    assert "COPY --from=tofu /usr/local/go " in stage("builder")
    assert {"nodejs", "npm"} <= installed("builder")
    components = re.search(r"components = (\[.*\])", (REPOSITORY / "rust-toolchain.toml").read_text("utf-8"))[1]
    added = set(re.search(r"rustup component add (.*)", stage("builder"))[1].split())
    assert set(json.loads(components)) == added


def test_the_cloud_image_has_every_program_that_deploy_calls():
    called = set()
    for path in (REPOSITORY / "deploy.d").glob("*.py"):
        called |= {first or second for first, second in CALLED.findall(path.read_text("utf-8"))}
    assert {"gcloud", "git", "openssl", "tofu"} <= called
    copied = set(re.findall(r"COPY --from=\S+ \S+ /usr/local/bin/(\S+)", stage("cloud")))
    assert called - (installed("cloud") | copied | BASE["cloud"]) == set()
    assert "python3" in installed("cloud")


def test_the_versions_are_those_that_the_repository_names():
    dockerfile = (REPOSITORY / "Dockerfile").read_text("utf-8")
    toolchain = re.search(r'channel = "(.*)"', (REPOSITORY / "rust-toolchain.toml").read_text("utf-8"))[1]
    assert f"RUSTUP_TOOLCHAIN={toolchain}\n" in dockerfile
    rust = re.compile(r"^ARG RUST=\S+:[0-9.]+-slim-(\w+)@sha256:[0-9a-f]{64}$", re.MULTILINE)
    assert rust.search(FILE)[0] == rust.search(dockerfile)[0]
    # Newest of its line, which go.mod's version must be of: an older one refuses to build.
    go, suite = re.search(r"^ARG GO=\S+:([0-9]+\.[0-9]+)-(\w+)$", FILE, re.MULTILINE).groups()
    for file in REPOSITORY.glob("tests/**/go.mod"):
        wanted = re.search(r"^go ([0-9]+\.[0-9]+)", file.read_text("utf-8"), re.MULTILINE)[1]
        assert tuple(map(int, wanted.split("."))) <= tuple(map(int, go.split("."))), file
    assert suite == rust.search(FILE)[1]


@pytest.mark.skipif(not shutil.which("apt-cache"), reason="only Debian's own index says which packages Debian has")
def test_the_packages_exist():
    packages = installed("builder") | installed("cloud")
    words = ["apt-cache", "show", "--no-all-versions", "no-such-package", *packages]
    shown = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    assert set(re.findall(r"^Package: (.*)$", shown, re.MULTILINE)) == packages
