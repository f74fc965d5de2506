"""Programs that were packed into files of their own, as PyInstaller and zipapp make them, and the seats they hold.

The parts that use this run alone too. Then they start a license-local of their own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.local.machine import Machine, NewLicense

WORLD = Path(__file__).resolve().parents[1]
SDK = WORLD.parent
REQUIREMENTS = WORLD / "requirements-frozen.txt"
BUILD_SECONDS = 600
IN_ENVIRONMENT = "PACKED_IN_ENVIRONMENT"


def use_environment() -> None:
    """Go on in the environment with the programs that pack, which is made now if it is not there."""
    # Whoever stops a part stops what it started with it, and leaves no folder behind.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    if IN_ENVIRONMENT in os.environ:
        return
    from .environment import environment

    # Of the Python itself, also where an environment of it was started: the same one wherever the part is started from.
    python = environment(sys._base_executable, REQUIREMENTS)
    paths = os.pathsep.join(map(str, (SDK / "src", SDK, WORLD)))
    given = os.environ | {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", IN_ENVIRONMENT: "yes"}
    os.execve(python, [str(python), *sys.argv], given)


@contextlib.contextmanager
def server() -> Iterator[Machine]:
    """The license-local that the runner started for all parts, else one of this part's own."""
    if "WORLD_SERVER" in os.environ:
        from .server import attach

        yield attach()
    else:
        from tests.local.machine import running

        with running() as machine:
            yield machine


def run(*command: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """What a command prints. Fails with all that it wrote when it did not end well."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        env=env,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{' '.join(words)} exited with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def install_wheel(where: Path) -> Path:
    """Build the wheel and unpack it into a folder, which is what its users have. The folder goes onto PYTHONPATH."""
    code = "import sys, os, hatchling.build as b; os.chdir(sys.argv[1]); print(b.build_wheel(sys.argv[2]))"
    wheel = where / run(sys.executable, "-c", code, SDK, where).strip()
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", where / "site", wheel)
    return where / "site"


def building(site: Path, where: Path) -> dict[str, str]:
    """The environment for a command that packs a program: only the wheel is there, and nothing of the clone."""
    return os.environ | {"PYTHONPATH": str(site), "PYINSTALLER_CONFIG_DIR": str(where), "HOME": str(where)}


def surroundings(machine: Machine, license_: NewLicense, where: Path, **more: str) -> dict[str, str]:
    """Environment variables of a person's desktop, on which neither Python nor this package is installed."""
    where.mkdir(exist_ok=True)
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(where),
        "CODITECT_LICENSE_SERVER": machine.url,
        "CODITECT_LICENSE_KEY": license_.key,
        "CODITECT_LICENSE_PRODUCT": "demo",
        **more,
    }


def hold(machine: Machine, license_: NewLicense, env: dict[str, str], *command: str | Path) -> None:
    """Start a packed desktop.py, see that it holds a seat, end its input, and see that it gave the seat back."""
    with subprocess.Popen(
        [str(word) for word in command],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=env["HOME"],
    ) as program:
        assert program.stdin is not None and program.stdout is not None and program.stderr is not None
        try:
            said = [program.stdout.readline(), program.stdout.readline()]
            if said != ["Seat 0, online.\n", "Export: yes\n"]:
                rest, errors = program.communicate(timeout=30)
                raise AssertionError(f"it said {said} {rest!r}; stderr: {errors}")
            assert machine.held(license_) == 1, f"{machine.held(license_)} seats are held while it runs"
            _, errors = program.communicate("once more\n", timeout=30)
            assert program.returncode == 0, f"it exited with {program.returncode}; stderr: {errors}"
            assert not errors, f"it wrote to stderr: {errors}"
        finally:
            if program.poll() is None:
                program.kill()
    assert ends_of(machine, license_) == ["released"], f"sessions ended so: {ends_of(machine, license_)}"
    assert machine.held(license_) == 0, f"{machine.held(license_)} seats are left taken"


def ends_of(machine: Machine, license_: NewLicense) -> list[str]:
    """How each session of a license ended, by the server's records."""
    with machine._sql("postgres") as sql:
        rows = sql.execute(
            "select coalesce(end_reason, 'open') from sessions where pool_id = %s", (license_.pool,)
        ).fetchall()
    return [str(reason) for (reason,) in rows]
