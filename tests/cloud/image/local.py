"""The image of the target `local`, started as compose.yaml starts it: with its user, environment, volume and temporary
directories, on a root that nobody can write to. tests/cloud/local-image built it.

local.py STORAGE TAG    the directory of buildah's storage, and the image's name in it
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from image import container

SECONDS = 120


def holds(fact: bool, otherwise: str) -> None:
    if not fact:
        sys.exit(f"local-image: {otherwise}")


def described() -> dict:
    return yaml.safe_load(pathlib.Path("compose.yaml").read_text())["services"]["license"]


def environment(compose: dict, config: dict) -> dict[str, str]:
    """What the image says and what compose.yaml says besides, where nobody has set a variable of theirs."""
    of_image = dict(one.split("=", 1) for one in config.get("Env", []))
    defaults = {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value) for name, value in compose["environment"].items()}
    return of_image | defaults


def begun(process: container.Process) -> dict[str, list[str]]:
    """What the system says of it once it is there, as the user that it must be."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            status = process.status()
        except FileNotFoundError:
            status = {}  # not yet, or not any more
        if set(status.get("Uid", []) + status.get("Gid", [])) == {str(container.UID)}:
            return status
        ended = process.launcher.poll() is not None or time.monotonic() > deadline
        holds(not ended, f"it did not run as {container.UID}, but as {status.get('Uid')}; it wrote:\n{process.lines}")
        time.sleep(0.01)


def once(root: pathlib.Path, compose: dict, config: dict, data: pathlib.Path) -> str:
    """It gives a seat and takes it back, and writes nowhere but into its volume. What it wrote."""
    name, *words = config["Entrypoint"]
    temporary = [("tmpfs", path) for path in compose["tmpfs"]]
    volumes = [(str(data), volume.partition(":")[2]) for volume in compose["volumes"]]
    program, given = f"usr/local/bin/{name}", (*words, "--port", "0", "--once")
    with container.started(
        root, program, environment(compose, config), *given, mounts=(*temporary, *volumes)
    ) as process:
        status = begun(process)
        holds(int(status["CapEff"][0], 16) == 0, f"it has capabilities: {status['CapEff'][0]}")
        try:
            code = process.exit_code(within=SECONDS)
        except subprocess.TimeoutExpired:
            sys.exit(f"local-image: it has not ended after {SECONDS} s; it wrote:\n{process.lines}")
        holds(code == 0, f"it ended with {code}; it wrote:\n{process.lines}")
        return process.lines


def main() -> None:
    storage, tag = container.Storage(pathlib.Path(sys.argv[1])), sys.argv[2]
    compose, config = described(), storage.config(tag)
    uid = f"{container.UID}:{container.UID}"
    holds(config.get("User") == uid, f"the image runs as {config.get('User')!r}")
    holds(list(config.get("Volumes", {})) == ["/data"], f"the image has the volumes {config.get('Volumes')}")
    root = storage.mount(tag)
    owner = (root / "data").stat()
    holds((owner.st_uid, owner.st_mode & 0o777) == (container.UID, 0o700), "/data is not its own, or not for it alone")
    with tempfile.TemporaryDirectory(prefix="license-local-data-", dir="/tmp") as place:
        # As a new volume is: with the owner and the mode of the image's directory.
        data = pathlib.Path(place)
        os.chown(data, owner.st_uid, owner.st_gid)
        for run in ("first", "second"):
            once(root, compose, config, data)
            kept = sorted(path.name for path in data.iterdir())
            holds("license-key" in kept, f"after the {run} start the volume has {kept}")
            strangers = [path for path in data.rglob("*") if path.lstat().st_uid != container.UID]
            holds(not strangers, f"of somebody else in the volume: {strangers[:3]}")
    size = sum(path.lstat().st_size for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    print(f"local-image: {size / 1e6:.0f} MB; a seat was given and taken back twice on one volume,")
    print(f"local-image: with the environment of compose.yaml, as uid {container.UID} on a read-only root")


if __name__ == "__main__":
    main()
