"""This machine, as the command line finds it and tells it to people."""

from __future__ import annotations

import argparse

from .._identity import MachineIdentity, find_machine, find_place, this_system
from .disk import in_time, patience

SOURCES = {
    "machine-id": "the operating system's machine id",
    "container": "the id of the container or pod",
    "ci": "the CI job",
    "own": "an id that this program made and keeps in your home",
    "network card": "the address of a network card",
    "host name": "the name of the machine",
    "none": "nothing",
}
"""What a machine is known by, in words."""
GIVEN = "the hardware id that was given"
LASTING = ("machine-id", "container", "ci", "own")
"""Sources that say the same tomorrow."""


def machine_of(options: argparse.Namespace, given: str | None) -> MachineIdentity:
    """This machine. Where a hardware id is given, its own id is not looked for.

    Raises :class:`ConfigurationError` where a disk on which it is kept hangs.
    """
    find = find_machine if given is None else find_place
    return in_time(patience(options), "This machine's identity", lambda: find(this_system()))
