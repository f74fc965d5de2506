"""The last token of a machine, kept for starting without contact, and the latest time that was ever seen with it.

One small JSON file per license, product, pool and machine in the platform's cache directory: mode 0600, replaced atomically. The token is
signed: it is no secret, and nobody can make it say more. ``seen`` is not: whoever may write the file can lower it and, with the machine's clock
set back as far, start again within the token's signed grace. It stops a clock that is wrong, not somebody who means to cheat. Nothing in the
file lets anybody use the session. No method raises: a full disk or an unwritable home costs the offline start and nothing else, and is told in
:attr:`TokenStore.problem`.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ._errors import VerificationFailed
from ._files import write_private
from ._jws import TOKEN, loads, parse

_log = logging.getLogger("coditect_license")


@dataclass(frozen=True)
class Kept:
    """What the file says; nothing of it is verified."""

    token: str
    certificate: str
    seen: float
    """The high-water mark: the latest time, in Unix seconds, that was seen while the token was in use. Not signed: the file's owner can lower it."""


def default_directory() -> Path:
    """The platform's cache directory for this package."""
    import platformdirs

    return platformdirs.user_cache_path("coditect-license", appauthor=False)


class TokenStore:
    """The file of one license on one machine."""

    def __init__(self, directory: Path | None, *names: str) -> None:
        """``directory`` is the platform's unless given; ``names`` are what the file is for."""
        self._directory = directory
        self._name = hashlib.sha256("\0".join(names).encode()).hexdigest()[:32] + ".json"
        self.problem: str | None = None
        """Why the file could not be read or written the last time, for people; ``None`` if all went well."""

    @property
    def path(self) -> Path:
        """Where the file is, or would be."""
        return (self._directory or default_directory()) / self._name

    def load(self) -> Kept | None:
        """What was kept, or ``None``; :attr:`problem` then says why, unless there simply was nothing."""
        self.problem = None
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._failed(f"the kept token cannot be read ({error.strerror}: {self.path})")
            return None
        try:
            value = loads(raw)
            token, certificate, seen = value["token"], value["certificate"], float(value["seen"])
            if not (isinstance(token, str) and isinstance(certificate, str) and 0 <= seen < 1e12):
                raise ValueError("of the wrong form")
        except (ValueError, KeyError, TypeError, OverflowError):
            self._failed(f"the kept token is corrupt ({self.path}); it is replaced when the server is next reached")
            return None
        return Kept(token, certificate, seen)

    def save(self, token: str, certificate: str, seen: float) -> None:
        """Replace what was kept."""
        try:
            path = self.path
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(path, json.dumps({"token": token, "certificate": certificate, "seen": int(seen)}) + "\n")
        except OSError as error:
            self._failed(f"the token cannot be kept for use without contact ({error.strerror}: {self.path})")
        else:
            self.problem = None

    def saw(self, now: float) -> None:
        """Raise the high-water mark to ``now``."""
        kept = self.load()
        if kept is not None and now > kept.seen:
            self.save(kept.token, kept.certificate, now)

    def forget_sessions(self, sessions: Collection[str]) -> None:
        """Throw the file away if what it keeps is of one of these sessions: their seat was given back, and their grace with it."""
        kept = self.load()
        if kept is None:
            return
        try:
            session = parse(TOKEN, kept.token).claims.get("session_id")
        except VerificationFailed:
            return
        if session in sessions:
            self.forget()

    def forget(self) -> None:
        """Throw the file away: the server said no, and a token of before must not say otherwise."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            self._failed(f"the kept token cannot be removed ({error.strerror}: {self.path})")

    def _failed(self, problem: str) -> None:
        if problem != self.problem:
            _log.warning("%s", problem)
        self.problem = problem
