"""License keys as far as the smoke test needs them: the number in one, and well-formed keys that were never issued."""

import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def number_of(key: str) -> str:
    """The public number of a key as it was printed: the first 13 symbols after CODI."""
    return "".join(symbol for symbol in key.upper() if symbol.isalnum())[4:17]


def _check_symbol(values: list) -> int:
    """The last symbol, by Luhn's sum modulo 32."""
    total = 0
    for at, value in enumerate(reversed(values), start=1):
        doubled = value * 2
        total += (doubled // 32 + doubled % 32) if at % 2 else value
    return -total % 32


def unknown_key() -> str:
    """A key that is spelt right and belongs to nobody: random, 145 bits."""
    values = [secrets.randbelow(16), *(secrets.randbelow(32) for _ in range(28))]
    body = "".join(ALPHABET[value] for value in [*values, _check_symbol(values)])
    return "CODI-" + "-".join(body[at : at + 5] for at in range(0, 30, 5))
