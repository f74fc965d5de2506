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
    """A new group that has so many processors. Whoever makes it removes it.

    Raises OSError where this system has no such groups or does not let us make one.
    """
    second = (groups / "cgroup.controllers").exists()
    made = (groups if second else groups / "cpu") / f"license-tests-{os.getpid()}"
    made.mkdir()
    quota = round(processors * PERIOD)
    if second:
        (made / "cpu.max").write_text(f"{quota} {PERIOD}")
    else:
        (made / "cpu.cfs_period_us").write_text(str(PERIOD))
        (made / "cpu.cfs_quota_us").write_text(str(quota))
    return made


@contextlib.contextmanager
def jerky(processors: float | None) -> Iterator[None]:
    """Everything that is started meanwhile has so many processors, in jerks. `None`: as always."""
    if processors is None:
        yield
        return
    try:
        made = group(processors)
        (made / "cgroup.procs").write_text(str(os.getpid()))
    except OSError as error:
        raise SystemExit(f"--jerky needs a Linux control group, which root may make: {error}") from error
    try:
        yield
    finally:
        (made.parent / "cgroup.procs").write_text(str(os.getpid()))
        # What a job left behind keeps the group, and its quota.
        with contextlib.suppress(OSError):
            made.rmdir()
