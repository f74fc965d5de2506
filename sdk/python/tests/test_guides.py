"""The guides in docs: their code runs as printed, they are in the indexes, and the reference is current."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import coditect_license
from coditect_license.testing import InMemoryServer

from .tools import MYPY_CACHE, dev_tool, run_tool

HERE = Path(__file__).resolve().parents[1]
GUIDES = sorted(path for path in (HERE / "docs").glob("*.md") if path.name not in ("reference.md", "README.md"))
REPOSITORY = HERE.parents[1]


def blocks(page: Path) -> list[str]:
    """The Python code of a page."""
    return re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.S)


def numbered(page: Path) -> list[tuple[str, str]]:
    return [(f"{page.stem.replace('-', '_')}_{number}", code) for number, code in enumerate(blocks(page), 1)]


EVERY_BLOCK = [pair for page in GUIDES if page.name != "testing.md" for pair in numbered(page)]


class ImitatedSignal:
    """Stands for a signal of Celery, whose handlers are called by the worker's child."""

    def __init__(self) -> None:
        self.handlers: list[Any] = []

    def connect(self, handler: Any) -> Any:
        self.handlers.append(handler)
        return handler


@pytest.fixture
def license_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemoryServer]:
    with InMemoryServer(product="studio") as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """A guide shows how lines are logged and silenced, and other tests read what this process logs."""
    loggers = (logging.getLogger(), logging.getLogger("coditect_license"))
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.fixture
def celery(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The signals of Celery, which ./dev sdk world runs in real workers."""
    signals: Any = types.ModuleType("celery.signals")
    signals.worker_process_init, signals.worker_process_shutdown = ImitatedSignal(), ImitatedSignal()
    monkeypatch.setitem(sys.modules, "celery", types.ModuleType("celery"))
    monkeypatch.setitem(sys.modules, "celery.signals", signals)
    return signals  # type: ignore[no-any-return]


def carry_out(name: str, code: str) -> dict[str, Any]:
    """Run a block as the module that it would be, though not as the program that is started."""
    module = types.ModuleType(name)
    module.__file__ = str(HERE / "docs" / f"{name}.py")
    exec(compile(code, name, "exec"), module.__dict__)
    return module.__dict__


def stays_taken(server: InMemoryServer) -> bool:
    """Whether one seat is taken and is not given back. A seat that nobody refers to is, within some milliseconds."""
    gc.collect()
    until = time.monotonic() + 0.5
    while server.seats_used == 1 and time.monotonic() < until:
        time.sleep(0.01)
    return server.seats_used == 1


@pytest.mark.parametrize(("name", "code"), EVERY_BLOCK, ids=[name for name, _ in EVERY_BLOCK])
def test_each_block_runs_as_printed_and_leaves_no_seat_taken(
    license_server: InMemoryServer, celery: Any, name: str, code: str
) -> None:
    found = carry_out(name, code)
    mine = {key: value for key, value in found.items() if getattr(value, "__module__", None) == name}
    for entry in ("main", "start", "serve"):
        if entry in mine and "multiprocessing" not in code:
            mine[entry]()
    for entry in ("make_client", "client_of_this_person"):
        if entry in mine:
            mine[entry]().seat().release()
    if "post_worker_init" in mine:
        worker = types.SimpleNamespace()
        mine["post_worker_init"](worker)
        assert stays_taken(license_server)
        mine["worker_exit"](None, worker)
    if "take_seat" in mine:
        celery.worker_process_init.handlers[0]()
        assert stays_taken(license_server)
        celery.worker_process_shutdown.handlers[0]()
    if "job" in mine:
        assert mine["job"](3) == 9
    for value in list(found.values()):
        if isinstance(value, coditect_license.LicenseClient):
            value.close()
    assert license_server.own_sessions() == []


async def _lifespan(license_server: InMemoryServer) -> None:
    code = next(code for _, code in EVERY_BLOCK if "def lifespan" in code)
    async with carry_out("lifespan", code)["lifespan"](None) as state:
        assert state["license_seat"].state is coditect_license.SeatState.ONLINE
        assert license_server.seats_used == 1
    assert license_server.own_sessions() == []


def test_the_lifespan_holds_a_seat_while_the_application_runs(license_server: InMemoryServer) -> None:
    asyncio.run(_lifespan(license_server))


def test_each_block_and_every_public_name_is_typed(tmp_path: Path) -> None:
    dev_tool("mypy")
    for name, code in EVERY_BLOCK:
        (tmp_path / f"{name}.py").write_text(code)
    for package in (coditect_license, __import__("coditect_license.testing", fromlist=["__all__"])):
        names = sorted(set(package.__all__))
        lines = [f"from {package.__name__} import {', '.join(names)}"]
        lines += [f"reveal_type({name})" for name in names]
        (tmp_path / f"consumer_{len(names)}.py").write_text("\n".join(lines) + "\n")
    (tmp_path / "mypy.ini").write_text(
        "[mypy]\nstrict = True\nwarn_unused_configs = False\n"
        "[mypy-celery.*]\nignore_missing_imports = True\n"
        # Celery has no types of its own, so what it decorates has none.
        "[mypy-web_workers_3]\ndisallow_untyped_decorators = False\n"
    )
    files = sorted(tmp_path.glob("*.py"))
    done = run_tool(
        "mypy",
        "--config-file",
        tmp_path / "mypy.ini",
        *MYPY_CACHE,
        *files,
        env={"MYPYPATH": str(HERE / "src")},
    )
    assert done.returncode == 0, done.stdout
    vague = [line for line in done.stdout.splitlines() if "Revealed type is" in line and '"Any"' in line]
    assert not vague, vague
    assert "Revealed type is" in done.stdout


def test_the_reference_is_what_the_source_says() -> None:
    dev_tool("griffe")
    done = run_tool(None, HERE / "tools/reference.py", "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_reference_has_every_public_name() -> None:
    from coditect_license import testing

    page = (HERE / "docs/reference.md").read_text("utf-8")
    names = {*coditect_license.__all__, *testing.__all__} - {"__version__"}
    assert [name for name in sorted(names) if f"\n### {name}\n" not in page] == []


@pytest.mark.parametrize("page", [*GUIDES, HERE / "docs/reference.md"], ids=lambda page: page.name)
def test_each_page_is_in_the_index_and_in_the_readme(page: Path) -> None:
    assert f"(docs/{page.name})" in (HERE / "README.md").read_text("utf-8")
    index = REPOSITORY / "docs/README.md"
    if index.exists():  # not in a source distribution
        assert f"(../sdk/python/docs/{page.name})" in index.read_text("utf-8")
