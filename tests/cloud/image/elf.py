"""What a binary says about itself: whether it needs a library of the system, and what it is made of."""

import json
import pathlib
import struct
import zlib

DYNAMIC, INTERPRETER = 2, 3  # segment types
NEEDED = 1  # a dynamic entry: the name of a library


class Elf:
    """A 64-bit little-endian ELF file."""

    def __init__(self, path: pathlib.Path) -> None:
        self.data = path.read_bytes()
        if self.data[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{path} is no 64-bit little-endian ELF file.")

    def _segments(self) -> list[tuple[int, int, int]]:
        """Type, offset and size of each."""
        (start,) = struct.unpack_from("<Q", self.data, 0x20)
        size, count = struct.unpack_from("<HH", self.data, 0x36)
        segments = []
        for at in range(start, start + size * count, size):
            kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", self.data, at)
            segments.append((kind, offset, length))
        return segments

    def wants_from_the_system(self) -> list[str]:
        """What it cannot be started without: a loader, libraries."""
        wants = []
        for kind, offset, length in self._segments():
            if kind == INTERPRETER:
                wants.append("the loader " + self.data[offset : offset + length].rstrip(b"\0").decode())
            if kind == DYNAMIC:
                tags = struct.iter_unpack("<QQ", self.data[offset : offset + length])
                wants += ["a library" for tag, _ in tags if tag == NEEDED]
        return wants

    def section(self, name: str) -> bytes | None:
        (start,) = struct.unpack_from("<Q", self.data, 0x28)
        size, count, names_at = struct.unpack_from("<HHH", self.data, 0x3A)
        headers = [struct.unpack_from("<IIQQQQ", self.data, start + size * index) for index in range(count)]
        names = headers[names_at][4]
        for name_at, _, _, _, offset, length in headers:
            end = self.data.index(b"\0", names + name_at)
            if self.data[names + name_at : end].decode() == name:
                return self.data[offset : offset + length]
        return None

    def packages(self) -> set[tuple[str, str]]:
        """Names and versions of what it was built from, as cargo-auditable wrote them (build dependencies left out)."""
        section = self.section(".dep-v0")
        if section is None:
            raise ValueError("it carries no list of what it is made of (section .dep-v0)")
        listed = json.loads(zlib.decompress(section))["packages"]
        return {
            (package["name"], package["version"]) for package in listed if package.get("kind", "runtime") == "runtime"
        }
