"""What there is to run: the test binaries that cargo has built, and what is not cargo's."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from weights import ELSEWHERE, WEIGHTS, Weight

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Job:
    """One command, what it is called, and what it is known to need."""

    name: str
    command: list[str]
    directory: Path
    weight: Weight
    environment: dict[str, str] = field(default_factory=dict)
    # A test binary's package; empty for what is not cargo's.
    package: str = ""


@dataclass(frozen=True)
class Library:
    """A library of this workspace, and the file in which cargo lists what it is made from."""

    package: str
    listed: Path


def built() -> tuple[list[Job], list[Library]]:
    """Builds all tests; the binaries and the libraries. Ends this process if they do not compile."""
    command = ["cargo", "test", "--workspace", "--no-run", "--message-format=json-render-diagnostics"]
    build = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if build.returncode != 0:
        sys.exit(build.returncode)
    binaries, libraries = [], []
    for line in build.stdout.splitlines():
        message = json.loads(line)
        if message["reason"] != "compiler-artifact" or not message["manifest_path"].startswith(f"{ROOT}/"):
            continue
        if message["executable"] and message["profile"]["test"]:
            binaries.append(binary(message))
        elif "lib" in message["target"]["kind"]:
            libraries.append(library(message))
    return binaries, libraries


def package_of(message: dict) -> str:
    """`path+file:///…/core#license-core@0.1.0`, or without a name where the folder has it."""
    folder, _, version = message["package_id"].partition("#")
    return version.partition("@")[0] if "@" in version else folder.rpartition("/")[2]


def binary(message: dict) -> Job:
    package, target = package_of(message), message["target"]
    # Two packages may have tests of one name, and a package a library and programs of one name.
    name = f"{package.removeprefix('license-')}/{target['name']}"
    if target["kind"] != ["test"]:
        name += f" ({target['kind'][0]})"
    weight = WEIGHTS.get(name, Weight())
    directory = Path(message["manifest_path"]).parent
    arguments = ["-Zunstable-options", "--report-time"]
    if weight.threads:
        arguments.append(f"--test-threads={weight.threads}")
    # As cargo does it: tests run in the folder of their package.
    # RUSTC_BOOTSTRAP: a test harness of stable Rust says how long each test took only with it. Nothing is compiled here.
    environment = {"CARGO_MANIFEST_DIR": str(directory), "CARGO_PKG_NAME": package, "RUSTC_BOOTSTRAP": "1"}
    return Job(name, [message["executable"], *arguments], directory, weight, environment, package)


def library(message: dict) -> Library:
    file = Path(message["filenames"][0])
    return Library(package_of(message), file.with_name(file.stem.removeprefix("lib") + ".d"))


def elsewhere() -> list[Job]:
    """What is not a test binary. The programs that it runs are built already."""
    local = {"LICENSE_LOCAL": str(ROOT / "target/debug/license-local")}
    commands = {
        "runner": [sys.executable, "tests/runner/runner_test.py"],
        "doc tests": ["cargo", "test", "--quiet", "--workspace", "--doc"],
        "sdk/python": ["./dev", "test", "sdk"],
        "contract": ["tests/contract/run"],
        "pages": [sys.executable, "tests/pages/pages_test.py"],
    }
    return [Job(name, command, ROOT, ELSEWHERE[name], local) for name, command in commands.items()]


def check_weights(chosen: list[Job]) -> None:
    """A weight of a job that is not there is forgotten work: its binary has another name now, and would be taken for a short one."""
    unknown = sorted(WEIGHTS.keys() - {job.name for job in chosen})
    if unknown:
        sys.exit(f"tests/runner/weights.py has weights of jobs that are not there: {', '.join(unknown)}. Give them their new names.")


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
