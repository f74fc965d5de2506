"""Which files of a Rust package reach each other in a circle.

An arrow goes from a file to the file that has what it names. A name that a module passes on (`pub use connect::Records`)
leads to the file it comes from, through as many modules as pass it on.
"""

import re
import sys

NAME = re.compile(r"\s*((?:r#)?\w+)")
GROUP = re.compile(r"\s*\{")
ALIAS = re.compile(r"\s+as\s+(\w+)")
START = re.compile(r"(?<![\w:$])(?:crate|self|super)::")
# Of the file itself: a module inside of it has its own names.
USE = re.compile(r"^(?:pub(?:\([^)]*\))? )?use ", re.M)
RELATIVE = ("crate", "self", "super")
Names = tuple[str, ...]


def module_of(package: str, name: str) -> Names:
    parts = name.removeprefix(package + "/src/").removesuffix(".rs").split("/")
    return tuple(part for part in parts if part not in ("mod", "lib", "main"))


def leaves(text: str, at: int) -> list[tuple[Names, str]]:
    """The paths that begin at this place, groups taken apart, each with the name that it is known by."""
    found = []

    def walk(at: int, head: Names) -> int:
        while True:
            if match := NAME.match(text, at):
                head, at = (*head, match[1]), match.end()
            if text.startswith(("*", "<"), at):
                found.append(((*head, "*"), "*"))
                return at + 1
            if not text.startswith("::", at):
                alias = ALIAS.match(text, at)
                found.append((head, alias[1] if alias else head[-1] if head else ""))
                return alias.end() if alias else at
            at += 2
            if group := GROUP.match(text, at):
                at = group.end()
                while at < len(text) and text[at] != "}":
                    at = walk(at, head)
                    while at < len(text) and text[at] in " \n,":
                        at += 1
                return at + 1

    walk(at, ())
    return found


def paths(text: str) -> set[Names]:
    """Every path that begins with crate, self or super."""
    return {path for match in START.finditer(text) for path, _ in leaves(text, match.start())}


def absolute(path: Names, here: Names) -> Names:
    """The path from the package's root. `here` is the module that it stands in."""
    if path[:1] == ("crate",):
        return path[1:]
    while path and path[0] in RELATIVE:
        here = here[:-1] if path[0] == "super" else here
        path = path[1:]
    return (*here, *path)


class Package:
    """The modules of a package, and what each of them passes on from others."""

    def __init__(self, package: str, files: dict[str, str]) -> None:
        self.modules = {module_of(package, name): name for name in files}
        self.passed: dict[Names, dict[str, Names]] = {}
        for module, name in self.modules.items():
            uses = (leaf for match in USE.finditer(files[name]) for leaf in leaves(files[name], match.end()))
            self.passed[module] = {known: absolute(path, module) for path, known in uses if path}

    def home(self, path: Names) -> Names | None:
        """The module of the file that has what a path from the root names; None: it is not of this package."""
        seen = set()
        while path not in seen:
            seen.add(path)
            module = next((path[:end] for end in range(len(path), -1, -1) if path[:end] in self.modules), None)
            rest = path[len(module) :] if module is not None else ()
            passed_on = self.passed[module].get(rest[0]) if rest else None
            # What comes from another package is at home where it is named.
            if passed_on is None or passed_on[:1] == () or self.root_of(passed_on) is None:
                return module
            path = (*passed_on, *rest[1:])
        return None

    def root_of(self, path: Names) -> Names | None:
        """The module that a path leads into, below the root itself; None: the path begins with another package."""
        return next((path[:end] for end in range(len(path), 0, -1) if path[:end] in self.modules), None)


def circles_of(package: str, files: dict[str, str]) -> list[str]:
    known = Package(package, files)
    arrows: dict[str, set[str]] = {name: set() for name in files}
    for name, text in files.items():
        here = module_of(package, name)
        for path in paths(text):
            inner = known.home(absolute(path, here))
            # A module and its own parts are one house: neither way between them is an arrow.
            if inner is not None and inner != here[: len(inner)] and here != inner[: len(here)]:
                arrows[name].add(known.modules[inner])
    return ["  ".join(sorted(one)) for one in components(arrows) if len(one) > 1]


def components(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Tarjan's strongly connected components."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for target in sorted(arrows[node]):
            if target not in order:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], order[target])
        if low[node] == order[node]:
            at = stack.index(node)
            found.append(stack[at:])
            del stack[at:]

    sys.setrecursionlimit(10_000)
    for node in sorted(arrows):
        if node not in order:
            visit(node)
    return found
