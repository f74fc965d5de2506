"""Every link in a tracked Markdown file that leads into this repository leads to something: the file is there, and so is the heading.

`./dev check` calls it. Links to elsewhere are not followed: whether others are awake today is no property of this code. Anchors are spelled as
GitHub spells them. Exit status 1 and a line for each link that leads nowhere.
"""

import posixpath
import re
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^ {0,3}(```+|~~~+).*?^ {0,3}\1[`~]*[ \t]*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
# [text](target "title"), also with <target>; [name]: target; and what HTML says.
INLINE = re.compile(r"\]\(\s*(?:<([^>\n]*)>|((?:[^\s()]|\([^\s()]*\))*))(?:\s+[\"'(][^)]*)?\s*\)")
DEFINED = re.compile(r"^ {0,3}\[([^\]]+)\]:[ \t]*<?([^\s>]+)>?", re.MULTILINE)
USED = re.compile(r"\[([^\]\[]+)\]\[([^\]\[]*)\]")
HTML = re.compile(r"<(?:a|img)\s[^>]*?(?:href|src)=[\"']([^\"']*)[\"']", re.IGNORECASE)
NAMED = re.compile(r"<[a-z]+\s[^>]*?(?:id|name)=[\"']([^\"']+)[\"']", re.IGNORECASE)
HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$", re.MULTILINE)
UNDERLINED = re.compile(r"^(?! {0,3}[#>|\-*])(\S.*)\n {0,3}(?:=+|-{2,})[ \t]*$", re.MULTILINE)


def blank(text: str, *patterns: re.Pattern[str]) -> str:
    """The text with what the patterns find blanked out; lines keep their numbers."""
    for pattern in patterns:
        text = pattern.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    return text


def slug(heading: str) -> str:
    """GitHub's anchor of a heading: links and marks taken off, lower case, without punctuation, a hyphen for each space."""
    shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    shown = re.sub(r"<[^>]+>", "", shown)
    shown = re.sub(r"(?<!\w)[*_]+|[*_]+(?!\w)|\*", "", shown)
    return re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")


def anchors(text: str) -> set[str]:
    """All anchors of a file. A heading that comes again has a number."""
    outside = blank(text, COMMENT, FENCE)
    headings = sorted((found.start(), found[1]) for pattern in (HEADING, UNDERLINED) for found in pattern.finditer(outside))
    found: set[str] = {name.lower() for name in NAMED.findall(outside)}
    for _, heading in headings:
        name, again = slug(heading), 0
        while (name if again == 0 else f"{name}-{again}") in found:
            again += 1
        found.add(name if again == 0 else f"{name}-{again}")
    return found


def links(text: str) -> Iterator[tuple[int, str]]:
    """Each link's line and target. Of a reference that is defined nowhere, the target is `[name]`."""
    prose = blank(text, COMMENT, FENCE, CODE)
    defined = {" ".join(name.lower().split()) for name, _ in DEFINED.findall(prose)}

    def line(at: int) -> int:
        return prose.count("\n", 0, at) + 1

    for found in INLINE.finditer(prose):
        yield line(found.start()), found[1] if found[1] is not None else found[2]
    for found in DEFINED.finditer(prose):
        yield line(found.start()), found[2]
    for found in HTML.finditer(prose):
        yield line(found.start()), found[1]
    for found in USED.finditer(prose):
        name = " ".join((found[2] or found[1]).lower().split())
        if name not in defined:
            yield line(found.start()), f"[{name}]"


def fault(file: str, target: str, files: dict[str, str], folders: set[str]) -> str | None:
    """Why a link leads nowhere; `None`: it does lead somewhere, or away from here. files: each tracked file; of Markdown, its text."""
    if target.startswith("["):
        return "no such reference is defined"
    parts = urllib.parse.urlsplit(target)
    if parts.scheme or parts.netloc:
        return None
    path, anchor = urllib.parse.unquote(parts.path), urllib.parse.unquote(parts.fragment)
    aimed = file
    if path:
        # A leading slash is the repository's root.
        aimed = posixpath.normpath(path.lstrip("/") if path.startswith("/") else posixpath.join(posixpath.dirname(file), path))
        if aimed not in files and aimed not in folders:
            return "there is no such file"
    if anchor and aimed.endswith(".md") and anchor not in anchors(files[aimed]):
        return f"{aimed} has no such heading"
    return None


def faults(files: dict[str, str]) -> list[str]:
    folders = {str(parent) for file in files for parent in Path(file).parents}
    found = []
    for file, text in sorted(files.items()):
        if file.endswith(".md"):
            for line, target in links(text):
                why = fault(file, target, files, folders)
                if why:
                    found.append(f"{file}:{line}: ({target}) {why}")
    return found


def tracked() -> dict[str, str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    names = [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]
    return {name: (ROOT / name).read_text(encoding="utf-8") if name.endswith(".md") else "" for name in names}


if __name__ == "__main__":
    wrong = faults(tracked())
    print("\n".join(wrong) or "Every link in the Markdown files leads somewhere")
    sys.exit(1 if wrong else 0)
