"""The fixture that pytest finds, and the examples of it that are shown to vendors."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]


def run_pytest(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    plugin = "coditect_license.testing.plugin"
    return subprocess.run([*command, "-p", plugin, *arguments], capture_output=True, text=True, check=False)


def test_the_example_tests_pass_as_they_stand() -> None:
    example = HERE / "examples/testing"
    done = run_pytest("--strict-markers", "-W", "error", "--rootdir", example, example)
    assert done.returncode == 0 and "9 passed" in done.stdout, done.stdout


def test_the_blocks_of_the_guide_pass_as_printed(tmp_path: Path) -> None:
    guide = (HERE / "docs/testing.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", guide, re.S)
    (tmp_path / "test_guide.py").write_text("\n".join(blocks))
    done = run_pytest("-W", "error", "--rootdir", tmp_path, tmp_path)
    assert done.returncode == 0 and f"{guide.count('def test_')} passed" in done.stdout, done.stdout


def test_the_plugin_imports_nothing_until_a_test_asks_for_a_server(tmp_path: Path) -> None:
    (tmp_path / "test_nothing.py").write_text(
        "import sys\ndef test_nothing():\n"
        "    ours = [n for n in sys.modules if n.startswith('coditect_license')]\n"
        "    assert {n.removeprefix('coditect_license') for n in ours} == {'', '.testing', '.testing.plugin'}\n"
        "    assert not {'httpx', 'cryptography'} & set(sys.modules)\n"
    )
    done = run_pytest("--rootdir", tmp_path, tmp_path)
    assert done.returncode == 0, done.stdout


def test_the_fixture_sets_the_environment_and_takes_it_back(tmp_path: Path) -> None:
    (tmp_path / "test_environment.py").write_text(
        "import os\n"
        "def test_inside(license_server):\n"
        "    assert os.environ['CODITECT_LICENSE_SERVER'] == license_server.url\n"
        "    assert os.environ['CODITECT_LICENSE_KEY'] == license_server.key\n"
        "def test_afterwards():\n"
        "    assert not [n for n in os.environ if n.startswith('CODITECT_LICENSE_')]\n"
    )
    done = run_pytest("--rootdir", tmp_path, tmp_path)
    assert done.returncode == 0, done.stdout
