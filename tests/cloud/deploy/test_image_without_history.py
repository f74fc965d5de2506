""".ci/image in a tree without .git, as `gcloud builds submit` uploads it."""

import os
import shutil
import subprocess

import pytest
from conftest import REPOSITORY, git

# Stands for `./dev sbom`, which takes minutes; tests/sbom has tests of its own.
DEV = """#!/bin/sh
[ "$1" = sbom ] && mkdir -p target/sbom && echo '{"bomFormat": "CycloneDX"}' >target/sbom/license-functions.cdx.json
"""


@pytest.fixture
def tree(tmp_path):
    """What .ci/image reads, without .git."""
    place = tmp_path / "outer/upload"
    for name in (".ci/image", "dev.d/need.sh", "opentofu/functions.json"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, place / name)
    (place / "dev").write_text(DEV)
    (place / "dev").chmod(0o755)
    return place


def run(tree, *words, **variables):
    kept = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    command = [tree / ".ci/image", *words]
    return subprocess.run(command, env={**kept, **variables}, capture_output=True, text=True, check=False)


def test_what_binaries_are_made_of_is_listed_in_a_tree_without_history(tree):
    done = run(tree, "sbom")
    assert done.returncode == 0, done.stderr
    assert "CycloneDX" in (tree / "target/image/sbom.cdx.json").read_text()


def test_two_may_write_at_the_same_time_into_directories_of_their_own(tree):
    kept = tree / "target/image/root/kept"
    kept.parent.mkdir(parents=True)
    kept.touch()
    done = run(tree, "--into", "one of its own", "sbom")
    assert done.returncode == 0, done.stderr
    assert "CycloneDX" in (tree / "one of its own/sbom.cdx.json").read_text()
    assert [path.name for path in (tree / "target/image").rglob("*")] == ["root", "kept"]


@pytest.mark.parametrize("words", [["binaries"], []], ids=["binaries", "both"])
def test_binaries_of_a_tree_without_history_need_a_time_and_take_nobody_elses(tree, words):
    for said in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "--message", "not ours"]):
        git(tree.parent, *said)
    done = run(tree, *words)
    assert done.returncode == 1 and "SOURCE_DATE_EPOCH" in done.stderr and "no .git" in done.stderr
    assert not (tree / "target").exists()
