"""The part of Google's filter language that opentofu/modules/watch uses, and what it means for one entry.

The language: https://cloud.google.com/logging/docs/view/logging-query-language. NOT binds closest, then OR, then AND.
What is left out is refused, not guessed: bare words (which search everything, and are mostly a typing mistake), other
functions, and fields that an entry cannot have.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any

Entry = Mapping[str, Any]
Test = Callable[[Entry], bool]

SEVERITIES = ["DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY"]

# The fields of a LogEntry, and of a time series as Cloud Monitoring's filters see it. None: any name may follow.
LOG_FIELDS = {
    "resource": ["type", "labels"],
    "httpRequest": ["requestMethod", "requestUrl", "requestSize", "status", "responseSize", "latency"],
    "jsonPayload": None,
    "protoPayload": ["serviceName", "methodName", "resourceName", "authenticationInfo"],
    "severity": [], "insertId": [], "logName": [], "timestamp": [], "trace": [], "textPayload": [],
}
SERIES_FIELDS = {"metric": ["type", "labels"], "resource": ["type", "labels"]}

TOKEN = re.compile(r"""
    (?P<space>\s+)
  | (?P<text>"(?:[^"\\]|\\.)*")
  | (?P<sign>=~|!~|!=|<=|>=|[=<>:(),])
  | (?P<word>[A-Za-z0-9_*][A-Za-z0-9_.*/-]*)
""", re.VERBOSE)


class WrongFilter(ValueError):
    """A filter that is not of the language, or not of the part of it that is used here."""


def tokens(text: str) -> list[str]:
    found, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise WrongFilter(f"nothing begins with {text[at:at + 12]!r}")
        if match.lastgroup != "space":
            found.append(match.group())
        at = match.end()
    return found


def value_at(entry: Entry, path: list[str]) -> Any:
    value: Any = entry
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


class Parser:
    def __init__(self, text: str, fields: Mapping[str, list[str] | None], ignore_case: bool) -> None:
        self.tokens, self.at, self.fields, self.ignore_case = tokens(text), 0, fields, ignore_case

    def next(self) -> str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self, *wanted: str) -> str:
        token = self.next()
        if token is None or (wanted and token not in wanted):
            raise WrongFilter(f"expected {' or '.join(wanted) or 'more'}, found {token or 'the end'}")
        self.at += 1
        return token

    def whole(self) -> Test:
        test = self.all_of()
        if self.next() is not None:
            raise WrongFilter(f"{self.next()} stands where nothing is expected")
        return test

    def all_of(self) -> Test:
        parts = [self.any_of()]
        # Two comparisons side by side mean AND.
        while self.next() not in (None, ")"):
            if self.next() == "AND":
                self.take("AND")
            parts.append(self.any_of())
        return lambda entry: all(part(entry) for part in parts)

    def any_of(self) -> Test:
        parts = [self.single()]
        while self.next() == "OR":
            self.take("OR")
            parts.append(self.single())
        return lambda entry: any(part(entry) for part in parts)

    def single(self) -> Test:
        if self.next() == "NOT":
            self.take("NOT")
            negated = self.single()
            return lambda entry: not negated(entry)
        if self.next() == "(":
            self.take("(")
            inner = self.all_of()
            self.take(")")
            return inner
        name = self.take()
        if name in ("log_id", "sample") and self.next() == "(":
            return self.function(name)
        return self.comparison(self.field(name))

    def function(self, name: str) -> Test:
        self.take("(")
        if name == "log_id":
            wanted = self.literal().replace("/", "%2F")
            self.take(")")
            return lambda entry: str(entry.get("logName", "")).endswith(f"/logs/{wanted}")
        path = self.field(self.take())
        self.take(",")
        share = float(self.take())
        self.take(")")
        if not 0 < share <= 1:
            raise WrongFilter("sample takes a share between 0 and 1")
        # Google hashes with something else; what counts is that the same entry always has the same answer.
        return lambda entry: zlib.crc32(str(value_at(entry, path)).encode()) / 2**32 < share

    def field(self, name: str) -> list[str]:
        path = name.split(".")
        inside = self.fields.get(path[0], "none")
        if inside == "none":
            raise WrongFilter(f"an entry has no field {path[0]}; to search for a word is refused here")
        if inside and (len(path) < 2 or path[1] not in inside):
            raise WrongFilter(f"{path[0]} has no field {'.'.join(path[1:])}")
        if inside == [] and len(path) > 1:
            raise WrongFilter(f"{path[0]} has no fields")
        return path

    def literal(self) -> str:
        token = self.take()
        if token.startswith('"'):
            return re.sub(r"\\(.)", r"\1", token[1:-1])
        if token in ("AND", "OR", "NOT", "(", ")", ","):
            raise WrongFilter(f"expected a value, found {token}")
        return token

    def comparison(self, path: list[str]) -> Test:
        sign = self.take("=", "!=", "<", "<=", ">", ">=", ":", "=~", "!~")
        if self.next() == "(":
            self.take("(")
            wanted = [self.literal()]
            while self.next() == "OR":
                self.take("OR")
                wanted.append(self.literal())
            self.take(")")
        else:
            wanted = [self.literal()]
        tests = [self.compare(path, sign, value) for value in wanted]
        return lambda entry: any(test(entry) for test in tests)

    def compare(self, path: list[str], sign: str, wanted: str) -> Test:
        def text(value: Any) -> str:
            return str(value).casefold() if self.ignore_case else str(value)

        if sign == ":" and wanted == "*":
            return lambda entry: value_at(entry, path) is not None
        if sign in ("=~", "!~"):
            pattern = re.compile(wanted)
            there = sign == "=~"
            return lambda entry: (bool(pattern.search(str(value_at(entry, path) or ""))) is there)
        if sign in ("<", "<=", ">", ">="):
            measure = SEVERITIES.index if path == ["severity"] else float
            limit = measure(wanted)
            holds = {"<": lambda a: a < limit, "<=": lambda a: a <= limit,
                     ">": lambda a: a > limit, ">=": lambda a: a >= limit}[sign]

            def ordered(entry: Entry) -> bool:
                value = value_at(entry, path)
                return value is not None and holds(measure(value))

            return ordered
        if sign == ":":
            return lambda entry: (value := value_at(entry, path)) is not None and text(wanted) in text(value)
        equal = sign == "="
        return lambda entry: ((value := value_at(entry, path)) is not None and text(value) == text(wanted)) is equal


def parse(text: str, fields: Mapping[str, list[str] | None] = LOG_FIELDS, ignore_case: bool = False) -> Test:
    """The test that a filter is. `ignore_case` reads = and : the way that does not tell A from a.

    Raises WrongFilter, saying why.
    """
    try:
        return Parser(text, fields, ignore_case).whole()
    except (re.error, ValueError) as error:
        raise error if isinstance(error, WrongFilter) else WrongFilter(str(error)) from None


def extractor(text: str) -> Callable[[Entry], str | None]:
    """EXTRACT(field) or REGEXP_EXTRACT(field, "regex"): the text that a label takes, or None if there is none."""
    match = re.fullmatch(r'EXTRACT\(([\w.]+)\)|REGEXP_EXTRACT\(([\w.]+), "((?:[^"\\]|\\.)*)"\)', text)
    if not match:
        raise WrongFilter(f"{text} extracts nothing")
    path = Parser("", LOG_FIELDS, False).field(match[1] or match[2])
    if match[1]:
        return lambda entry: None if (value := value_at(entry, path)) is None else str(value)
    pattern = re.compile(match[3].replace("\\\\", "\\"))
    if pattern.groups != 1:
        raise WrongFilter(f"{text} needs exactly one group")

    def extract(entry: Entry) -> str | None:
        found = pattern.search(str(value_at(entry, path) or ""))
        return found[1] if found else None

    return extract
