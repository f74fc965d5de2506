"""Importing pulls in nothing and starts nothing; what comes later comes when it is needed."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

from coditect_license import _process as process

OURS = "coditect_license"

TOLD = """
import sys, json
before = set(sys.modules)
{code}
import threading
ours = sorted(name for name in set(sys.modules) - before)
print(json.dumps([ours, threading.active_count()]))
"""


def modules(code: str) -> tuple[set[str], int]:
    """The modules that running ``code`` adds to a bare interpreter, and its threads."""
    told = subprocess.run([sys.executable, "-c", TOLD.format(code=code)], capture_output=True, text=True, check=True)
    names, threads = json.loads(told.stdout)
    return set(names), threads


def test_importing_the_package_imports_the_package_and_typing() -> None:
    found, threads = modules("import coditect_license")
    beyond, _ = modules("import typing, threading")
    assert found - beyond == {OURS}
    assert threads == 1


def test_names_are_imported_when_they_are_used_and_bring_no_network_and_no_cryptography() -> None:
    found, threads = modules("from coditect_license import LicenseClient, AsyncLicenseClient, NoSeats, SeatState")
    third_party = {name.partition(".")[0] for name in found} & {
        "httpx",
        "httpcore",
        "cryptography",
        "platformdirs",
        "rich",
        "keyring",
        "anyio",
    }
    assert third_party == set()
    assert threads == 1
    only_sync, _ = modules("from coditect_license import LicenseClient")
    assert "asyncio" not in only_sync and "ssl" not in only_sync


def test_importing_registers_no_hook_and_touches_no_signal() -> None:
    code = """
import atexit, os, signal
registered = []
atexit.register = os.register_at_fork = signal.signal = lambda *a, **k: registered.extend([*a, *k.values()])
from coditect_license import LicenseClient, Seat
ours = [f for f in registered if (getattr(f, "__module__", None) or "").startswith("coditect_license")]
assert ours == [], ours
from coditect_license import _process
_process._install_hooks()
ours = [f for f in registered if (getattr(f, "__module__", None) or "").startswith("coditect_license")]
assert len(ours) == 4, "with the first seat, and only then"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_client_that_is_made_starts_nothing_and_asks_nobody() -> None:
    code = """
import json, socket, threading
socket.socket.connect = lambda *a: exit("connected")
from coditect_license import LicenseClient
from tests.fake_server import KEY, ROOTS
LicenseClient("https://licenses.example.com", key=KEY, product="studio", roots=ROOTS)
assert threading.active_count() == 1
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_type_checkers_see_the_public_names_and_no_others() -> None:
    import coditect_license

    source = Path(str(coditect_license.__file__)).read_text("utf-8")
    blocks = [node for node in ast.parse(source).body if isinstance(node, ast.If)]
    assert [ast.unparse(block.test) for block in blocks] == ["TYPE_CHECKING"]
    seen = {}
    for statement in blocks[0].body:
        assert isinstance(statement, ast.ImportFrom) and statement.level == 1
        # `name as name` is how a typed package says that it exports what it imports (PEP 484).
        assert all(name.asname == name.name for name in statement.names)
        seen[statement.module] = tuple(name.name for name in statement.names)
    assert seen == coditect_license._HOMES


def test_every_public_name_is_listed_under_the_module_that_defines_it() -> None:
    import coditect_license

    for module, names in coditect_license._HOMES.items():
        for name in set(names) - {"__version__"}:
            value = getattr(coditect_license, name)
            home = importlib.import_module(f"coditect_license.{module}")
            assert getattr(home, name) is value
            # What tracebacks and pickles show is what programs import.
            is_error = issubclass(value, coditect_license.LicenseError)
            assert value.__module__ == ("coditect_license" if is_error else f"coditect_license.{module}")


def test_every_public_name_is_there_and_has_a_docstring() -> None:
    import coditect_license

    for name in coditect_license.__all__:
        value = getattr(coditect_license, name)
        assert name == "__version__" or value.__doc__, name
    assert set(dir(coditect_license)) == set(coditect_license.__all__)


def test_what_is_imported_late_is_finished_before_a_fork() -> None:
    late = set()
    for path in sorted(Path(process.__file__).parent.glob("_*.py")):
        if path.name in ("__init__.py", "__main__.py"):
            continue
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                for node in ast.walk(function):
                    if isinstance(node, ast.Import):
                        late |= {name.name for name in node.names}
                    elif isinstance(node, ast.ImportFrom) and node.level:
                        late.add(f"{OURS}.{node.module}")
                    elif isinstance(node, ast.ImportFrom) and node.module == "cryptography":
                        late |= {f"cryptography.{name.name}" for name in node.names}
                    elif isinstance(node, ast.ImportFrom) and node.module is not None:
                        late.add(node.module)
    foreign = {name for name in late if name.partition(".")[0] not in sys.stdlib_module_names}
    assert foreign >= {"httpx", "platformdirs"}
    assert foreign <= set(process.IMPORTED_LATE), foreign - set(process.IMPORTED_LATE)
