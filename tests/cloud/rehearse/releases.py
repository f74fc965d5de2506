"""The two releases of a rehearsal: what this clone holds, and what an earlier commit held, each as its image has it."""

import json
import os
import pathlib
import shutil
import stat
import subprocess

from cloud import Release
from place import ROOT, Fault, Place, demand

# What the binaries are made of: two commits that agree in it have the same ones.
SOURCES = ["core", "functions", "pubsub", "migrations", "Cargo.toml", "Cargo.lock"]
# An image has these, or it is of a time before there was one.
_OF_AN_IMAGE = [".ci/image", "functions/src/bin/migrate.rs", "opentofu/functions.json"]
# What every container runtime puts into /dev (OCI runtime specification, "Default Devices").
_DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
_BUILT = pathlib.Path("target/image/root")


def _git(*words: str, check: bool = True) -> subprocess.CompletedProcess:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    demand(done.returncode == 0 or not check, f"git {words[0]} failed: {done.stderr.strip()}")
    return done


def _differ(commit: str) -> bool:
    """Whether this clone's sources, edited ones too, are others than a commit's."""
    return _git("diff", "--quiet", commit, "--", *SOURCES, check=False).returncode != 0


def _build(place: Place, clone: pathlib.Path, words: str):
    # Dependencies that another clone has compiled are taken over, as ./dev does.
    place.build(["bash", "-c", f". dev.d/need.sh && need_rust && warm_build && exec {words}"], clone)


def current(place: Place, given: pathlib.Path | None) -> Release:
    """This clone's: built with the flags of the image, or plain binaries from a directory."""
    if given:
        return _given(place, "this release", given)
    if not (ROOT / ".ci/image").exists():
        raise Fault("there is no .ci/image here; name a directory with the binaries: --binaries DIR")
    # A test, and another rehearsal, may build in this clone too.
    into = place.directory / "image"
    _build(place, ROOT, f".ci/image --into {into} --profile dev binaries")
    return _container(place, "this release", into / "root")


def earlier(place: Place, given: pathlib.Path | None) -> Release:
    """That of the newest commit of this branch whose image differs. It is built once and kept outside the clone."""
    if given:
        return _given(place, "the release before", given)
    commit = _commit_before()
    kept = _cache() / f"image-{commit}"
    if not kept.exists():
        clone = place.directory / "earlier"
        # No worktree, which a rehearsal that is killed would leave in the repository's list of them.
        _git("clone", "--quiet", "--no-checkout", "--shared", str(ROOT), str(clone))
        _git("-C", str(clone), "checkout", "--quiet", "--detach", commit)
        # Not one that was set for every clone, this one too.
        if _build_directory(clone) != _build_directory(ROOT):
            place.also_remove(_build_directory(clone))
        # Nobody else builds in that clone, and what it holds may be of a time when .ci/image had no --into.
        _build(place, clone, ".ci/image --profile dev binaries")
        part = kept.with_suffix(f".part{os.getpid()}")
        place.also_remove(part)
        shutil.copytree(clone / _BUILT, part)
        part.rename(kept)
        # One is enough. A rehearsal that runs now has the files of its own, by other names.
        for old in kept.parent.glob("image-*"):
            if old not in (kept, part) and ".part" not in old.name:
                shutil.rmtree(old, ignore_errors=True)
    return _container(place, f"the release before ({commit[:7]})", kept)


def _build_directory(clone: pathlib.Path) -> pathlib.Path:
    """Where cargo keeps what it compiles for a clone, outside of it."""
    words = ["cargo", "metadata", "--no-deps", "--offline", "--format-version", "1"]
    told = json.loads(subprocess.run(words, cwd=clone, capture_output=True, text=True, check=True).stdout)
    return pathlib.Path(told["build_directory"])


def _given(place: Place, name: str, directory: pathlib.Path) -> Release:
    # An image's root has the certificates of authorities beside the binaries.
    if (directory / "etc/ssl/certs").is_dir():
        return _container(place, name, directory)
    return Release(name, directory, False)


def _container(place: Place, name: str, root: pathlib.Path) -> Release:
    """The image's root as a container runtime hands it to a process: with /dev, which is not of the image.

    Only root can make that; elsewhere the binaries of the image run by themselves.
    """
    if os.geteuid() != 0:
        return Release(name, root, False)
    own = place.directory / f"root-{len(list(place.directory.glob('root-*')))}"
    shutil.copytree(root, own, copy_function=_link)
    (own / "dev").mkdir(exist_ok=True)
    for device, numbers in _DEVICES.items():
        os.mknod(own / "dev" / device, stat.S_IFCHR, os.makedev(*numbers))
        (own / "dev" / device).chmod(0o666)
    return Release(name, own, True)


def _link(source: str, target: str):
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _commit_before() -> str:
    for commit in _git("log", "--first-parent", "--format=%H", "HEAD", "--", *SOURCES, *_OF_AN_IMAGE).stdout.split():
        has_image = all(
            _git("cat-file", "-e", f"{commit}:{path}", check=False).returncode == 0 for path in _OF_AN_IMAGE
        )
        if has_image and _differ(commit):
            return commit
    raise Fault("no earlier commit has another image; name a directory with its binaries: --earlier DIR")


def _cache() -> pathlib.Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(base) / "coditect-license-server"
