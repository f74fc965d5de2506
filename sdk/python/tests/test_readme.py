"""The blocks of the README beside the first one, which test_package.py runs: they do what the text around them says."""

from __future__ import annotations

import ast
import json
import re
import shlex
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coditect_license import NoSeats, SeatEvent
from coditect_license.testing import InMemoryServer

from .cli_world import World, world_at
from .conftest import until

HERE = Path(__file__).resolve().parents[1]
PAGES = [HERE / "README.md", *sorted(path for path in (HERE / "docs").glob("*.md") if path.name != "reference.md")]


@pytest.fixture
def license_server() -> Iterator[InMemoryServer]:
    with InMemoryServer(product="studio") as server:
        yield server


def block_with(words: str, language: str = "python") -> str:
    """The block of the README that has these words."""
    found = re.findall(rf"```{language}\n(.*?)```", (HERE / "README.md").read_text("utf-8"), re.S)
    return next(str(block) for block in found if words in block)


def test_the_settings_as_one_object() -> None:
    with InMemoryServer(product="studio") as server:  # for its time, its keys are the packaged ones
        found: dict[str, Any] = {}
        exec(block_with("from_settings").replace("CODI-…", server.key), found)
        with found["client"] as client:
            assert client.license_number in server.key.replace("-", "") and server.seats_used == 0


def test_the_callback_is_told_what_the_comments_say(license_server: InMemoryServer) -> None:
    with license_server.client() as client:
        # The three places that a reader fills in say here which one was reached.
        code = block_with("on_event").replace("...  #", "reached.append(event)  #")
        reached: list[SeatEvent] = []
        found: dict[str, Any] = {"client": client, "reached": reached}
        exec(code, found)
        assert license_server.seats_used == 1
        found["seat"].release()
        until(lambda: [event.kind for event in reached] == ["state"])
    assert license_server.seats_used == 0


def test_the_test_of_a_program(license_server: InMemoryServer) -> None:
    def export() -> str:
        try:
            with license_server.client() as client, client.seat():
                return "exported"
        except NoSeats:
            return "All seats are in use."

    assert export() == "exported"
    found: dict[str, Any] = {"my_program": types.SimpleNamespace(export=export)}
    exec(block_with("my_program"), found)
    tests: list[Callable[[InMemoryServer], None]] = [found[name] for name in found if name.startswith("test_")]
    assert len(tests) == 1
    tests[0](license_server)


def test_the_command_lines_work_from_the_first_to_the_last(tmp_path: Path) -> None:
    with world_at(tmp_path / "home") as world:
        key = world.env["CODITECT_LICENSE_KEY"]
        world.set(server=None, product=None, key=None, roots=None)
        (world.home / "saved.json").write_text(saved_answer(world))
        places = {
            "https://licenses.example.com": world.loopback.url,
            "roots.json": str(world.home / "roots.json"),
            "FILE": str(world.home / "saved.json"),
            "make": "true",
        }
        lines = block_with("coditect-license login", "sh").splitlines()
        assert len(lines) == 7
        for line in lines:
            program, *words = [places.get(word, word) for word in shlex.split(line, comments=True)]
            assert program == "coditect-license"
            done = world.run(*words, stdin=key + "\n")
            assert done.returncode == 0, (line, done)
        assert world.profile is None and world.server.seats_used == 0


def saved_answer(world: World) -> str:
    client = world.server.client(hardware_id="machine-0001", clock=None)
    lease = client.acquire()
    client.release(lease)
    return json.dumps({"token": lease.token, "certificate": lease.certificate})


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_no_page_drops_a_seat_that_it_took(page: Path) -> None:
    for code in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.S):
        assert dropped_seats(code) == [], f"{page.name}: a seat that nobody refers to is given back"


def dropped_seats(code: str) -> list[int]:
    """The lines of calls of ``seat`` whose result nothing keeps, but for those that are expected to raise."""
    tree = ast.parse(code)
    expected = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, (ast.With, ast.Try))
        and (isinstance(node, ast.Try) or any("raises(" in ast.unparse(item) for item in node.items))
        for inner in ast.walk(node)
    }
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and id(node) not in expected
        and isinstance(call := node.value.value if isinstance(node.value, ast.Await) else node.value, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "seat"
    ]


def test_a_dropped_seat_is_found() -> None:
    code = "client.seat(wait=60)\nkept = client.seat()\nawait client.seat()\nwith raises(NoSeats):\n    client.seat()\n"
    assert dropped_seats(code) == [1, 3]
