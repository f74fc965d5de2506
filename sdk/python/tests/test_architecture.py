"""The modules of the package: no circle of imports, and few floors."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.one_python

PACKAGE = Path(__file__).resolve().parents[1] / "src/coditect_license"
MOST_FLOORS = 13
"""How many modules may stand upon each other. Raise it only with a reason: the last two are what keeps a seat, apart
from the seat that a program has and may forget."""


def module_name(path: Path) -> str:
    """The dotted name of a file within the package; the package itself is ``""``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported_modules(importer: str, tree: ast.AST, known: set[str]) -> set[str]:
    """The modules of the package that a module imports: at its head, inside functions, and for type checkers alike."""
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or node.level == 0:
            assert not isinstance(node, ast.Import) or all("coditect" not in name.name for name in node.names)
            continue
        path = MODULES.get(importer)
        is_package = path is not None and path.name == "__init__.py"
        parents = importer.split(".") if importer else []
        base = parents[: len(parents) - node.level + (1 if is_package else 0)]
        target = ".".join([*base, *(node.module or "").split(".")]).strip(".")
        for name in node.names:
            module = f"{target}.{name.name}".strip(".")
            # `from . import profile` imports the module; `from ._errors import Refusal` a name that a module defines.
            found.add(module if module in known else target)
    return found


def import_graph() -> dict[str, set[str]]:
    known = set(MODULES)
    trees = {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}
    return {name: imported_modules(name, tree, known) for name, tree in trees.items()}


def find_circle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of one circle of imports, in its order; empty if there is none."""
    finished: set[str] = set()

    def visit(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in finished:
            return []
        for imported in sorted(graph[module]):
            if circle := visit(imported, [*path, module]):
                return circle
        finished.add(module)
        return []

    return next((circle for module in sorted(graph) if (circle := visit(module, []))), [])


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = import_graph()
    assert graph["_wire"] >= {"_exchange", "_errors"} and graph["_cli.doctor"] >= {"_errors", "_cli.profile"}
    assert find_circle(graph) == []


@pytest.mark.parametrize("line", ["from ._wire import read_acquire", "def late():\n    from . import _wire"])
def test_a_circle_is_found_wherever_its_import_stands(line: str) -> None:
    graph = import_graph()
    graph["_refusals"] |= imported_modules("_refusals", ast.parse(line), set(MODULES))
    assert set(find_circle(graph)) == {"_refusals", "_wire"}


def test_a_package_imports_none_of_its_own_modules_at_its_head() -> None:
    """Importing a module runs the head of its package first, so this would be a circle that the graph lacks."""
    for name in ("", "_cli"):
        tree = ast.parse(MODULES[name].read_text("utf-8"))
        head = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
        own = {module for module in MODULES if module.startswith(f"{name}." if name else "") and module != name}
        assert imported_modules(name, head, set(MODULES)) & own == set(), name


def test_the_modules_stand_on_few_floors() -> None:
    graph = import_graph()

    @cache
    def floor(module: str) -> int:
        return 1 + max((floor(imported) for imported in graph[module]), default=0)

    # The package itself, the command line and the double for tests stand on top and are not counted.
    floors = {module: floor(module) for module in graph if module and not module.startswith(("_cli", "testing"))}
    del floors["__main__"]
    assert max(floors.values()) <= MOST_FLOORS, sorted(floors.items(), key=lambda item: item[1])


def test_the_readme_lists_the_modules_in_their_order() -> None:
    readme = (PACKAGE.parents[1] / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| ((?:`(?:_\w+|testing)`(?:, )?)+) \|", readme, re.M)
    row_of = {module: row for row, cell in enumerate(rows) for module in re.findall(r"`(\w+)`", cell)}
    assert set(row_of) == {name.partition(".")[0] for name in MODULES} - {"", "__main__"}
    for importer, found in import_graph().items():
        for imported in found:
            if importer not in ("", "__main__"):
                lower, upper = imported.partition(".")[0], importer.partition(".")[0]
                assert row_of[lower] <= row_of[upper], f"{importer} imports {imported}"
