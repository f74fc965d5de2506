"""License keys, as far as a client can judge them: form, check symbol and the public number.

``CODI-`` and six groups of five symbols of Crockford's base32: 13 spell the license's number, 16 the secret, 1 checks
for typing errors (Luhn modulo 32). Only letters and digits count, in either case and in every form Unicode has of them;
look-alikes are forgiven (docs/API.md, License keys).
"""

from __future__ import annotations

import re
import string
import unicodedata
from dataclasses import dataclass, field

from ._errors import InvalidKey

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# In English only: changing case by Turkish rules makes these two of an I.
_UPPER = str.maketrans(string.ascii_lowercase + "\u0131\u0130", string.ascii_uppercase + "II")
_LOOKALIKES = str.maketrans("OIL", "011")
# What a Japanese keyboard writes where a hyphen is printed; Unicode calls it a letter.
_LONG_VOWEL = "\u30fc"
_MAX_CHARS = 512
_MAX_LABELLED = 1024
"""The longest text with a label, in bytes of its plain form, as the server has it."""
_MAX_LABEL = 100
_LABEL_WORDS = ("bearer", "key", "license", "licence", "token")
"""What may stand before a key without a mark between them."""
KEY_SYMBOLS = 34


@dataclass(frozen=True)
class LicenseKey:
    """A well-formed key. Does not print its secret."""

    text: str = field(repr=False)
    """The canonical form."""
    number: str
    """The license's public number, 13 symbols."""


def parse_key(text: str) -> LicenseKey:
    """Read a key as it was typed or pasted, from a mail, a web page or a file.

    Raises :class:`InvalidKey` with what is wrong; the text of the error never repeats the key.
    """
    plain = unicodedata.normalize("NFKC", text[: _MAX_CHARS + 1])
    symbols = _symbols(plain)
    if not _is_key(symbols):
        symbols = _symbols(_without_label(plain))
    body = symbols[4:]
    if not _is_key(symbols):
        raise InvalidKey(
            "The license key must be CODI- followed by six groups of five letters and digits. Copy it again, whole."
        )
    values = [_ALPHABET.index(symbol) for symbol in body]
    if _luhn(values) != 0:
        raise InvalidKey(
            "The license key is mistyped: its check symbol does not fit. Compare it with the one you were given."
        )
    if values[0] > 15:  # 13 symbols hold 65 bits, numbers have 64
        raise InvalidKey("The license key was never made by a license server. Copy it again, whole.")
    groups = "-".join(body[at : at + 5] for at in range(0, 30, 5))
    return LicenseKey(text=f"CODI-{groups}", number=body[:13])


def _symbols(plain: str) -> str:
    """The letters and digits of a text, each as the symbol that it is read as."""
    counted = "".join(c for c in plain if c.isalnum() and c != _LONG_VOWEL)
    return counted.translate(_UPPER).translate(_LOOKALIKES)


def _is_key(symbols: str) -> bool:
    # "CODI" itself was translated: its O and I look like 0 and 1.
    body = symbols[4:]
    return symbols[:4] == "C0D1" and len(body) == 30 and all(symbol in _ALPHABET for symbol in body)


def _without_label(plain: str) -> str:
    """A key without what stands before it where it was copied with its name: ``KEY=``, ``License key:``, ``Bearer``.

    A label has no slash, so no address is read as a key, and holds no key itself, so of two keys none is taken.
    """
    at = max(plain.rfind(mark) for mark in ":=") + 1
    label, rest = plain[:at], plain[at:]
    found = _symbols(label)
    start = found.find("C0D1")
    if (
        len(plain.encode("utf-8", "surrogatepass")) > _MAX_LABELLED
        or "/" in label
        or len(label) > _MAX_LABEL
        or (start >= 0 and len(found) - start >= KEY_SYMBOLS)
    ):
        return plain
    words = re.findall(r"[^\W_]+", rest)
    while words and words[0].lower() in _LABEL_WORDS:
        rest = rest.partition(words.pop(0))[2]
    return rest


def _luhn(values: list[int]) -> int:
    """Luhn's sum modulo 32, the check symbol last; 0 when they agree."""
    total = 0
    for at, value in enumerate(reversed(values)):
        doubled = value * 2
        total += (doubled // 32 + doubled % 32) if at % 2 else value
    return total % 32
