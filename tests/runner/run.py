"""Builds every test once and runs the jobs side by side, those that take long first. `./dev test` calls it.

run.py [--changed] [--quick] [--only NAME]... [--without NAME]... [--jerky PROCESSORS] [--busy-disk] [--list]

    --changed    only what the files changed since the branch left main can concern (the rule: changed.py)
    --quick      without the jobs that are known to take more than 20 seconds; it says which
    --only NAME  only jobs whose name has this in it; may be given more than once
    --without NAME  not those whose name has this in it
    --jerky N    the jobs have so many processors (0.7, say), and those in jerks: as on a machine that others share. Needs root on Linux
    --busy-disk  four others write to the disk of this clone all the time, as on such a machine. Needs 8 GB there
    --list       what would run, and what is known of it, instead of running it

What each job printed is kept whole below target/tests, and printed if it fails. Exit status 0: all jobs passed.
"""

import argparse
import contextlib
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import changed
import jobs
import noisy_neighbors
from jobs import ROOT, Job
from schedule import Schedule

LOGS = ROOT / "target/tests"
SUPERVISE = Path(__file__).with_name("supervise.py")
SLOWEST = 10
NOTICE_SECONDS = 0.5
# Seconds that a job may be known to take to be run by --quick.
QUICK = 20
# `test name ... ok <1.234s>`, and pytest's `1.23s call     test_x.py::name`.
RUST_TEST = re.compile(r"^test (\S+)(?: - should panic)? \.\.\. \w+ <([\d.]+)s>", re.MULTILINE)
PYTEST_TEST = re.compile(r"^([\d.]+)s (?:call|setup|teardown) +(\S+)", re.MULTILINE)
PASSED = re.compile(r"(?:^test result: .* |^)(\d+) passed", re.MULTILINE)


@dataclass(frozen=True)
class Result:
    """How a job went. Seconds are of the clock and of the processors."""

    job: Job
    status: int
    seconds: float
    processor: float
    output: str

    def line(self) -> str:
        passed = sum(int(count) for count in PASSED.findall(self.output))
        word = "ok    " if self.status == 0 else "FAILED"
        return f"{word} {self.seconds:6.1f} s {self.processor:6.1f} s of processor  {self.job.name}  {passed} passed"


class Running:
    """The jobs that run now. Ended together: Ctrl-C, a signal, an error in here."""

    def __init__(self) -> None:
        self.processes: set[subprocess.Popen] = set()
        self.lock = threading.Lock()
        self.stopping = False

    def run(self, job: Job) -> Result:
        log = LOGS / (re.sub(r"[^\w.-]+", "-", job.name) + ".log")
        report = log.with_suffix(".used")
        niceness = ["nice", "-n", "10"] if job.weight.patient else []
        command = [*niceness, sys.executable, str(SUPERVISE), str(report), *job.command]
        environment = {**os.environ, **job.environment}
        began = time.monotonic()
        with log.open("wb") as out:
            with self.lock:
                if self.stopping:
                    return Result(job, 130, 0, 0, "")
                process = subprocess.Popen(
                    command, cwd=job.directory, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
                )
                self.processes.add(process)
            status = process.wait()
            with self.lock:
                self.processes.discard(process)
        used = float(report.read_text()) if report.exists() else 0.0
        return Result(job, status, time.monotonic() - began, used, log.read_text(encoding="utf-8", errors="replace"))

    def stop(self) -> None:
        """Asks all jobs to stop and waits for them; a second Ctrl-C kills them."""
        with self.lock:
            self.stopping = True
            left = list(self.processes)
        try:
            for process in left:
                process.terminate()
            for process in left:
                process.wait()
        except KeyboardInterrupt:
            for process in left:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)


def run_all(all_jobs: list[Job]) -> list[Result]:
    """Runs the jobs as the schedule allows and tells of each when it ends."""
    schedule, running, results = Schedule(all_jobs, jobs.cores()), Running(), []
    ended: queue.SimpleQueue[Result] = queue.SimpleQueue()
    try:
        while schedule.waiting or schedule.running:
            for job in schedule.take():
                threading.Thread(target=lambda job=job: ended.put(running.run(job)), daemon=True).start()
            result = next_of(ended)
            schedule.end(result.job)
            results.append(result)
            if result.status != 0:
                print(f"\n--- {result.job.name}: exit status {result.status}\n{result.output}\n---", flush=True)
            print(result.line(), flush=True)
    finally:
        running.stop()
    return results


def next_of(ended: "queue.SimpleQueue[Result]") -> Result:
    """The next one. A signal that comes just before a wait begins does not interrupt it, and is noticed after it: so no wait is a long one."""
    while True:
        with contextlib.suppress(queue.Empty):
            return ended.get(timeout=NOTICE_SECONDS)


def slowest_tests(results: list[Result]) -> list[tuple[float, str]]:
    found = []
    for result in results:
        found += [(float(seconds), f"{result.job.name} {name}") for name, seconds in RUST_TEST.findall(result.output)]
        if not result.job.package:
            found += [(float(seconds), f"{result.job.name} {name}") for seconds, name in PYTEST_TEST.findall(result.output)]
    return sorted(found, reverse=True)[:SLOWEST]


def tell(results: list[Result], seconds: float) -> int:
    """The ten slowest jobs and tests, what failed, and the exit status."""
    print(f"\nThe {SLOWEST} slowest jobs")
    for result in sorted(results, key=lambda result: -result.seconds)[:SLOWEST]:
        print(f"  {result.seconds:6.1f} s {result.processor:6.1f} s of processor  {result.job.name}")
    print(f"The {SLOWEST} slowest tests")
    for took, name in slowest_tests(results):
        print(f"  {took:6.1f} s  {name}")
    failed = [result.job.name for result in results if result.status != 0]
    processor = sum(result.processor for result in results)
    print(f"{len(results)} jobs in {seconds:.0f} s, {processor:.0f} s of processor; what they printed is in {LOGS.relative_to(ROOT)}")
    print(f"FAILED: {', '.join(failed)}" if failed else "All passed", flush=True)
    return 1 if failed else 0


def choose(options: argparse.Namespace) -> list[Job]:
    binaries, libraries = jobs.built()
    chosen = [*binaries, *jobs.elsewhere()]
    jobs.check_weights(chosen)
    if options.changed:
        chosen = changed.concerned(chosen, libraries)
    if options.only:
        chosen = [job for job in chosen if any(part in job.name for part in options.only)]
    chosen = [job for job in chosen if not any(part in job.name for part in options.without)]
    if options.quick:
        slow = [job for job in chosen if job.weight.seconds > QUICK]
        print(f"Left out, because they take long: {', '.join(job.name for job in slow) or 'none'}", flush=True)
        chosen = [job for job in chosen if job not in slow]
    return chosen


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changed", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("--jerky", type=float, metavar="PROCESSORS")
    parser.add_argument("--busy-disk", action="store_true")
    parser.add_argument("--list", action="store_true")
    return parser


def main() -> int:
    options = arguments().parse_args()
    # Also where a shell that started this in the background ignores SIGINT.
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, signal.default_int_handler)
    chosen = choose(options)
    if options.list:
        for job in sorted(chosen, key=lambda job: -job.weight.seconds):
            print(f"{job.weight.seconds:4.0f} s  {job.weight.cores:.1f} processors  {job.name}")
        return 0
    if not chosen:
        print("Nothing to run")
        return 0
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    began = time.monotonic()
    with noisy_neighbors.busy_disk(options.busy_disk, LOGS), noisy_neighbors.jerky(options.jerky):
        results = run_all(chosen)
    return tell(results, time.monotonic() - began)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("Stopped", file=sys.stderr)
        sys.exit(130)
