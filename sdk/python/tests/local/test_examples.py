"""The examples against the real server, by the lines that stand at their heads for the server of `./dev run`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .machine import Machine

HERE = Path(__file__).resolve().parents[2]


def lines_of(example: str) -> str:
    """The lines of shell at the head of an example."""
    text = (HERE / "examples" / example).read_text("utf-8")
    found = re.search(r"`\./dev run` starts.*?:\n\n((?:    .*\n)+)", text)
    assert found is not None, f"{example} does not say how it is run"
    return found.group(1)


@pytest.fixture
def clone(machine: Machine, tmp_path: Path) -> Path:
    """What the root of the repository has once `./dev run` was started there, and the examples."""
    (tmp_path / "sdk/python").mkdir(parents=True)
    shutil.copytree(HERE / "examples", tmp_path / "sdk/python/examples")
    (tmp_path / ".local").mkdir()
    shutil.copy(machine.data / "license-key", tmp_path / ".local")
    return tmp_path


def type_in(lines: str, machine: Machine, clone: Path) -> subprocess.CompletedProcess[str]:
    """Run the lines as they are printed, but for the port of the server, which is another one in every test."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith("CODITECT_LICENSE_")}
    bin_dir = clone / "bin"
    bin_dir.mkdir()
    (bin_dir / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (bin_dir / "python").chmod(0o755)
    env = usual | {
        "PATH": f"{bin_dir}{os.pathsep}{usual['PATH']}",
        "PYTHONPATH": str(HERE / "src"),
        "XDG_CACHE_HOME": str(clone / "cache"),
        "PYTEST_ADDOPTS": "-p no:cacheprovider",
    }
    return subprocess.run(
        ["sh", "-ec", lines.replace("http://127.0.0.1:8080", machine.url)],
        cwd=clone,
        env=env,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )


def demo_sessions(machine: Machine) -> list[str]:
    """How the sessions of the demo license ended, those of this test and of earlier ones."""
    with machine._sql("postgres") as sql:
        rows = sql.execute(
            "select coalesce(s.end_reason, 'open') from sessions s join licenses l using (tenant_id, license_id)"
            " where l.tier = 'demo'"
        ).fetchall()
    return [str(reason) for (reason,) in rows]


def test_the_desktop_example_takes_a_seat_as_its_head_says(machine: Machine, clone: Path) -> None:
    before = len(demo_sessions(machine))
    done = type_in(lines_of("desktop.py"), machine, clone)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert re.fullmatch(r"Seat \d, online\.\nExport: yes\n", done.stdout), done
    assert demo_sessions(machine)[before:] == ["released"]


def test_the_ci_example_takes_a_seat_as_its_head_says(machine: Machine, clone: Path) -> None:
    before = len(demo_sessions(machine))
    done = type_in(lines_of("ci/conftest.py"), machine, clone)
    assert done.returncode == 0 and "1 passed" in done.stdout, done
    assert demo_sessions(machine)[before:] == ["released"]
