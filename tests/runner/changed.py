"""Which jobs the changed files can concern.

Changed is what differs from where this branch left `main` (on `main`: from the last commit), and what git does not know yet. A job is
concerned if one of these holds:

* a test binary is made from a changed file, or links a library of this workspace that is. Cargo lists the files, those included as text too;
* a test binary may read the repository when it runs, because it was told where that is: `env!("CARGO_MANIFEST_DIR")` stands in it;
* for what is not a test binary: a changed file lies in a folder that it is named for below, or the program it starts is made from one;
* a file that decides how everything is built has changed.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from jobs import ROOT, Job, Library

# How everything is built.
EVERYTHING = ("Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".cargo/", "dev", "tests/runner/")
# What is not a test binary, by the folders and files that it looks at.
FOLDERS = {
    "runner": ("tests/runner/",),
    "sdk/python": ("sdk/python/", "sdk/vectors/", "openapi.json"),
    "contract": ("tests/contract/", "openapi.json", "openapi.released.json"),
    "pages": ("tests/pages/", "README.md", "docs/START.md", "docs/OPERATING.md", "sdk/python/", "local/src/help.txt"),
    "doc tests": (),
}
# They start license-local, or read the code of all libraries.
NEED_LIBRARIES = ("sdk/python", "contract", "pages", "doc tests")
LOCAL = "license-local"


def git(*arguments: str) -> list[str]:
    ran = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return ran.stdout.splitlines() if ran.returncode == 0 else []


def changed_files() -> set[str]:
    base = (git("merge-base", "HEAD", "main") or ["HEAD"])[0]
    return {*git("diff", "--name-only", "--no-renames", base), *git("ls-files", "--others", "--exclude-standard")}


@dataclass(frozen=True)
class Sources:
    """What a binary or library is made from, by the list that cargo writes beside it."""

    files: frozenset[str] = frozenset()
    # It was told where the repository is, and may read any file of it when it runs.
    knows_the_repository: bool = False


def sources(listed: Path) -> Sources:
    """The list has a Makefile's form; paths are relative to the repository, and `# env-dep:` names what `env!` was asked for."""
    text = listed.read_text(encoding="utf-8")
    found = set()
    for line in text.splitlines():
        target, colon, inputs = line.partition(": ")
        if not colon or target.startswith("#"):
            continue
        for name in inputs.replace("\\ ", "\0").split():
            file = (ROOT / name.replace("\0", " ")).resolve()
            if file.is_relative_to(ROOT):
                found.add(str(file.relative_to(ROOT)))
    return Sources(frozenset(found), "# env-dep:CARGO_MANIFEST_DIR=" in text)


def links() -> dict[str, set[str]]:
    """Each package of the workspace with the packages of it that it depends on, directly or not, itself included."""
    read = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--offline", "--format-version", "1"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    packages = json.loads(read.stdout)["packages"]
    names = {package["name"] for package in packages}
    direct = {package["name"]: {d["name"] for d in package["dependencies"]} & names for package in packages}
    reached = {name: {name} for name in names}
    for _ in names:
        reached = {name: found.union(*(direct[other] for other in found)) for name, found in reached.items()}
    return reached


def concerned(all_jobs: list[Job], libraries: list[Library]) -> list[Job]:
    made_from: dict[str, set[str]] = {}
    for library in libraries:
        made_from.setdefault(library.package, set()).update(sources(library.listed).files)
    own = {job.name: sources(Path(job.command[0] + ".d")) for job in all_jobs if job.package}
    chosen = choose(all_jobs, changed_files(), own, made_from, links())
    print(f"{len(chosen)} of {len(all_jobs)} jobs are concerned by what has changed", flush=True)
    return chosen


def choose(
    all_jobs: list[Job], changed: set[str], own: dict[str, Sources], made_from: dict[str, set[str]], linked: dict[str, set[str]]
) -> list[Job]:
    """own: the sources of each test binary; made_from: the files of each package's library; linked: the packages below each package."""
    if any(file.startswith(EVERYTHING) for file in changed):
        return all_jobs
    touched = {package for package, files in made_from.items() if files & changed}

    def is_concerned(job: Job) -> bool:
        if not job.package:
            needed = linked[LOCAL] if job.name in NEED_LIBRARIES else set()
            return bool(touched & needed) or any(file.startswith(FOLDERS[job.name]) for file in changed)
        made = own[job.name]
        return bool(made.files & changed or touched & linked[job.package] or (changed and made.knows_the_repository))

    return [job for job in all_jobs if is_concerned(job)]
