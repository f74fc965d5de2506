"""Keys as they arrive after mails, web pages, files and keyboards: the same list that the server is held to."""

from __future__ import annotations

import codecs
import io
import json
import sys

import pytest

from coditect_license import InvalidKey
from coditect_license._cli.commands import _read_piped_key
from coditect_license._key import parse_key

from .shared import shared

LIST = json.loads(shared("tests/spellings.json").read_text("utf-8"))
KEY = LIST["key"]


def test_a_key_reads_whatever_happened_to_it_on_its_way_and_nothing_else_does() -> None:
    for written in LIST["spellings"]:
        assert parse_key(written).text == KEY, ascii(written)
    for written in LIST["mistyped"]:
        with pytest.raises(InvalidKey, match="mistyped"):
            parse_key(written)
    for written in LIST["no_key"]:
        with pytest.raises(InvalidKey, match=r"Copy it again"):
            parse_key(written)


@pytest.mark.parametrize(
    "raw",
    [
        KEY.encode(),
        f"{KEY}\r\n".encode(),
        f"\n\n  {KEY}\n".encode(),
        f"{KEY[:21]}\n{KEY[21:]}\nmore\n".encode(),
        codecs.BOM_UTF8 + KEY.encode(),
        f"\ufeff{KEY}\r\n".encode("utf-16-le"),
        f"\ufeff{KEY}\r\n".encode("utf-16-be"),
    ],
)
def test_a_key_is_read_from_a_pipe_in_the_encodings_files_have(raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    assert parse_key(_read_piped_key()).text == KEY


def test_a_pipe_without_a_key_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    for raw in (b"", b"\n" * 10_000, b"\xff\xfe", b"\xff" * 100):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
        with pytest.raises(InvalidKey):
            parse_key(_read_piped_key())
