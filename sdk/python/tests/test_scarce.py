"""What a program may lack: descriptors of files, and the folder that it works in. Only documented errors come of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from .fake_server import Http
from .test_given_back import kept
from .test_lifecycle import POSIX, run

pytestmark = POSIX

FACES = """
import asyncio
from coditect_license import AsyncLicenseClient, LicenseError

async def held(client):
    async with client, client.seat() as seat:
        return seat.state.value

def by_thread(**more):
    with LicenseClient(client._context.server, **settings | more) as own, own.seat() as seat:
        return seat.state.value

def by_task(**more):
    return asyncio.run(held(AsyncLicenseClient(client._context.server, **settings | more)))

start = {"thread": by_thread, "task": by_task}[%r]
"""
WITHOUT_DESCRIPTORS = """
import resource
if warm:
    start()
taken = []
def take():
    try:
        while True: taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
async def starved():
    take()
    async with AsyncLicenseClient(client._context.server, **settings) as own, own.seat():
        return "online"
def go():
    if start is by_task: return asyncio.run(starved())
    take()
    return start()
try:
    said = go()
except LicenseError as error:
    said = type(error).__name__
    assert "descriptor" in str(error), error
for one in taken: os.close(one)
print(said, start())
"""


@pytest.mark.parametrize("warm", [True, False], ids=["later", "at the first start"])
@pytest.mark.parametrize("face", ["thread", "task"])
def test_without_free_descriptors_a_start_is_refused_and_the_next_one_gets_a_seat(
    http: Http, tmp_path: Path, face: str, warm: bool
) -> None:
    code = f"warm = {warm}\nsettings |= dict(max_retries=0, timeout=5.0, offline=False)\n"
    said = run(http, tmp_path, FACES % face + code + WITHOUT_DESCRIPTORS).split()
    assert said == ["ConfigurationError", "online"]
    assert len(http.fake.sessions) == 1 + warm and not kept(http.fake)


IDENTITY = """
import resource
from coditect_license import ConfigurationError
del settings["hardware_id"]
own = LicenseClient(client._context.server, **settings)
limit = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit[0], 64), limit[1]))
taken = []
try:
    while True: taken.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
try:
    print(own.hardware_id)
except ConfigurationError as error:
    assert "descriptor" in str(error), error
for one in taken: os.close(one)
resource.setrlimit(resource.RLIMIT_NOFILE, limit)
print(own.hardware_id, LicenseClient(client._context.server, **settings).hardware_id)
"""


def test_a_machine_whose_id_cannot_be_read_for_want_of_descriptors_is_taken_for_no_other(
    http: Http, tmp_path: Path
) -> None:
    said = run(http, tmp_path, IDENTITY).split()
    assert len(said) == 2 and said[0] == said[1]


HELD = """
import resource
settings |= dict(offline=False)
problems = []
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
with LicenseClient(client._context.server, **settings) as own, own.seat() as seat:
    taken = []
    try:
        while True: taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass
    over = time.monotonic() + 20
    seat.retry_now()
    while seat.problem is None and time.monotonic() < over: time.sleep(0.01)
    print(seat.state.value, type(seat.problem).__name__)
    assert "descriptor" in str(seat.problem), seat.problem
    for one in taken: os.close(one)
    seat.retry_now()
    while seat.problem is not None and time.monotonic() < over: time.sleep(0.01)
    print(seat.state.value, seat.problem)
"""


def test_a_held_seat_outlives_a_time_without_free_descriptors(http: Http, tmp_path: Path) -> None:
    assert run(http, tmp_path, HELD).split() == ["online", "ServerUnreachable", "online", "None"]
    assert len(http.fake.sessions) == 1 and not kept(http.fake)


@pytest.mark.parametrize("face", ["thread", "task"])
@pytest.mark.parametrize("more", ["{}", "dict(installation='program', hardware_id=None)", "dict(cache_dir='cache')"])
def test_a_folder_that_is_removed_below_a_program_costs_no_seat(
    http: Http, tmp_path: Path, face: str, more: str
) -> None:
    code = f"""
import tempfile
folder = tempfile.mkdtemp()
os.chdir(folder)
os.rmdir(folder)
try:
    print(start(**{more}))
except LicenseError as error:
    print(type(error).__name__, "installation" in str(error))
"""
    said = run(http, tmp_path, FACES % face + code)
    assert said in ("online\n", "ConfigurationError True\n")
    assert (said == "online\n") == ("installation" not in more) and not kept(http.fake)
