"""The image in buildah's storage, and a process in it: PID 1, as uid 65532, on a root that nobody can write to."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

UID = 65532


class Storage:
    """Buildah's storage in a directory of its own, which is removed at the end."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.base = [
            "buildah",
            "--storage-driver",
            "vfs",
            "--root",
            str(directory / "root"),
            "--runroot",
            str(directory / "run"),
        ]

    def run(self, *arguments: str) -> str:
        done = subprocess.run([*self.base, *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"buildah {' '.join(arguments)} failed:\n{done.stderr}")
        return done.stdout.strip()

    def build(self, target: str, context: pathlib.Path, tag: str, built: int, *options: str) -> None:
        self.run(
            "build", "--isolation", "chroot", "--timestamp", str(built), "--target", target,
            "--file", "Dockerfile", "--tag", tag, *options, str(context),
        )  # fmt: skip

    def digest(self, tag: str) -> str:
        """The digest of the image's manifest, as a registry would call it, layers compressed."""
        return self._pushed(tag)["digest"]

    def compressed(self, tag: str) -> int:
        """The bytes that a registry keeps of it."""
        manifest = self._directory(tag) / "blobs" / "sha256" / self.digest(tag).removeprefix("sha256:")
        return sum(layer["size"] for layer in json.loads(manifest.read_text())["layers"])

    def _directory(self, tag: str) -> pathlib.Path:
        return self.directory / tag.replace("/", "-").replace(":", "-")

    def _pushed(self, tag: str) -> dict[str, str]:
        to = self._directory(tag)
        if not to.exists():
            self.run("push", tag, f"oci:{to}")
        return json.loads((to / "index.json").read_text())["manifests"][0]

    def config(self, tag: str) -> dict[str, object]:
        return json.loads(self.run("inspect", "--type", "image", tag))["OCIv1"]["config"]

    def mount(self, tag: str) -> pathlib.Path:
        return pathlib.Path(self.run("mount", self.run("from", tag)))


@contextlib.contextmanager
def storage() -> Iterator[Storage]:
    with tempfile.TemporaryDirectory(prefix="license-image-") as directory:
        made = Storage(pathlib.Path(directory))
        try:
            yield made
        finally:
            made.run("rm", "--all")
            made.run("rmi", "--all", "--force")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


# The first process of a process namespace of its own, as the container's first one is. The root has the image, and the
# /proc and /dev that every container is given; without them a static binary finds no random bytes (getrandom looks for
# its system call by dlsym, which a static binary does not have, and then opens /dev/urandom). Root itself tries to
# write first: where root cannot, the root is read-only. Before `--` stand pairs: what is mounted, and where.
_ENTER = r"""
root=$1
shift
mkdir -p "$root/dev" "$root/proc" && mount --bind "$root" "$root" && mount -o remount,bind,ro "$root" || exit 125
if touch "$root/probe" 2>/dev/null; then echo "the root can be written to" >&2; exit 124; fi
mount -t proc proc "$root/proc" && mount -t tmpfs tmpfs "$root/dev" || exit 125
for device in null random urandom; do
  touch "$root/dev/$device" && mount --bind "/dev/$device" "$root/dev/$device" || exit 125
done
mkdir "$root/dev/shm" && mount -t tmpfs tmpfs "$root/dev/shm" && mount -o remount,ro "$root/dev" || exit 125
while [ "$1" != -- ]; do
  if [ "$1" = tmpfs ]; then mount -t tmpfs tmpfs "$root$2"; else mount --bind "$1" "$root$2"; fi || exit 125
  shift 2
done
shift
cd "$root" && exec chroot --userspec=65532:65532 "$root" "$@"
"""


class Process:
    """A service or job of the image that runs."""

    def __init__(
        self,
        root: pathlib.Path,
        name: str,
        environment: dict[str, str],
        *words: str,
        mounts: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.name, self.port = name, free_port()
        self.output = tempfile.TemporaryFile("w+")
        self.launcher = subprocess.Popen(
            [
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-c",
                _ENTER,
                "enter",
                str(root),
                *(word for mount in mounts for word in mount),
                "--",
                f"/{name}",
                *words,
            ],
            env={"PATH": os.environ["PATH"], "PORT": str(self.port), **environment},
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.output,
        )

    @property
    def lines(self) -> str:
        """The last of what it wrote."""
        self.output.seek(0)
        return self.output.read()[-2000:]

    def get(self, path: str) -> tuple[int, str]:
        """Status and body; the service is awaited, at most a minute."""
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()
            except (urllib.error.URLError, ConnectionError) as error:
                if self.launcher.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.name} does not answer: {error}; it wrote:\n{self.lines}") from error
                time.sleep(0.002)

    def first_process(self) -> pathlib.Path:
        """Where the system describes it."""
        children = pathlib.Path(f"/proc/{self.launcher.pid}/task/{self.launcher.pid}/children").read_text().split()
        return pathlib.Path("/proc", *children[:1])

    def status(self) -> dict[str, list[str]]:
        lines = (self.first_process() / "status").read_text().splitlines()
        return {name: value.split() for name, _, value in (line.partition(":") for line in lines)}

    def listening(self) -> list[str]:
        """The sockets of this process that take connections, as the system lists them (proc(5), /proc/net/tcp)."""
        links = (os.readlink(file) for file in (self.first_process() / "fd").iterdir())
        own = {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:")}
        rows = [row.split() for name in ("tcp", "tcp6") for row in pathlib.Path("/proc/net", name).open()]
        return [row[1] for row in rows if row[3] == "0A" and row[9] in own]

    def terminate(self) -> None:
        os.kill(int(self.first_process().name), signal.SIGTERM)

    def exit_code(self, within: float) -> int:
        return self.launcher.wait(within)

    def stop(self) -> None:
        if self.launcher.poll() is None:
            self.launcher.kill()
            self.launcher.wait(10)
        self.output.close()


@contextlib.contextmanager
def started(
    root: pathlib.Path,
    name: str,
    environment: dict[str, str],
    *words: str,
    mounts: tuple[tuple[str, str], ...] = (),
) -> Iterator[Process]:
    """`mounts`: pairs of a directory of this machine, or `tmpfs`, and where it stands in the container."""
    process = Process(root, name, environment, *words, mounts=mounts)
    try:
        yield process
    finally:
        process.stop()
