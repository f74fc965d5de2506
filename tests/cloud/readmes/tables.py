"""The tables of inputs and outputs in the README of each root and module, and what the HCL says instead.

`tofu fmt` lays every block out alike, so a block is read by its first and last line, and no parser is needed.
"""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r'^(variable|output) "([^"]+)" \{\n(.*?)^\}', re.M | re.S)
TEXT = re.compile(r'^  description\s*=\s*(?:"((?:[^"\\]|\\.)*)"|<<-EOT\n(.*?)^\s*EOT$)', re.M | re.S)
DEFAULT = re.compile(r"^  default\s*=", re.M)
ROW = re.compile(r"^\| `([^`|]+)` \|(.*)\|$")
HEADS = {
    "Inputs": ("variable", "| Input | Needed | Meaning |", "|---|---|---|"),
    "Outputs": ("output", "| Output | Meaning |", "|---|---|"),
}


@dataclass(frozen=True)
class Declared:
    """A variable or an output: whether it must be given, and its description as one line."""

    name: str
    needed: bool
    meaning: str

    def row(self, kind: str) -> str:
        needed = f" {'yes' if self.needed else ''} |" if kind == "variable" else ""
        return f"| `{self.name}` |{needed} {self.meaning} |"


def declared(folder: Path, kind: str) -> list[Declared]:
    """In the order in which a reader of the files meets them; outputs.tf and variables.tf first."""
    first = f"{kind}s.tf"
    found = []
    for path in sorted(folder.glob("*.tf"), key=lambda one: (one.name != first, one.name)):
        for which, name, body in BLOCK.findall(path.read_text("utf-8")):
            if which == kind:
                text = TEXT.search(body)
                meaning = "" if text is None else text[1] or " ".join(textwrap.dedent(text[2] or "").split())
                found.append(Declared(name, not DEFAULT.search(body), meaning.replace('\\"', '"')))
    return found


def section(readme: str, head: str) -> str | None:
    """What stands under `## head`, up to the next heading of its rank."""
    found = re.search(rf"^## {head}\n(.*?)(?=^## |\Z)", readme, re.M | re.S)
    return found[1] if found else None


def faults(folder: Path, readme: str) -> list[str]:
    """What the README says of inputs and outputs that the HCL does not, and the other way round."""
    wrong = []
    for head, (kind, title, _) in HEADS.items():
        wanted = declared(folder, kind)
        wrong += [f"{kind} {one.name} has no description" for one in wanted if not one.meaning]
        text = section(readme, head)
        if text is None:
            wrong += [f"README.md has no heading `## {head}`"] if wanted else []
            continue
        if wanted and title not in text.splitlines():
            wrong.append(f"`## {head}` has no table `{title}`")
        rows = {}
        for line in text.splitlines():
            if row := ROW.match(line):
                wrong += [f"{kind} {row[1]} has two rows"] if row[1] in rows else []
                rows[row[1]] = line
        names = [one.name for one in wanted]
        wrong += [f"{kind} {name} is in README.md and not in the HCL" for name in rows if name not in names]
        wrong += [f"{kind} {name} is in the HCL and not in README.md" for name in names if name not in rows]
        wrong += [
            f"{kind} {one.name}: README.md says {rows[one.name]!r}, and the HCL {one.row(kind)!r}"
            for one in wanted
            if one.name in rows and rows[one.name] != one.row(kind)
        ]
    return wrong


def written(folder: Path, readme: str) -> str:
    """The README with both tables as the HCL says."""
    for head, (kind, title, line) in HEADS.items():
        wanted = declared(folder, kind)
        if not wanted:
            continue
        table = "\n".join([title, line, *(one.row(kind) for one in wanted)])
        found = section(readme, head)
        if found is None:
            readme = readme.rstrip("\n") + f"\n\n## {head}\n\n{table}\n"
        else:
            kept = [text for text in found.splitlines() if not text.startswith("|")]
            prose = "\n".join(kept).strip("\n")
            body = f"\n{table}\n" + (f"\n{prose}\n" if prose else "")
            after = "\n" if f"## {head}\n{found}" != readme[-len(f"## {head}\n{found}"):] else ""
            readme = readme.replace(f"## {head}\n{found}", f"## {head}\n{body}{after}")
    return readme
