"""The last token of a machine, kept for a start without contact, and the latest time that was seen with it.

It is one small JSON file per license, product, pool and machine in the platform's cache directory, of mode 0600 and
replaced atomically. The token is signed: it is no secret, and nobody can make it grant more. The time ``seen`` is not
signed: a person who may write the file can lower it, set the machine's clock back as far, and start again within the
token's signed grace. It guards against a clock that is wrong, not against a person who cheats. Nothing in the file lets
anybody use the session. No method raises: a full disk, an unwritable home directory or none at all costs the offline
start and nothing else, and :attr:`TokenStore.problem` says so. Every method may take as long as the disk does, so flows
have them done aside (:class:`._exchange.DoAside`).
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from . import _log as log
from ._aside import Aside
from ._errors import VerificationFailed
from ._files import write_private
from ._jws import TOKEN, loads, parse


@dataclass(frozen=True)
class KeptToken:
    """What the file says. Nothing of it is verified."""

    token: str
    certificate: str
    seen: float
    """The high-water mark: the latest time in Unix seconds that was seen while the token was in use. It is not signed.
    """


def default_directory() -> Path:
    """The platform's cache directory for this package."""
    import platformdirs

    return platformdirs.user_cache_path("coditect-license", appauthor=False)


class TokenStore:
    """The file of one license on one machine."""

    def __init__(self, directory: Path | None, *names: str) -> None:
        """``directory`` is the platform's cache directory unless given. ``names`` say together what the file is for."""
        self._directory = directory
        self._name = hashlib.sha256("\0".join(names).encode()).hexdigest()[:32] + ".json"
        self.aside: Aside = Aside("coditect-license-store")
        """Where this store's methods are done when somebody may not wait for the disk."""
        self._logged: str | None = None
        self.problem: str | None = None
        """Why the file could not be read or written the last time, for people; ``None`` if all went well."""

    @property
    def path(self) -> Path:
        """Where the file is, or would be. Raises :class:`OSError` where the user has no home directory."""
        try:
            return (self._directory or default_directory()) / self._name
        except Exception as error:  # no passwd entry and no HOME: RuntimeError, KeyError, by the version of Python
            raise OSError(errno.ENOENT, "this user has no home directory: give cache_dir=") from error

    def load(self) -> KeptToken | None:
        """What was kept, or ``None``. :attr:`problem` then says why, unless there is no file."""
        self.problem = None
        try:
            path = self.path
            raw = path.read_bytes()
        except (OSError, ValueError) as error:
            if not (isinstance(error, FileNotFoundError) and error.filename):
                self._failed(f"the token saved on this machine cannot be read ({_reason(error)})")
            return None
        try:
            value = loads(raw)
            token, certificate, seen = value["token"], value["certificate"], float(value["seen"])
            if not (isinstance(token, str) and isinstance(certificate, str) and 0 <= seen < 1e12):
                raise ValueError("of the wrong form")
        except (ValueError, KeyError, TypeError, OverflowError):
            self._failed(
                f"the token saved on this machine is corrupt ({path}); it is replaced when the server is next reached"
            )
            return None
        return KeptToken(token, certificate, seen)

    def save(self, token: str, certificate: str, seen: float) -> None:
        """Replace what was kept."""
        try:
            path = self.path
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(path, json.dumps({"token": token, "certificate": certificate, "seen": int(seen)}) + "\n")
        except (OSError, ValueError) as error:
            self._failed(f"the token cannot be kept for use without contact ({_reason(error)})")
        else:
            self.problem = self._logged = None

    def raise_seen(self, now: float) -> None:
        """Raise the high-water mark to ``now``."""
        kept = self.load()
        if kept is not None and now > kept.seen:
            self.save(kept.token, kept.certificate, now)

    def forget_sessions(self, sessions: Collection[str]) -> None:
        """Remove the file if its token is of one of these sessions, whose seat and grace were given back."""
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
        """Remove the file, since the server refused and the kept token would say otherwise."""
        try:
            self.path.unlink(missing_ok=True)
        except (OSError, ValueError) as error:
            self._failed(f"the token saved on this machine cannot be removed ({_reason(error)})")

    def _failed(self, problem: str) -> None:
        if problem != self._logged:
            self._logged = problem
            log.write("store", logging.WARNING, "%s", problem)
        self.problem = problem


def _reason(error: Exception) -> str:
    if not isinstance(error, OSError):
        return str(error)
    where = f": {error.filename}" if error.filename else ""
    return f"{error.strerror or type(error).__name__}{where}"
