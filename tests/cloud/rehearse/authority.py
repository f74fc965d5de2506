"""Certificates: an authority made for this run, and what it gives to one server."""

import os
import pathlib
import subprocess

from place import Fault

_CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-batch"]


def openssl(arguments: list[str], *, feed: bytes = b"", cwd: pathlib.Path | None = None) -> bytes:
    """What openssl answers."""
    done = subprocess.run(["openssl", *arguments], input=feed, capture_output=True, check=False, cwd=cwd)
    if done.returncode:
        raise Fault(f"openssl {arguments[0]} failed: {done.stderr.decode(errors='replace')[-500:]}")
    return done.stdout


class Authority:
    """A certificate authority and the certificate of one server. Without `hosts` that names it as Cloud SQL's do: by no
    address.
    """

    def __init__(self, directory: pathlib.Path, name: str, hosts: tuple = ()):
        self.directory = directory
        names = "subjectAltName=" + ",".join(f"DNS:{host}" for host in hosts) + "\n" if hosts else ""
        (directory / "server.ext").write_text(f"basicConstraints=CA:FALSE\n{names}")
        self._make(
            "req", "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", f"/CN={name} CA", *_CURVE
        )
        self._make("req", "-keyout", "server.key", "-out", "server.csr", "-subj", f"/CN={name}", *_CURVE)
        self._make(
            "x509",
            "-req",
            "-in",
            "server.csr",
            "-out",
            "server.pem",
            "-days",
            "2",
            "-extfile",
            "server.ext",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
        )

    def _make(self, *arguments: str):
        openssl(list(arguments), cwd=self.directory)

    @property
    def pem(self) -> str:
        """The authority's certificate."""
        return (self.directory / "ca.pem").read_text()

    def give(self, to: pathlib.Path, account):
        """Put the server's certificate and key where its server finds them, closed to everybody else."""
        for name in ("server.pem", "server.key"):
            (to / name).write_bytes((self.directory / name).read_bytes())
            (to / name).chmod(0o600)
            if account:
                os.chown(to / name, account.pw_uid, account.pw_gid)
