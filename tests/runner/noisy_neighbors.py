"""Noisy neighbours: a machine that others share, with its processors in jerks and its disk always busy.

Linux lets a control group have so much of the processors in a period (https://docs.kernel.org/scheduler/sched-bwc.html). With a period of a
second, what runs there stands still for tenths of a second again and again, which is where tests fail that judge moments instead of promises. Where others write to the disk, each fsync takes a second or more, and a
PostgreSQL server that has to be durable waits for one at every commit.
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
# Writes two gigabytes again and again, until whoever started it is gone.
WRITER = """
import os, sys
parent, chunk = os.getppid(), bytes(1 << 20)
while True:
    with open(sys.argv[1], "wb", buffering=0) as file:
        for _ in range(2000):
            if os.getppid() != parent:
                sys.exit()
            file.write(chunk)
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
    """Others write to the disk of this folder meanwhile, as fast as it takes what they write."""
    if not wanted:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="busy-disk-", dir=folder) as directory, contextlib.ExitStack() as ended:
        for number in range(WRITERS):
            writer = subprocess.Popen([sys.executable, "-c", WRITER, os.path.join(directory, str(number))])
            ended.callback(writer.wait)
            ended.callback(writer.kill)
        yield
