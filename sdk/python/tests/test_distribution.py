"""What is published: the wheel and the source distribution, and what tools and package installers say of them."""

from __future__ import annotations

import os
import tarfile
import zipfile
from pathlib import Path

import pytest

import coditect_license

from .tools import MYPY_CACHE, dev_tool, run_tool

HERE = Path(__file__).resolve().parents[1]
pytestmark = [
    pytest.mark.one_python,
    pytest.mark.xdist_group("distribution"),  # built once
    pytest.mark.skipif((HERE / "PKG-INFO").exists(), reason="a source distribution does not make another one"),
]


def build(kind: str, source: Path, to: Path) -> Path:
    """Build a wheel or an sdist of a source tree, with the backend that pyproject.toml names."""
    to.mkdir(exist_ok=True)
    done = run_tool("hatchling", "build", "-t", kind, "-d", to, cwd=source)
    assert done.returncode == 0, done.stderr
    return next(to.glob("*.whl" if kind == "wheel" else "*.tar.gz"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", HERE, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", HERE, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree that somebody has who unpacks the source distribution."""
    to = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(to, filter="data")
    return next(to.iterdir())


def test_the_index_would_take_both_and_show_their_readme(wheel: Path, sdist: Path) -> None:
    dev_tool("twine")
    done = run_tool("twine", "--no-color", "check", "--strict", wheel, sdist)
    assert done.returncode == 0 and done.stdout.count("PASSED") == 2, done.stdout


def test_the_wheel_has_nothing_that_a_wheel_should_not_have(wheel: Path) -> None:
    dev_tool("check_wheel_contents")
    done = run_tool("check_wheel_contents", wheel)
    told = [line.strip() for line in done.stdout.splitlines()]
    # Hooks have the names that PyInstaller gives them, so Python cannot import them, which is what W004 says.
    hooks = [line for line in told if line.startswith("coditect_license/__pyinstaller/hook-")]
    others = [
        line for line in told if line not in hooks and "W004: Module is not located at importable path" not in line
    ]
    assert not done.stderr and len(hooks) == 3 and others in ([], [""]), done.stdout + done.stderr


def test_the_sdist_makes_the_same_wheel_as_the_clone(wheel: Path, unpacked: Path, tmp_path: Path) -> None:
    again = build("wheel", unpacked, tmp_path / "wheel")
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()


def test_the_tests_in_the_sdist_run_where_nothing_else_is(unpacked: Path) -> None:
    # Every file of them is found and imported; those that read files from elsewhere in the repository are run.
    files = ["tests/test_key.py", "tests/test_vectors.py", "tests/test_double_wire.py"]
    common = ("-p", "no:cacheprovider")
    collected = run_tool("pytest", *common, "--collect-only", "--ignore", "tests/local", cwd=unpacked)
    assert collected.returncode == 0, collected.stdout[-3000:]
    done = run_tool("pytest", *common, *files, cwd=unpacked, env={"PYTHONPATH": ""})
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-3000:]


def test_the_line_of_the_readme_installs_it_from_the_clone(tmp_path: Path) -> None:
    assert "pip install ./sdk/python" in (HERE / "README.md").read_text("utf-8")
    # As printed, but for what would need the network, and for where it is put.
    options: list[str | Path] = ["--no-deps", "--no-build-isolation", "--no-index", "--target", tmp_path / "site"]
    done = run_tool("pip", "--disable-pip-version-check", "install", *options, HERE)
    assert done.returncode == 0, done.stdout + done.stderr
    code = (
        "import coditect_license as c, importlib.metadata as m; print(c.__file__, c.__version__);"
        "print(*sorted(e.group for e in m.distribution('coditect-license-client').entry_points))"
    )
    env = {"PYTHONPATH": str(tmp_path / "site")}
    said = run_tool(None, "-c", code, env=env, cwd=tmp_path).stdout.splitlines()
    assert said[0] == f"{tmp_path / 'site/coditect_license/__init__.py'} {coditect_license.__version__}"
    assert said[1] == "console_scripts pyinstaller40 pytest11"


def test_the_hooks_of_pyinstaller_are_in_the_wheel_and_where_the_entry_point_says(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = "import importlib.metadata as m; [print(*e.load()()) for e in m.entry_points(group='pyinstaller40')]"
    folders = run_tool(None, "-c", code, env={"PYTHONPATH": str(tmp_path)}, cwd=tmp_path).stdout.split()
    mine = [Path(folder) for folder in folders if Path(folder).is_relative_to(tmp_path)]
    assert [sorted(path.name for path in folder.glob("hook-*.py")) for folder in mine] == [
        ["hook-coditect_license._cli.py", "hook-coditect_license.py", "hook-coditect_license.testing.py"]
    ]


def test_a_program_that_uses_the_wheel_is_typed(wheel: Path, tmp_path: Path) -> None:
    dev_tool("mypy")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    program = tmp_path / "program.py"
    program.write_text(
        "from coditect_license import LicenseClient, Seat, SeatEvent\n"
        "def told(event: SeatEvent) -> None: ...\n"
        "def start() -> Seat:\n"
        "    return LicenseClient(product='studio', timeout=None).seat(wait=1, on_event=told)\n"
        "LicenseClient(produkt='studio')\n"
    )
    done = run_tool(
        "mypy",
        "--strict",
        "--config-file",
        os.devnull,
        *MYPY_CACHE,
        program,
        env={"MYPYPATH": str(site)},
        cwd=tmp_path,
    )
    # Its one fault is seen, and nothing else: the package is typed for who installs it.
    assert done.stdout.count("error:") == 1 and 'Unexpected keyword argument "produkt"' in done.stdout, done.stdout
