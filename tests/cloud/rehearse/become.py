"""Becomes a program of the rehearsal: python3 -ISE become.py PARENT ROOT UID GID COMMAND…

The kernel kills it when PARENT, which started this, dies. ROOT is the directory that is its root; UID and GID are its
user's; `-` for one of them changes nothing. A process with threads must not do this between its fork and its exec, so a
process of its own does it.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: str, root: str, uid: str, gid: str, *command: str):
    """Does not return."""
    libc = ctypes.CDLL(None, use_errno=True)
    if root != "-":
        os.chroot(root)
        os.chdir("/")
    if uid != "-" and os.geteuid() == 0:
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    # A change of the user clears it, so it comes last.
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        sys.exit(f"prctl failed: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != int(parent):
        sys.exit("who started this is gone already")
    # Python itself adds it where there is no locale.
    environment = {name: value for name, value in os.environ.items() if name != "LC_CTYPE"}
    os.execve(command[0], list(command), environment)


if __name__ == "__main__":
    main(*sys.argv[1:])
