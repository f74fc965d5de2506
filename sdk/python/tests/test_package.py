"""What is shipped: the wheel, the first five lines, the examples, and no file too large to read."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import coditect_license
from coditect_license import _roots

from .fake_server import KEY, ROOTS, Http

HERE = Path(__file__).resolve().parents[1]


def first_code(text: str) -> str:
    found = re.search(r"```python\n(.*?)```", text, re.S)
    assert found is not None
    return found.group(1)


def test_the_five_lines_come_first_and_do_what_they_say(
    http: Http, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = (HERE / "README.md").read_text("utf-8")
    code = first_code(readme)
    assert readme.index("```python") < 60 and len([line for line in code.splitlines() if line.strip()]) == 5
    # As in a package that was built with its keys.
    monkeypatch.setattr(_roots, "packaged_text", lambda: json.dumps(ROOTS))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    exec(code.replace("https://licenses.example.com", http.url).replace("CODI-…", KEY), {})
    assert http.fake.verbs() == ["acquire", "release"]


def test_the_packages_own_docstring_shows_the_same_lines() -> None:
    lines = [
        line.split("#")[0].split()
        for line in first_code((HERE / "README.md").read_text("utf-8")).splitlines()
        if line.strip()
    ]
    shown = [line.split() for line in (coditect_license.__doc__ or "").splitlines() if line.startswith("    ")]
    assert shown == lines


def test_the_wheel_holds_the_package_its_types_and_its_command(tmp_path: Path) -> None:
    code = (
        "import sys, hatchling.build as b, os; os.chdir(sys.argv[1]); "
        "print(b.build_wheel(sys.argv[2])); print(b.build_sdist(sys.argv[2]))"
    )
    built = subprocess.run(
        [sys.executable, "-c", code, str(HERE), str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout.split()
    with zipfile.ZipFile(tmp_path / built[0]) as wheel:
        names = wheel.namelist()
        scripts = next(wheel.read(name).decode() for name in names if name.endswith("entry_points.txt"))
        metadata = next(wheel.read(name).decode() for name in names if name.endswith("METADATA"))
    assert {"coditect_license/py.typed", "coditect_license/roots.json", "coditect_license/_cli/run.py"} <= set(names)
    assert not any("tests" in name or name.endswith(".pyc") for name in names)
    assert "coditect-license = coditect_license._cli:main" in scripts
    assert "[pytest11]\ncoditect_license = coditect_license.testing.plugin" in scripts
    assert "Requires-Python: >=3.10" in metadata and "License-File: LICENSE" in metadata


def test_the_changelog_knows_this_version_and_keeps_its_form() -> None:
    text = (HERE / "CHANGELOG.md").read_text("utf-8")
    versions = re.findall(r"^## (.*)$", text, re.M)
    assert versions[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", version) for version in versions[1:]), versions
    released = f"## [{coditect_license.__version__}] - "
    assert released in text or f"This will be {coditect_license.__version__}," in text
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    for version in text.split("\n## ")[1:]:
        parts = version.split("\n### ")
        assert parts[1:] and not re.search(r"^[*-] ", parts[0], re.M), "an entry belongs under Added, Changed and so on"
        names = [part.split("\n", 1)[0] for part in parts[1:]]
        assert set(names) <= kinds and len(set(names)) == len(names), names
        assert all(re.search(r"^\* ", part, re.M) for part in parts[1:]), "a heading without an entry"


def test_no_file_is_longer_than_400_lines() -> None:
    long = [
        str(path)
        for folder in ("src", "tests", "examples")
        for path in (HERE / folder).rglob("*.py")
        if path.read_text().count("\n") > 400
    ]
    assert long == []


def test_the_desktop_example_takes_a_seat_and_gives_it_back(http: Http, tmp_path: Path) -> None:
    roots = tmp_path / "roots.json"
    roots.write_text(json.dumps(ROOTS))
    env = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "CODITECT_LICENSE_PRODUCT": "studio"}
    done = subprocess.run(
        [sys.executable, HERE / "examples/desktop.py", http.url, str(roots), KEY],
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "Seat 0, online.\nExport: yes\n"), done.stderr
    assert http.fake.verbs() == ["acquire", "release"]


def test_the_ci_example_holds_one_seat_around_all_tests_and_waits_for_it(http: Http, tmp_path: Path) -> None:
    roots = tmp_path / "roots.json"
    roots.write_text(json.dumps(ROOTS))
    settings = {"SERVER": http.url, "KEY": KEY, "ROOTS": str(roots), "WAIT": "0", "PRODUCT": "studio"}
    env = os.environ | {f"CODITECT_LICENSE_{name}": value for name, value in settings.items()}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--rootdir",
        str(tmp_path),
        str(HERE / "examples/ci"),
    ]
    assert subprocess.run(command, capture_output=True, env=env, check=False).returncode == 0
    assert http.fake.verbs() == ["acquire", "release"]
    http.fake.refuse["acquire"] = (409, "no_seats_available", {"seats_total": 1, "seats_used": 1})
    assert subprocess.run(command, capture_output=True, env=env, check=False).returncode == 75


def test_the_container_example_stops_when_it_is_told_to(http: Http, tmp_path: Path) -> None:
    roots = tmp_path / "roots.json"
    roots.write_text(json.dumps(ROOTS))
    settings = {"SERVER": http.url, "KEY": KEY, "ROOTS": str(roots), "PRODUCT": "studio"}
    env = (
        os.environ
        | {f"CODITECT_LICENSE_{name}": value for name, value in settings.items()}
        | {"XDG_CACHE_HOME": str(tmp_path)}
    )
    text = (HERE / "examples/container/Dockerfile").read_text()
    entry = re.search(r'ENTRYPOINT \["coditect-license", (.*)\]', text)
    assert entry is not None
    words = [
        sys.executable,
        "-m",
        "coditect_license",
        *re.findall(r'"([^"]*)"', entry.group(1)),
        sys.executable,
        "service.py",
    ]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env=env, cwd=HERE / "examples/container"
    ) as service:
        assert service.stdout is not None and service.stdout.readline() == "serving\n"
        service.terminate()
        assert service.stdout.read() == "stopped\n" and service.wait(30) == 0
    assert http.fake.verbs() == ["acquire", "release"]
