"""A machine that others share: in each second everything that was started runs for a while, and then nothing does until the next one begins.

Linux lets a control group have so much of the processors in a period (https://docs.kernel.org/scheduler/sched-bwc.html). With a period of a
second, what runs there stands still for tenths of a second again and again, which is where tests fail that judge moments instead of promises.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

PERIOD = 1_000_000  # microseconds
GROUPS = Path("/sys/fs/cgroup")


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
