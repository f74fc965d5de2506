"""Noisy neighbours: a machine that others share, with its processors in jerks and its disk always busy.

Linux lets a control group have so much of the processors in a period (https://docs.kernel.org/scheduler/sched-bwc.html). With a period of a
second, what runs there stands still for tenths of a second again and again, which is where tests fail that judge moments instead of promises.

Where others keep the disk busy each fsync takes half a second and more, and a durable PostgreSQL waits for one at every commit.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

PERIOD = 1_000_000  # microseconds
GROUPS = Path("/sys/fs/cgroup")
WRITERS = 4
# Writes two gigabytes again and again, until whoever started it is gone. What is not waited for would be dropped before it reaches the disk, and
# zeros need not be written.
WRITER = """
import os, sys
parent, chunk = os.getppid(), os.urandom(1 << 20)
while True:
    with open(sys.argv[1], "wb", buffering=0) as file:
        for _ in range(2000):
            if os.getppid() != parent:
                sys.exit()
            file.write(chunk)
        os.fsync(file)
"""


def group(processors: float, groups: Path = GROUPS) -> Path:
    """The directory of a new group that has so many processors. The caller removes it.

    Raises OSError where this system has no such groups or does not let us make one.
    """
    is_version_2 = (groups / "cgroup.controllers").exists()
    directory = (groups if is_version_2 else groups / "cpu") / f"license-tests-{os.getpid()}"
    directory.mkdir()
    quota = round(processors * PERIOD)
    try:
        if is_version_2:
            (directory / "cpu.max").write_text(f"{quota} {PERIOD}")
        else:
            (directory / "cpu.cfs_period_us").write_text(str(PERIOD))
            (directory / "cpu.cfs_quota_us").write_text(str(quota))
    except OSError:
        directory.rmdir()
        raise
    return directory


@contextlib.contextmanager
def jerky(processors: float | None) -> Iterator[None]:
    """Everything that is started meanwhile has so many processors, in jerks. `None`: as always."""
    if processors is None:
        yield
        return
    if processors <= 0:
        raise SystemExit("--jerky needs a number of processors above 0")
    try:
        directory = group(processors)
        (directory / "cgroup.procs").write_text(str(os.getpid()))
    except OSError as error:
        raise SystemExit(f"--jerky needs a Linux control group of the controller cpu, which root may make: {error}") from error
    try:
        yield
    finally:
        (directory.parent / "cgroup.procs").write_text(str(os.getpid()))
        # What a job left behind keeps the group, and its quota.
        with contextlib.suppress(OSError):
            directory.rmdir()


@contextlib.contextmanager
def busy_disk(wanted: bool, folder: Path) -> Iterator[None]:
    """Four others write to the disk of this folder meanwhile, two gigabytes each, as fast as the disk takes them.

    Raises SystemExit afterwards where one of them could not go on: the disk was not busy, or it is full.
    """
    if not wanted:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="busy-disk-", dir=folder) as directory:
        command = [sys.executable, "-c", WRITER]
        # In sessions of their own: a Ctrl-C is for the runner.
        writers = [subprocess.Popen([*command, os.path.join(directory, str(n))], start_new_session=True) for n in range(WRITERS)]
        try:
            yield
            if any(writer.poll() is not None for writer in writers):
                raise SystemExit(f"--busy-disk: a writer has ended by itself. Is there room for {2 * WRITERS} GB in {folder}?")
        finally:
            for writer in writers:
                writer.kill()
                writer.wait()
