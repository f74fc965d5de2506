"""Types as a variable of OpenTofu declares them, and whether a value is exactly of one.

tofu itself is too kind for this: it drops an attribute that a type does not have, and takes a missing one that is
optional for null. So a renamed attribute would pass unseen.
"""

import json
import re

WORD = re.compile(r'\s*([A-Za-z_]\w*|"[^"]*"|[-\d.]+|[(){}=,\[\]])')
PLAIN = {"string": str, "number": (int, float), "bool": bool}


class Reader:
    """Reads `object({ name = string, more = optional(map(number)) })` into a tree."""

    def __init__(self, text: str):
        self.words = WORD.findall(re.sub(r"#.*", "", text))
        self.at = 0

    def take(self, *wanted: str) -> str:
        word = self.words[self.at] if self.at < len(self.words) else "the end"
        if wanted and word not in wanted:
            raise ValueError(f"{' or '.join(wanted)} was expected, and {word} is there")
        self.at += 1
        return word

    def next_is(self, word: str) -> bool:
        return self.at < len(self.words) and self.words[self.at] == word

    def read(self):
        name = self.take()
        if name in PLAIN:
            return name
        self.take("(")
        if name == "object":
            found = ("object", self.attributes())
        elif name in ("map", "list", "set"):
            found = (name, self.read())
        elif name == "optional":
            found = ("optional", self.read())
            if self.next_is(","):
                raise ValueError("a default of an optional attribute hides that nothing was handed over")
        else:
            raise ValueError(f"{name} is no type that is known here")
        self.take(")")
        return found

    def attributes(self) -> dict:
        found = {}
        self.take("{")
        while not self.next_is("}"):
            name = self.take()
            self.take("=")
            found[name] = self.read()
            if self.next_is(","):
                self.take()
        self.take("}")
        return found


def of_variable(text: str, name: str):
    """The type of a variable in a file that `tofu fmt` laid out."""
    block = re.search(rf'^variable "{name}" \{{\n(.*?)^\}}', text, re.M | re.S)
    return Reader(re.search(r"^  type\s*=\s*(.*)", block[1], re.M | re.S)[1]).read()


def faults(value, wanted, path: str) -> list[str]:
    """Where a value is not of a type: names that are missing or too many, and other types."""
    if isinstance(wanted, str):
        right = isinstance(value, PLAIN[wanted]) and (wanted == "bool" or not isinstance(value, bool))
        return [] if right else [f"{path} must be a {wanted} and is {json.dumps(value)}"]
    kind, inner = wanted
    if kind == "optional":
        return [] if value is None else faults(value, inner, path)
    if kind in ("list", "set"):
        if not isinstance(value, list):
            return [f"{path} must be a {kind} and is {json.dumps(value)}"]
        return [fault for at, one in enumerate(value) for fault in faults(one, inner, f"{path}[{at}]")]
    if not isinstance(value, dict):
        return [f"{path} must be {'a map' if kind == 'map' else 'an object'} and is {json.dumps(value)}"]
    if kind == "map":
        return [fault for name, one in value.items() for fault in faults(one, inner, f'{path}["{name}"]')]
    return (
        [f"{path}.{name} is asked for and not handed over" for name in inner if name not in value]
        + [f"{path}.{name} is handed over and not asked for" for name in value if name not in inner]
        + [
            fault
            for name, one in inner.items()
            if name in value
            for fault in faults(value[name], one, f"{path}.{name}")
        ]
    )


def attributes(wanted, value, path=(), shown="platform"):
    """(names that lead to it, how a fault shows it) of every attribute of the objects of a value, outermost first.

    Of a map the first entry stands for all.
    """
    kind, inner = wanted if isinstance(wanted, tuple) else (wanted, None)
    if kind == "optional":
        yield from attributes(inner, value, path, shown)
    elif kind == "map" and value:
        name = next(iter(value))
        yield from attributes(inner, value[name], (*path, name), f'{shown}["{name}"]')
    elif kind == "object":
        for name, one in inner.items():
            yield (*path, name), f"{shown}.{name}"
            yield from attributes(one, value[name], (*path, name), f"{shown}.{name}")
