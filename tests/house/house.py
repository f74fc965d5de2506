"""`./dev house`: what the code is like, in figures that anybody can count again.

Counted are the tracked files below core, functions, pubsub, local (Rust without `#[cfg(test)]` modules and without files named `tests`),
their Lua scripts, migrations (SQL) and sdk/python/src (Python). Definitions:

    one-word type  a struct, enum, trait or alias of a module whose name has one capital letter (`License`, not `LicenseId`)
    shared name    a type whose name stands for two or more types of production code
    one-letter     a local of a Lua script (also a parameter, also a loop's variable) whose name is one letter; `_` does not count
    long function  a Rust function whose body, from `fn` to its closing brace, has more than 40 lines
    circle         a set of files of one Rust package that reach each other through `use` and paths, not counting a module and its own parts;
                   a name that a module passes on (`pub use`) leads to the file it comes from
    duplicate      two places in Rust code that share six or more equal lines, blank lines and lines without a letter not counted
    long line      a line of any counted file with more than 120 characters
    long file      a file of any language, tests included, with more than 400 lines

Exit status 1 if a figure is above what is to hold. `--list FIGURE` prints what was counted.
"""

import argparse
import collections
import pathlib
import re
import subprocess
import sys

from circles import circles_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
PRODUCTION = ("core/", "functions/", "pubsub/", "local/", "migrations/", "sdk/python/src/")
KINDS = {".rs", ".lua", ".sql", ".py", ".sh", ".go", ".ts", ".tsx", ".js", ".tf"}


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.splitlines() if pathlib.Path(name).suffix in KINDS and (ROOT / name).is_file()]


def is_test(name: str) -> bool:
    parts = pathlib.Path(name).parts
    return any(part in ("tests", "tests.rs", "examples", "benches") for part in parts) or name.endswith("_tests.rs")


def without_tests(text: str) -> str:
    """Rust code up to and without the blocks that `#[cfg(test)]` stands before."""
    kept, lines, at = [], text.split("\n"), 0
    while at < len(lines):
        if lines[at].strip().startswith("#[cfg(test)]") or lines[at].strip().startswith("#[cfg(all(test"):
            indent = len(lines[at]) - len(lines[at].lstrip())
            at += 1
            while at < len(lines) and lines[at].strip().startswith("#["):
                at += 1
            if at < len(lines) and lines[at].rstrip().endswith(";"):
                at += 1
                continue
            close = " " * indent + "}"
            while at < len(lines) and lines[at].rstrip() not in (close, close + ";", close + ","):
                at += 1
            at += 1
            continue
        kept.append(lines[at])
        at += 1
    return "\n".join(kept)


def bare(text: str) -> str:
    """Rust code without comments and without what stands between quotes."""
    text = re.sub(r'r(#+)".*?"\1', '""', text, flags=re.S)
    text = re.sub(r'"(?:\\.|[^"\\])*"', lambda m: '"' + "\n" * m.group().count("\n") + '"', text, flags=re.S)
    text = re.sub(r"'(?:\\.[^']*|[^'\\])'", "' '", text)
    return re.sub(r"//[^\n]*", "", text)


class House:
    def __init__(self) -> None:
        names = tracked()
        self.all = {name: (ROOT / name).read_text() for name in names}
        self.files = {n: t for n, t in self.all.items() if n.startswith(PRODUCTION) and not is_test(n)}
        self.rust = {n: without_tests(t) for n, t in self.files.items() if n.endswith(".rs")}
        self.bare = {n: bare(t) for n, t in self.rust.items()}

    def types(self) -> list[tuple[str, str]]:
        pattern = re.compile(r"^( *)(?:pub(?:\([^)]*\))? )?(?:unsafe )?(struct|enum|trait|type) ([A-Z]\w*)", re.M)
        found = []
        for name, text in self.bare.items():
            for match in pattern.finditer(text):
                if match[2] == "type" and match[1]:
                    continue  # the alias of a trait or an impl, whose name another crate chose
                found.append((match[3], name))
        return found

    def one_word(self) -> tuple[list[str], int]:
        types = self.types()
        return [f"{t} {n}" for t, n in types if sum(c.isupper() for c in t) == 1], len(types)

    def shared(self) -> tuple[list[str], int]:
        types = self.types()
        count = collections.Counter(t for t, _ in types)
        return sorted(f"{t} {n}" for t, n in types if count[t] > 1), len(types)

    def lua_locals(self) -> tuple[list[str], int]:
        found = []
        for name, text in self.files.items():
            if not name.endswith(".lua"):
                continue
            text = re.sub(r"--[^\n]*", "", text)
            lists = re.findall(r"\blocal ([a-zA-Z_][\w, ]*?)(?:=|\n|$)", text)
            lists += re.findall(r"\bfunction\b[^(\n]*\(([^)]*)\)", text)
            lists += re.findall(r"\bfor ([\w, ]+?)(?:=| in )", text)
            for names in lists:
                if names.startswith("function"):
                    names = names.removeprefix("function")
                found += [f"{one.strip()} {name}" for one in names.split(",") if one.strip() not in ("", "_")]
        return [one for one in found if len(one.split()[0]) == 1], len(found)

    def functions(self) -> list[tuple[str, int]]:
        found = []
        for name, text in self.bare.items():
            for match in re.finditer(r"^ *(?:pub(?:\([^)]*\))? )?(?:const |async |unsafe )*fn (\w+)", text, re.M):
                depth, at = 0, match.end()
                while at < len(text) and text[at] not in "{;":
                    at += 1
                if at >= len(text) or text[at] == ";":
                    continue
                while at < len(text):
                    depth += {"{": 1, "}": -1}.get(text[at], 0)
                    at += 1
                    if depth == 0:
                        break
                found.append((f"{name} {match[1]}", text.count("\n", match.start(), at) + 1))
        return found

    def long_functions(self) -> tuple[list[str], int]:
        functions = self.functions()
        return [f"{n} {lines}" for n, lines in functions if lines > 40], len(functions)

    def long_lines(self) -> tuple[list[str], int]:
        found = [
            f"{name}:{at} {len(line)}"
            for name, text in self.files.items()
            for at, line in enumerate(text.split("\n"), 1)
            if len(line) > 120
        ]
        return found, sum(text.count("\n") for text in self.files.values())

    def long_files(self) -> tuple[list[str], int]:
        return [f"{n} {t.count(chr(10))}" for n, t in self.all.items() if t.count("\n") > 400], len(self.all)

    def duplicates(self) -> tuple[list[str], int]:
        lines = []
        for name, text in self.rust.items():
            for at, line in enumerate(text.split("\n"), 1):
                line = line.strip()
                if re.search("[A-Za-z]", line) and not line.startswith(("//", "use ")):
                    lines.append((name, at, line))
        windows = collections.defaultdict(list)
        for at in range(len(lines) - 5):
            window = lines[at : at + 6]
            if window[0][0] == window[5][0]:
                windows[tuple(line for *_, line in window)].append(at)
        found, last = [], set()
        for at in range(len(lines) - 5):
            key = tuple(line for *_, line in lines[at : at + 6])
            now = {(other - at) for other in windows.get(key, ()) if other > at}
            found += [f"{lines[at][0]}:{lines[at][1]} = {lines[at + d][0]}:{lines[at + d][1]}" for d in now - last]
            last = now
        return found, len(lines)

    def circles(self) -> tuple[list[str], int]:
        found = []
        for package in sorted({name.split("/src/")[0] for name in self.bare if "/src/" in name}):
            found += circles_of(package, {n: t for n, t in self.bare.items() if n.startswith(package + "/src/")})
        return found, len(self.bare)


# name, what it counts, as a share of all or as a number, the most that holds
FIGURES = [
    ("one-word", House.one_word, "%", 40),
    ("shared", House.shared, "%", 20),
    ("one-letter", House.lua_locals, "%", 5),
    ("long-functions", House.long_functions, "%", 1),
    ("circles", House.circles, "", 0),
    ("duplicates", House.duplicates, "", 3),
    ("long-lines", House.long_lines, "%", 0.5),
    ("long-files", House.long_files, "", 0),
]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--list", choices=[name for name, *_ in FIGURES], help="print what this figure counts")
    asked = options.parse_args()
    house, over = House(), 0
    if not asked.list:
        print(__doc__)
    for name, count, unit, most in FIGURES:
        if asked.list not in (None, name):
            continue
        found, whole = count(house)
        if asked.list:
            print("\n".join(found))
        figure = 100 * len(found) / whole if unit else len(found)
        over += figure > most
        print(f"{name:15} {figure:6.1f}{unit:1}  at most {most}{unit}  ({len(found)} of {whole})")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
