"""The real tofu with a provider whose resources are files: what it reads may move, and be changed past tofu."""

import json
import os
import pathlib
import subprocess

from conftest import REPOSITORY, Site

TOFU = os.environ.get("TOFU", "")
SOURCE = REPOSITORY / "tests/cloud/tools/schema-provider"
VERSION = "1.0.0"
REQUIRED = 'required_providers {\n    files = { source = "acme/files", version = "~> 1.0" }\n  }'


def build(place: pathlib.Path) -> pathlib.Path:
    """A mirror that has the provider. Only that is linked which Go did not keep compiled."""
    told = subprocess.run(["go", "env", "GOOS", "GOARCH"], cwd=SOURCE, capture_output=True, text=True, check=True)
    system = "_".join(told.stdout.split())
    program = place / f"registry.opentofu.org/acme/files/{VERSION}/{system}/terraform-provider-files_v{VERSION}"
    command = [
        "go",
        "build",
        "-mod=readonly",
        "-trimpath",
        "-buildvcs=false",
        "-ldflags=-s -w",
        "-o",
        program,
        "./files",
    ]
    subprocess.run(command, cwd=SOURCE, check=True)
    return place


def install(site: Site, mirror: pathlib.Path):
    """Let `tofu` of this site be the real one, which finds the provider in the mirror alone."""
    cloud = site.home / "cloud"
    cloud.mkdir()
    settings = site.home / "tofu.rc"
    settings.write_text(f'provider_installation {{\n  filesystem_mirror {{ path = "{mirror}" }}\n}}\n')
    program = site.programs / "tofu"
    program.unlink()
    program.write_text(f'#!/bin/sh\nTF_CLI_CONFIG_FILE={settings} FILES_PROVIDER={cloud} exec {TOFU} "$@"\n')
    program.chmod(0o755)


def change(site: Site, name: str, **values):
    """Change a resource where it is, and not by tofu."""
    path = site.home / "cloud" / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
