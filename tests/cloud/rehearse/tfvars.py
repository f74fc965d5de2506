"""Reads a file of OpenTofu's values: names and literals, as the environments' files have them."""

import json
import pathlib
import re

from place import Fault

_TOKEN = re.compile(r'\s*(?:#[^\n]*\n|//[^\n]*\n)*\s*("(?:[^"\\]|\\.)*"|[A-Za-z_][\w-]*|-?[0-9.]+|[=:{}\[\],])?')
_WORDS = {"true": True, "false": False, "null": None}


class _Reader:
    def __init__(self, text: str):
        self.text, self.at = text, 0

    def peek(self):
        return _TOKEN.match(self.text, self.at).group(1)

    def take(self, wanted: str | None = None) -> str:
        found = _TOKEN.match(self.text, self.at)
        token = found.group(1)
        if token is None or (wanted and token not in wanted):
            raise Fault(f"a file of values cannot be read at {self.text[self.at : self.at + 40]!r}")
        self.at = found.end()
        return token

    def value(self):
        token = self.take()
        if token == "{":
            return self.members("}")
        if token == "[":
            items = []
            while self.peek() != "]":
                items.append(self.value())
                if self.peek() == ",":
                    self.take()
            self.take("]")
            return items
        if token.startswith('"'):
            return json.loads(token)
        if token in _WORDS:
            return _WORDS[token]
        return float(token) if "." in token else int(token)

    def members(self, end: str | None) -> dict:
        found = {}
        while self.peek() not in (end, None):
            name = self.take().strip('"')
            self.take("=:")
            found[name] = self.value()
            if self.peek() == ",":
                self.take()
        if end:
            self.take(end)
        return found


def read(path: pathlib.Path) -> dict:
    """Every value of a file."""
    reader = _Reader(path.read_text("utf-8") + "\n")
    values = reader.members(None)
    if reader.text[reader.at :].strip() and reader.peek() is not None:
        raise Fault(f"{path} cannot be read to its end")
    return values
