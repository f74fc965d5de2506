"""Texts that people are shown: those of somebody else are obeyed by no terminal, and our own are understood."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from coditect_license import LicenseRevoked, NoSeats
from coditect_license.testing import InMemoryServer

PACKAGE = Path(__file__).resolve().parents[1] / "src/coditect_license"


def test_the_labels_of_holders_have_no_control_characters() -> None:
    server = InMemoryServer(product="studio", seats=1)
    server.occupy_seats(label="one\x1b[2J\ntwo")
    with server.client() as client:
        with pytest.raises(NoSeats) as refused:
            client.acquire()
        assert [holder.label for holder in refused.value.holders] == ["one [2J two-1"]
        assert [holder.label for holder in client.validate().holders] == ["one [2J two-1"]


def test_the_sentence_of_a_refusal_has_no_control_characters() -> None:
    server = InMemoryServer(product="studio")
    refusing = server.refusing("acquire", "license_revoked", detail="revoked\x1b]0;x\x07 for good")
    with server.client() as client, refusing, pytest.raises(LicenseRevoked) as refused:
        client.acquire()
    assert str(refused.value).startswith("revoked ]0;x  for good")


OBSCURE = (
    r"kept token|facts_version|holders?|epoch|quarantine[ds]?|poison|reaper|rebuild lease|draine?d?|draining",
    r"what stands in front|made from own|behind of",
)
"""Words that nobody understands at the first reading. Some are in the glossary, which no message can link to."""


def texts_of(path: Path) -> list[str]:
    """The sentences in the code of a module, with a number in place of what is put in, and without docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    parts = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    told = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            texts = [part.value if isinstance(part, ast.Constant) else "1" for part in node.values]
            found.append("".join(map(str, texts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {node} & (parts | told):
            found.append(node.value)
    return [text for text in found if " " in text]


@pytest.mark.one_python
def test_no_message_has_a_word_that_nobody_understands() -> None:
    obscure = re.compile(rf"\b(?:{'|'.join(OBSCURE)})\b", re.IGNORECASE)
    paths = [path for path in sorted(PACKAGE.rglob("*.py")) if path.parent.name in ("coditect_license", "_cli")]
    texts = [(path.name, text) for path in paths for text in texts_of(path)]
    assert len(texts) > 300, "the texts were found"
    assert [(name, text) for name, text in texts if obscure.search(text)] == []
