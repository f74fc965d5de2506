"""The real tofu with a provider whose resources are files: what it reads may move, and be changed past tofu."""

import json
import os
import pathlib
import shutil
import subprocess

from conftest import REPOSITORY, Site

TOFU = os.environ.get("TOFU", "")
SOURCE = REPOSITORY / "tests/cloud/tools/schema-provider"
VERSION = "1.0.0"
PLATFORMS = ("linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64")
REQUIRED = 'required_providers {\n    files = { source = "acme/files", version = "~> 1.0" }\n  }'


def _folders(mirror: pathlib.Path, version: str) -> pathlib.Path:
    return mirror / "registry.opentofu.org/acme/files" / version


def build(mirror: pathlib.Path) -> pathlib.Path:
    """A mirror that has the provider. Only that is linked which Go did not keep compiled."""
    program = mirror / "program"
    flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags=-s -w"]
    subprocess.run(["go", "build", *flags, "-o", program, "./files"], cwd=SOURCE, check=True)
    publish(mirror, VERSION)
    return mirror


def publish(mirror: pathlib.Path, version: str):
    """A version for each platform that is pinned; all are the same program here."""
    for system in PLATFORMS:
        folder = _folders(mirror, version) / system
        folder.mkdir(parents=True)
        os.link(mirror / "program", folder / f"terraform-provider-files_v{version}")


def withdraw(mirror: pathlib.Path, version: str):
    shutil.rmtree(_folders(mirror, version))


def install(site: Site, mirror: pathlib.Path):
    """Let `tofu` of this site be the real one, which finds the provider in the mirror alone."""
    cloud = site.home / "cloud"
    cloud.mkdir()
    settings = site.home / "tofu.rc"
    settings.write_text(f'provider_installation {{\n  filesystem_mirror {{ path = "{mirror}" }}\n}}\n')
    program = site.programs / "tofu"
    program.unlink()
    # `providers lock` asks the registries themselves, whatever the settings say.
    program.write_text(
        f'#!/bin/sh\ncase "$*" in *" providers lock "*) set -- "$@" -fs-mirror={mirror};; esac\n'
        f'TF_CLI_CONFIG_FILE={settings} FILES_PROVIDER={cloud} exec {TOFU} "$@"\n'
    )
    program.chmod(0o755)


def change(site: Site, name: str, **values):
    """Change a resource where it is, and not by tofu."""
    path = site.home / "cloud" / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
