"""The TLS context of a client. It is made once, and aside: certificate authorities are on disks, which may hang."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ._aside import Aside
from ._errors import LicenseError
from ._exchange import TransportFault

if TYPE_CHECKING:
    import ssl


class Trust:
    """Makes the TLS context when it is first needed."""

    def __init__(self, verify: Any) -> None:  # noqa: ANN401 - checked settings
        self._verify = verify
        self._aside = Aside("coditect-license-authorities")
        self._made: ssl.SSLContext | None = None
        self._failed = False

    @property
    def is_tried(self) -> bool:
        """Whether making it came to an end: it is there, or it failed in an unexpected way, as it will again."""
        return self._made is not None or self._failed

    def context(self) -> ssl.SSLContext:
        """The context. Making it takes as long as the disks do.

        Raises :class:`ConfigurationError` for a wrong ``verify``.
        """
        made = self._made
        if made is None:
            from ._tls import tls_context

            try:
                self._made = made = tls_context(self._verify)
            except Exception:
                self._failed = True
                raise
        return made

    def make_within(self, seconds: float) -> bool:
        """Whether making it came to an end after at most so many seconds. Raises for a wrong ``verify``."""
        if self._made is None:
            wrong = self._aside.run(self._make, seconds)
            if wrong is not None:
                raise wrong.with_traceback(None)
        return self.is_tried

    def unread(self, request_id: str) -> TransportFault:
        """The fault of a request that was not sent since the context could not be made in time."""
        where, setting = "of the operating system", "verify=…"
        if isinstance(self._verify, str):
            where = f"in {self._verify}"
        elif os.environ.get("SSL_CERT_FILE"):
            where, setting = f"in {os.environ['SSL_CERT_FILE']}", "SSL_CERT_FILE, or give verify=…"
        return TransportFault(
            f"the certificate authorities {where} could not be read in time",
            f"Perhaps a disk hangs. Check {setting}.",
            request_id,
            may_have_arrived=False,
        )

    def after_fork(self) -> None:
        """Make a new one in a forked child: a thread of the parent may have held a lock of the former."""
        self._made = None
        self._aside.after_fork()

    def _make(self) -> LicenseError | None:
        try:
            self.context()
        except LicenseError as error:
            return error
        except Exception:  # noqa: BLE001, S110 - it fails again where the request is sent, and is told there
            pass
        return None
