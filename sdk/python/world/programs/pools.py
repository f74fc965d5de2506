"""Children of one kind that each take a seat: which of them say that they are online.

pools.py KIND METHOD [task]    KIND: process, pool, pool-terminate, executor, raises, forked-holder; METHOD: fork,
spawn, forkserver, or billiard for its own fork; with the word task each child takes its seat in an event loop of its
own, which it cannot for pool-terminate: there a signal would have to give it back
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib
import multiprocessing
import os
import sys
import warnings
from typing import Any

from coditect_license import AsyncLicenseClient, LicenseClient

CHILDREN = 3
seat: Any = None
loop: Any = None
FACE = "POOLS_FACE"  # in the environment, since children of every kind inherit it


def take() -> Any:
    global loop
    if os.environ.get(FACE) != "task":
        return LicenseClient().seat()
    loop = asyncio.new_event_loop()  # it is never closed, as where the child ends within a task

    async def hold() -> Any:
        return await AsyncLicenseClient().seat()

    return loop.run_until_complete(hold())


def work(number: int) -> str:
    """As a task does it: the seat of this process is taken once and nobody gives it back by hand."""
    global seat
    if seat is None or seat.state.value == "gone":
        seat = take()
    return seat.state.value


def work_until_terminated(number: int) -> str:
    global seat
    if seat is None:
        seat = LicenseClient().seat(release_on_signals=True)
    return seat.state.value


def tell(number: int, queue: Any) -> None:
    queue.put(work(number))


def tell_and_raise(number: int, queue: Any) -> None:
    sys.stderr = open(os.devnull, "w")  # the traceback of the child is what is expected
    tell(number, queue)
    raise RuntimeError("a task that fails")


def processes(context: Any, target: Any) -> list[str]:
    queue = context.Queue()
    children = [context.Process(target=target, args=(number, queue)) for number in range(CHILDREN)]
    for child in children:
        child.start()
    said = [queue.get(timeout=60) for _ in children]
    for child in children:
        child.join(60)
    return said


def pool(context: Any, target: Any, terminate: bool) -> list[str]:
    if terminate:
        with context.Pool(CHILDREN) as workers:
            return workers.map(target, range(2 * CHILDREN), 1)
    workers = context.Pool(CHILDREN, maxtasksperchild=2)
    said = workers.map(target, range(2 * CHILDREN), 1)
    workers.close()
    workers.join()
    return said


def executor(context: Any) -> list[str]:
    with concurrent.futures.ProcessPoolExecutor(CHILDREN, mp_context=context) as workers:
        return list(workers.map(work, range(2 * CHILDREN)))


def main(kind: str, method: str, face: str = "thread") -> list[str]:
    global seat
    os.environ[FACE] = face
    # Python 3.12 warns of forks beside threads; the programs that these stand for have threads.
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    context: Any = importlib.import_module("billiard") if method == "billiard" else multiprocessing.get_context(method)
    if kind == "forked-holder":
        seat = LicenseClient().seat()
    if kind in ("process", "forked-holder"):
        said = processes(context, tell)
        if kind == "forked-holder":
            said.append(seat.state.value)
            seat.release()
        return said
    if kind == "raises":
        return processes(context, tell_and_raise)
    if kind == "executor":
        return executor(context)
    return pool(context, work_until_terminated if kind == "pool-terminate" else work, kind == "pool-terminate")


if __name__ == "__main__":
    print(" ".join(main(*sys.argv[1:])))
