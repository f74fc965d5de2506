"""The blocks of commands of a page, as a person copies them. Whoever tests a page runs these, and nothing written beside them."""

import re


def sections(page: str) -> dict[str, str]:
    """Heading → what stands below it, down to the next heading of the same kind."""
    parts = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def blocks(text: str, language: str = "sh") -> list[str]:
    """The blocks of a language, without the indent of the list they stand in. Those without one have the language ''."""
    found = re.findall(r"^( *)```(\w*)\n(.*?)^ *```$", text, flags=re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", body, flags=re.MULTILINE) for indent, name, body in found if name == language]
