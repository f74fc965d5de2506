"""What is known of the jobs that take long: everything else is short."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Weight:
    """What a job needs.

    seconds: how long it takes beside others, measured; longer ones begin first
    cores: how many processors it keeps busy on average meanwhile, its stores and children included
    threads: tests of the binary that run side by side; 0: as many as there are processors. More where they wait for real time
    patient: it only computes, and no promise of time is judged in it: it runs at a lower priority, behind all others and beside them
    alone: nothing else runs meanwhile
    """

    seconds: float = 5
    cores: float = 0.75
    threads: int = 0
    patient: bool = False
    alone: bool = False


# Measured on two processors; processor time is given where it says how many processors a job keeps busy.
WEIGHTS: dict[str, Weight] = {
    # Compute: 254, 92 and 23 s of processor.
    "tests/reference": Weight(150, 1.8, patient=True),
    "model/search": Weight(55, 1.8, patient=True),
    "model/exhaustive": Weight(12, 1.8, patient=True),
    # Wait for real time, on stores of their own. Crowds that meet faults have more than their average: they need it in moments.
    # Nothing else that is judged beside it: on a machine half as fast its four runs answered nobody for 80 s, with 1.5 processors asked for.
    "simulation/mixes": Weight(112, 1.5),
    "simulation/faults": Weight(90, 0.8),
    "simulation/limits": Weight(55, 0.3, threads=3),
    "simulation/negative": Weight(40, 0.5, threads=3),
    "simulation/found": Weight(15, 0.4),
    "tests/outages": Weight(60, 0.5, threads=4),
    "tests/unavailable": Weight(30, 0.8),
    "tests/rebuilds": Weight(35, 0.7),
    "tests/lengths": Weight(15, 0.4, threads=4),
    "tests/local": Weight(20, 1),
    # Both.
    "tests/hostile": Weight(70, 1.5),
    "tests/management": Weight(75, 1.3),
    "tests/records": Weight(45, 1.1),
    "tests/contention": Weight(20, 1.2),
    "tests/limits": Weight(40, 1),
    "tests/ordinary": Weight(20, 0.4),
}

ELSEWHERE: dict[str, Weight] = {
    "runner": Weight(2, 0.3),
    "doc tests": Weight(5, 1),
    # 230 s of processor.
    "sdk/python": Weight(170, 1.4),
    "contract": Weight(165, 0.5),
    # 81 s of processor.
    "pages": Weight(120, 0.7),
}
