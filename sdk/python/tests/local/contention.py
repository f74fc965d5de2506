"""Fifty client processes on a license of ten seats, some killed at random, watched by what each of them believed.

    python -m tests.local.contention --seconds 120

Each worker is a process of its own with a hardware id of its own. It waits for a seat, holds it for a few seconds,
gives it back and begins again, and writes down from when until when it believed. The parent kills one now and then and
starts it anew. When the time is over, whoever has had no seat yet still gets one, and everybody else stops asking.
Workers are forked from a parent that has imported everything and started nothing, so that fifty interpreters need not
start at once.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import random
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

try:
    import coditect_license._http
    import coditect_license._seat  # imported before anybody is forked
    from coditect_license import Clock, LicenseClient, LicenseError, NoSeats, SeatState

    from .asks import Ask, note_asks, read_asks, whole_lines, wrongly_told_full
    from .machine import Machine, NewLicense, running
except ModuleNotFoundError as missing:
    sys.exit(
        f"{missing.name} is missing. Install what the tests need, in the folder sdk/python, and start again:\n"
        f"  {sys.executable} -m pip install -r requirements-dev.txt -e ."
    )

CLOCK = Clock()


@dataclass
class Run:
    """What is asked for, and where it is written down."""

    machine: Machine
    license: NewLicense
    processes: int
    seats: int
    seconds: float
    one_machine: bool
    directory: Path
    kill_every: float
    over_at: float = math.inf
    """Known to the process that watches, from when everybody is there: `seconds` count from then on."""

    def end(self) -> None:
        """Say to every worker, which are processes of their own, that it is over."""
        (self.directory / "over").touch()

    def is_over(self) -> bool:
        return (self.directory / "over").exists()

    def hardware(self, worker: int) -> str:
        return "machine-0000" if self.one_machine else f"machine-{worker:04}"


def work(run: Run, worker: int) -> None:
    """One client process."""
    rng = random.Random()
    with (run.directory / f"{worker}.{os.getpid()}").open("w", buffering=1) as log:
        note_asks(log)
        client = LicenseClient(
            run.machine.url,
            key=run.license.key,
            product="demo",
            roots=run.machine.roots(),
            hardware_id=run.hardware(worker),
            hostname=f"worker-{worker}",
            cache_dir=run.directory / "cache",
            offline=False,
        )
        while not run.is_over() or not (run.directory / f"{worker}.had").exists():
            try:
                seat = client.seat(wait=60)
            except NoSeats:
                continue
            except LicenseError as error:
                print(f"error {type(error).__name__}: {error}", file=log)
                time.sleep(0.5)
                continue
            (run.directory / f"{worker}.had").touch()
            hold_until = CLOCK.monotonic() + rng.uniform(2.0, 6.0)
            believe(seat, hold_until, log)
            # Written before the release is begun: belief ends there, and never later than it is written.
            print(f"stop {CLOCK.monotonic():.6f}", file=log)
            told = seat.release()
            print(f"released {told}", file=log)
            time.sleep(rng.uniform(0.0, 0.5))
        client.close()


def believe(seat: coditect_license.Seat, hold_until: float, log: TextIO) -> None:
    """Hold the seat, and write down from when until when it is believed in."""
    while (now := CLOCK.monotonic()) < hold_until:
        left = seat.lease_left
        if left > 0:
            print(f"believe {now:.6f} {now + left:.6f}", file=log)
        elif seat.state is not SeatState.ONLINE:
            print(f"lost {seat.problem}", file=log)
        time.sleep(0.2)


def start(run: Run, worker: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        work(run, worker)
    except BaseException as error:  # noqa: BLE001 - logged for the parent; a child never runs its code
        with (run.directory / f"{worker}.{os.getpid()}").open("a") as log:
            print(f"error {type(error).__name__}: {error}", file=log)
        os._exit(1)
    os._exit(0)


@dataclass
class Result:
    """What was seen."""

    most_believers: int
    believing: dict[int, float]
    """How long how many believed at once, in seconds."""
    most_held: int
    held: dict[int, int]
    """How often the records showed so many seats held, of regular looks while everybody ran."""
    served: int
    kills: int
    grants: int
    told_full: int
    wrongly_full: list[str]
    """Who was told that every seat is held although one had been free for a second. Judged where a machine has one
    process."""
    errors: list[str]
    """What no program should meet here."""
    slow: int
    """How often nobody answered in time, or a held seat's lease ran out: an overloaded machine, and no promise broken.
    """
    lasted: float

    def table(self) -> str:
        looks = sum(self.held.values())
        total = sum(self.believing.values())
        lines = [
            f"lasted {self.lasted:.0f} s, {self.grants} times a seat was held, "
            f"{self.kills} kills, {self.slow} times too slow"
        ]
        lines += [f"error: {error}" for error in sorted(set(self.errors))[:5]]
        lines.append(f"told full: {self.told_full} times, of these wrongly: {len(self.wrongly_full)}")
        lines += self.wrongly_full[:5]
        lines.append(
            f"most holders at once, by what they believed: {self.most_believers}; by the records: {self.most_held}"
        )
        lines.append(
            "seats in use, by the records: "
            + ", ".join(f"{n}: {count / looks:.1%}" for n, count in sorted(self.held.items(), reverse=True))
        )
        lines.append(
            "believers at once: "
            + ", ".join(
                f"{n}: {t / total:.1%}" for n, t in sorted(self.believing.items(), reverse=True) if t / total > 0.0005
            )
        )
        lines.append(f"workers that got a seat: {self.served}")
        return "\n".join(lines)


def play(run: Run) -> Result:
    """Run it and read what everybody wrote."""
    rng = random.Random()
    children: dict[int, int] = {}
    deaths: dict[int, float] = {}
    due: list[tuple[float, int]] = [(CLOCK.monotonic(), worker) for worker in range(run.processes)]
    began, warm_at, next_kill, next_look, kills = CLOCK.monotonic(), 0.0, 0.0, 0.0, 0
    held: dict[int, int] = defaultdict(int)
    try:
        while True:
            now = CLOCK.monotonic()
            for at, worker in list(due):
                if at <= now:
                    due.remove((at, worker))
                    children[start(run, worker)] = worker
            if not warm_at and not due:  # everybody is there
                # Not `now`: on a busy machine it takes long to start them all.
                warm_at = next_kill = CLOCK.monotonic() + 2.0
                run.over_at = warm_at + run.seconds
            if now >= run.over_at and not run.is_over():
                run.end()
            for pid in list(children):
                if os.waitpid(pid, os.WNOHANG)[0]:
                    deaths.setdefault(pid, CLOCK.monotonic())
                    del children[pid]
            if run.kill_every and next_kill and next_kill <= now < run.over_at and children:
                pid = rng.choice(list(children))
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                deaths[pid] = CLOCK.monotonic()  # after it is certain: until then it may have believed
                due.append((now + rng.uniform(0.0, 9.0), children.pop(pid)))
                kills, next_kill = kills + 1, now + rng.expovariate(1 / run.kill_every)
            if warm_at and warm_at <= now < run.over_at and next_look <= now:
                held[run.machine.held(run.license)] += 1
                next_look = now + 0.25
            if now >= run.over_at and not children and not due:
                break
            if now > (run.over_at if warm_at else began) + 90:
                raise AssertionError(f"90 s after the end {len(children)} workers still wait")
            time.sleep(0.02)
    finally:
        end_all(children)
    return judge(run, deaths, dict(held), kills, began)


def end_all(children: Iterable[int]) -> None:
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


@dataclass
class Journal:
    """What all workers wrote: when a belief began (1) or ended (-1) on which machine, and what went wrong."""

    changes: list[tuple[float, int, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    grants: int = 0
    slow: int = 0


def read_journal(run: Run, deaths: dict[int, float]) -> Journal:
    journal = Journal()
    for path in run.directory.glob("*.*"):
        worker, _, pid = path.name.partition(".")
        if not pid.isdigit():
            continue
        ends: list[tuple[float, float]] = []
        lines = whole_lines(path)
        journal.asks += read_asks(lines, run.hardware(int(worker)))
        for line in [*lines, f"stop {deaths.get(int(pid), float('inf'))}"]:
            word, *rest = line.split()
            if word == "believe" and len(rest) == 2:
                ends.append((float(rest[0]), float(rest[1])))
            elif word == "stop" and ends:
                journal.grants += 1
                until = min(max(end for _, end in ends), float(rest[0]))
                name = run.hardware(int(worker))
                journal.changes += [(ends[0][0], 1, name), (until, -1, name)]
                ends = []
            elif word == "lost" or line.startswith("error ServerUnreachable"):
                journal.slow += 1
            elif word == "error":
                journal.errors.append(line)
    return journal


def judge(run: Run, deaths: dict[int, float], held: dict[int, int], kills: int, began: float) -> Result:
    """Put all beliefs on one line of time. A machine counts once, however many of its processes believe."""
    journal = read_journal(run, deaths)
    counts: dict[str, int] = defaultdict(int)
    believing: dict[int, float] = defaultdict(float)
    most, before = 0, None
    for at, change, name in sorted(journal.changes):
        believers = sum(1 for n in counts.values() if n)
        if before is not None:
            believing[believers] += at - before
        counts[name] += change
        before = at
        most = max(most, sum(1 for n in counts.values() if n))
    full = [] if run.one_machine else wrongly_told_full(journal.asks, seats=run.seats, lease=run.machine.ttl)
    return Result(
        most,
        dict(believing),
        max(held, default=0),
        held,
        len(list(run.directory.glob("*.had"))),
        kills,
        journal.grants,
        sum(ask.is_told_full for ask in journal.asks),
        full,
        journal.errors,
        journal.slow,
        CLOCK.monotonic() - began,
    )


def contention(
    machine: Machine,
    *,
    seconds: float,
    processes: int = 50,
    seats: int = 10,
    one_machine: bool = False,
    kill_every: float = 4.0,
) -> Result:
    """The whole of it on a server that runs."""
    license_ = machine.license(seats=seats, grace_hours=0, processes=processes + 14)
    with tempfile.TemporaryDirectory(prefix="contention-") as name:
        run = Run(machine, license_, processes, seats, seconds, one_machine, Path(name), kill_every)
        return play(run)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.local.contention", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--processes", type=int, default=50)
    parser.add_argument("--seats", type=int, default=10)
    parser.add_argument(
        "--kill-every", type=float, default=4.0, help="seconds between two kills, on average; 0 for none"
    )
    options = parser.parse_args()
    wrong = 0
    with running() as machine:
        for one_machine in (False, True):
            seconds = options.seconds if not one_machine else options.seconds / 2
            print(
                f"{options.processes} processes with {1 if one_machine else options.processes} hardware ids, "
                f"{options.seats} seats, {seconds:.0f} s"
            )
            result = contention(
                machine,
                seconds=seconds,
                processes=options.processes,
                seats=options.seats,
                one_machine=one_machine,
                kill_every=options.kill_every,
            )
            print(result.table(), flush=True)
            most = 1 if one_machine else options.seats
            good = (
                result.most_believers == most == result.most_held
                and result.served == options.processes
                and not result.errors
                and not result.wrongly_full
            )
            print("as promised" if good else "NOT as promised", flush=True)
            wrong += not good
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
