"""Writes docs/reference.md: every public name with its signature and its docstring, as griffe reads them in the source.

python tools/reference.py            writes it
python tools/reference.py --check    says whether it is current, by its exit status
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe

HERE = Path(__file__).resolve().parents[1]
PAGE = HERE / "docs/reference.md"
PACKAGES = ("coditect_license", "coditect_license.testing")
HEAD = """# Reference

Every public name, from the docstrings of the source. `./dev sdk docs` writes this page anew; do not edit it.
The [README](../README.md) says how the parts work together, and lists the [guides](../README.md#guides).
"""


def homes(module: griffe.Object) -> dict[str, str]:
    """Public name → the module that defines it, from the one list that the package has of them."""
    text = str(module.members["_HOMES"].value)  # type: ignore[attr-defined]
    table = ast.literal_eval(text)
    return {name: f"{module.path}.{home}" for home, names in table.items() for name in names}


def as_markdown(docstring: str) -> str:
    """A docstring, whose marks are those of reStructuredText, as Markdown."""
    text = re.sub(r":(?:class|meth|attr|func|mod|exc|data):`~?([^`]+)`", r"`\1`", docstring)
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    return re.sub(r"^Attributes:\n((?: {4}.*\n?|\n)+)", _attributes, text, flags=re.M)


def _attributes(found: re.Match[str]) -> str:
    entries = re.split(r"^ {4}(\w+): ", found.group(1), flags=re.M)[1:]
    pairs = zip(entries[::2], entries[1::2], strict=True)
    return "\n".join(f"* `{name}`: {' '.join(text.split())}" for name, text in pairs) + "\n"


def docstring_of(item: griffe.Object) -> str:
    """What is said of an item; that it is undocumented is an error of the source."""
    if item.docstring is None:
        raise SystemExit(f"{item.path} is public and has no docstring.")
    return as_markdown(item.docstring.value)


def parameter_text(parameter: griffe.Parameter) -> str:
    mark = {"variadic positional": "*", "variadic keyword": "**"}.get(
        parameter.kind.value if parameter.kind else "", ""
    )
    hint = f": {parameter.annotation}" if parameter.annotation is not None else ""
    equals = " = " if hint else "="
    has_default = parameter.default is not None and not mark
    return f"{mark}{parameter.name}{hint}{f'{equals}{parameter.default}' if has_default else ''}"


def signature(function: Any, name: str) -> str:  # noqa: ANN401 - griffe's own types differ by version
    """How a function is called, one parameter a line where it has many."""
    words: list[str] = []
    for parameter in function.parameters:
        kind = parameter.kind.value
        if kind == "keyword-only" and not any(word.startswith("*") for word in words):
            words.append("*")
        if not (parameter.name in ("self", "cls") or parameter.name.startswith("_")):
            words.append(parameter_text(parameter))
    returned = None if function.is_class or function.name == "__init__" else function.returns
    returns = f" -> {returned}" if returned is not None else ""
    is_async = "async " if "async" in function.labels else ""
    line = f"{is_async}{name}({', '.join(words)}){returns}"
    return line if len(line) <= 100 else f"{is_async}{name}(\n    " + ",\n    ".join(words) + f",\n){returns}"


def public_members(item: griffe.Object) -> Iterator[griffe.Object]:
    """Members of a class that people use, its own and those of its base classes that are not public themselves."""
    seen = set()
    for owner in [item, *inherited_from(item)]:
        for name, member in owner.members.items():
            if not name.startswith("_") and name not in seen and not member.is_alias:
                seen.add(name)
                yield member  # type: ignore[misc]


def inherited_from(item: Any) -> Iterator[griffe.Object]:  # noqa: ANN401 - as above
    for base in item.bases:
        name = getattr(getattr(base, "left", base), "canonical_path", str(base))  # without what a generic base is given
        try:
            found = item.modules_collection[name]
            found = found.final_target if found.is_alias else found
        except (KeyError, griffe.AliasResolutionError):
            continue  # of Python itself
        if found.name.startswith("_") or "Base" in found.name or "View" in found.name:
            yield found
            yield from inherited_from(found)


def describe(item: Any, name: str) -> Iterator[str]:  # noqa: ANN401 - as above
    yield f"### {name}\n"
    if item.is_class:
        owners = [item, *inherited_from(item)]
        init = next((owner.members["__init__"] for owner in owners if "__init__" in owner.members), None)
        bases = ", ".join(str(base) for base in item.bases)
        is_dataclass = "dataclass" in item.labels
        has_own = is_dataclass or (init is not None and not init.is_alias)
        called = signature(item if is_dataclass else init, name) if has_own else f"class {name}({bases})"
        yield f"```python\n{called}\n```\n"
    elif item.is_function:
        yield f"```python\n{signature(item, name)}\n```\n"
    yield docstring_of(item) + "\n"
    if not item.is_class:
        return
    for member in public_members(item):
        above = item.docstring.value if item.docstring else ""
        described_above = f"\n    {member.name}: " in above or f"``{member.name}``" in above
        # A dataclass's plain fields stand in its signature, and the code of a refusal is that of docs/ERRORS.md.
        if member.docstring is None and (described_above or "dataclass" in item.labels or member.name == "code"):
            continue
        shown: Any = member
        called = f"{name}.{member.name}" if member.is_attribute else signature(shown, member.name)
        if member.is_attribute:
            hint = shown.annotation or (shown.returns if member.is_function else None)
            called = f"{member.name}{f': {hint}' if hint else ''}"
        yield f"#### {name}.{member.name}\n\n```python\n{called}\n```\n"
        yield docstring_of(member) + "\n"


def page() -> str:
    """The whole page."""
    package = griffe.load("coditect_license", search_paths=[HERE / "src"])
    parts = [HEAD]
    for path in PACKAGES:
        module: Any = package if path == "coditect_license" else package["testing"]
        parts.append(f"## {path}\n\n{as_markdown(module.docstring.value)}\n")
        for name, home in sorted(homes(module).items()):
            if name != "__version__":
                item: Any = package[f"{home.removeprefix('coditect_license.')}.{name}"]
                parts += describe(item, name)
    fixture: Any = package["testing.plugin.license_server"]
    parts.append(f"### license_server\n\nA fixture of pytest. {docstring_of(fixture)}\n")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip() + "\n"


def main() -> int:
    made = page()
    if "--check" in sys.argv[1:]:
        current = PAGE.exists() and PAGE.read_text("utf-8") == made
        print(
            "docs/reference.md is current."
            if current
            else "docs/reference.md is not current: ./dev sdk docs writes it."
        )
        return 0 if current else 1
    PAGE.write_text(made, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
