"""Fifty processes, shortly. `python -m tests.local.contention` is the same for two minutes."""

from __future__ import annotations

import os

from .contention import contention
from .machine import Machine

SECONDS = float(os.environ.get("CONTENTION_SECONDS", "30"))


def test_fifty_machines_on_ten_seats_never_hold_more_than_ten_use_all_ten_and_everybody_gets_one(
    machine: Machine,
) -> None:
    result = contention(machine, seconds=SECONDS)
    print(result.table())
    assert result.errors == []
    assert result.most_believers == 10 and result.most_held == 10
    # Nobody who asks is kept from a free seat. How long each stays unasked for is a matter of the processor.
    assert result.told_full > 0 and result.wrongly_full == []
    assert result.served == 50 and result.kills > 0


def test_fifty_processes_of_one_machine_use_exactly_one_seat(machine: Machine) -> None:
    result = contention(machine, seconds=SECONDS / 3, one_machine=True)
    print(result.table())
    assert result.errors == []
    assert result.most_believers == 1 and set(result.held) <= {0, 1} and result.most_held == 1
    assert result.served == 50
