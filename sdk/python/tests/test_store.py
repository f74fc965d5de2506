"""The kept token: what it is good for, and what happens when it cannot be kept or read."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coditect_license import LicenseClient, SeatState, ServerUnreachable, VerificationFailed, _store as store_module
from coditect_license._store import TokenStore

from .conftest import FakeClock
from .fake_server import ISSUER, FakeServer
from .world import World


@pytest.fixture
def world(client: LicenseClient, server: FakeServer, clock: FakeClock) -> World:
    return World.of(client, server, clock)


@pytest.fixture
def again(world: World) -> Callable[[], World]:
    """Ends the run that is where its release reaches nobody, and makes the next one of the same program there."""

    def begin() -> World:
        world.down = True
        world.give_back()
        return World(world.context, world.server, world.clock, down=True)

    return begin


def test_the_file_is_for_its_owner_alone_and_is_replaced_whole(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "a" / "b", "license", "product")
    store.save("t", "c", 17.9)
    assert store.problem is None
    if os.name == "posix":
        assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700
    before = store.path.stat().st_ino
    store.save("t2", "c", 18)
    assert store.path.stat().st_ino != before, "a new file in its place, never a half-written one"
    assert list(store.path.parent.iterdir()) == [store.path], "and nothing left beside it"
    kept = store.load()
    assert kept is not None and (kept.token, kept.seen) == ("t2", 18.0)


def test_each_license_product_pool_and_machine_has_a_file_of_its_own(tmp_path: Path) -> None:
    paths = {TokenStore(tmp_path, *names).path for names in (("a", "b"), ("a", "c"), ("ab",), ("a", "b", ""))}
    assert len(paths) == 4


def test_the_high_water_mark_only_rises(tmp_path: Path) -> None:
    store = TokenStore(tmp_path, "x")
    store.save("t", "c", 100)
    store.raise_seen(90)
    assert (kept := store.load()) is not None and kept.seen == 100
    store.raise_seen(110)
    assert (kept := store.load()) is not None and kept.seen == 110


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"token": 1}',
        b"[" * 5000,
        b'{"token":"t","certificate":"c","seen":"NaN"}',
        b'{"token":"t","certificate":"c","seen":1e999}',
    ],
)
def test_a_corrupt_file_is_said_so_and_the_online_path_is_taken(
    world: World, again: Callable[[], World], text: bytes
) -> None:
    world.start()
    world.context.store.path.write_bytes(text)
    run = again()
    with pytest.raises(ServerUnreachable) as caught:
        run.start()
    assert caught.value.offline is not None and "corrupt" in caught.value.offline and "replaced" in caught.value.offline
    reached = World.of_context(run)
    reached.start()
    assert (
        reached.state() is SeatState.ONLINE
        and (kept := world.context.store.load()) is not None
        and kept.token.count(".") == 2
    )


def test_a_kept_token_starts_a_seat_without_contact_within_its_grace(world: World, again: Callable[[], World]) -> None:
    world.start()
    run = again()
    run.clock.advance(86000)
    run.start()
    assert (run.state(), run.states()) == (SeatState.OFFLINE, [SeatState.OFFLINE])
    assert (
        isinstance(run.core.problem, ServerUnreachable)
        and run.core.claims is not None
        and run.core.claims.features["cloud"]
    )
    run.run(500)
    assert run.states() == [SeatState.OFFLINE, SeatState.DEGRADED]


def test_started_offline_it_comes_online_by_itself(
    world: World, again: Callable[[], World], server: FakeServer
) -> None:
    world.start()
    run = again()
    run.start()
    run.run(7000)
    run.down = False
    run.run(3600 * 1.1 + 10)
    assert run.states() == [SeatState.OFFLINE, SeatState.ONLINE]
    assert [body["attempt"] for body in server.bodies("acquire")][-1] == run.core.attempt


def test_two_seats_started_offline_are_two_sessions_once_the_server_is_back(
    world: World, again: Callable[[], World], server: FakeServer
) -> None:
    world.start()
    first = again()
    first.start()
    second = World(world.context, world.server, world.clock, down=True)
    second.start()
    first.down = second.down = False
    first.run(60)
    second.run(60)
    assert first.state() is second.state() is SeatState.ONLINE
    assert first.core.lease is not None and second.core.lease is not None
    assert first.core.lease.session != second.core.lease.session


def test_an_expired_grace_starts_nothing_and_says_so(world: World, again: Callable[[], World]) -> None:
    world.start()
    run = again()
    run.clock.advance(86401)
    with pytest.raises(ServerUnreachable, match="has expired"):
        run.start()


def test_a_clock_set_back_between_two_runs_does_not_extend_the_grace(
    world: World, again: Callable[[], World], clock: FakeClock
) -> None:
    world.start()
    world.down = True
    world.run(80000)
    run = again()
    clock.unix -= 70000
    run.start()
    assert run.core.grace_left == pytest.approx(6400, abs=5)
    run.run(6400 + 10)
    assert run.state() is SeatState.DEGRADED
    clock.unix -= 70000
    last = World(world.context, world.server, clock, down=True)
    run.give_back()
    with pytest.raises(ServerUnreachable, match="has expired"):
        last.start()


def test_a_clock_before_the_token_was_signed_is_the_tokens_time(
    world: World, again: Callable[[], World], clock: FakeClock
) -> None:
    world.start()
    run = again()
    clock.unix = 0.0  # an empty battery
    run.start()
    assert run.core.grace_left == pytest.approx(86400, abs=5)


def test_meeting_the_server_lowers_a_mark_that_a_wrong_clock_had_raised(
    world: World, again: Callable[[], World], clock: FakeClock
) -> None:
    world.start()
    world.down = True
    world.run(400)
    clock.unix += 10**9
    world.run(700)
    assert world.state() is SeatState.DEGRADED
    clock.unix -= 10**9
    world.down = False
    world.run(5000)
    assert world.state() is SeatState.ONLINE
    run = again()
    run.start()
    assert run.core.grace_left > 80000


def test_a_token_of_another_machine_starts_nothing(
    world: World, again: Callable[[], World], settings: dict[str, Any]
) -> None:
    world.start()
    kept = world.context.store.path.read_bytes()
    other = LicenseClient(ISSUER, clock=world.clock, **settings | {"hardware_id": "machine-0002"})
    other._context.store.path.write_bytes(kept)
    run = World(other._context, world.server, world.clock, down=True)
    with pytest.raises(ServerUnreachable, match="for another machine"):
        run.start()


def test_a_license_without_grace_starts_nothing_offline_even_within_the_last_lease(
    world: World, again: Callable[[], World], server: FakeServer
) -> None:
    server.grace = 0
    world.start()
    with pytest.raises(ServerUnreachable, match="no use without contact"):
        again().start()


def test_a_release_ends_the_grace_for_good(world: World) -> None:
    world.start()
    world.run(300)
    assert world.context.store.load() is not None
    world.give_back()
    assert world.context.store.load() is None
    with pytest.raises(ServerUnreachable, match="no token was kept"):
        World(world.context, world.server, world.clock, down=True).start()


def test_a_release_that_reaches_nobody_leaves_the_grace(world: World) -> None:
    world.start()
    world.down = True
    world.run(3600)
    world.give_back()
    run = World(world.context, world.server, world.clock, down=True)
    run.start()
    assert run.state() is SeatState.OFFLINE


def test_a_release_of_one_process_leaves_the_grace_of_another_that_lives(world: World, server: FakeServer) -> None:
    world.start()
    other = World.of_context(world)
    other.start()
    world.give_back()
    assert world.context.store.load() is not None, "the last token is the other's"
    other.give_back()
    assert world.context.store.load() is None


def test_a_lease_given_back_by_hand_ends_the_grace_of_its_own_session_alone(
    world: World, client: LicenseClient
) -> None:
    world.start()
    another = client.acquire()
    client.release(another)
    assert world.context.store.load() is not None, "the kept token is of the seat that lives"
    assert world.core.lease is not None
    client.release(world.core.lease)
    assert world.context.store.load() is None


def test_a_train_journey_with_a_stop_takes_no_grace_that_was_earned(world: World, server: FakeServer) -> None:
    """Two heartbeats, hours in a tunnel, a minute of contact in a new session without grace yet, and hours again."""
    world.start()
    world.run(300)
    world.down = True
    world.run(5 * 3600)
    assert world.state() is SeatState.OFFLINE
    world.down, server.grace = False, 0
    server.refuse["heartbeat"] = (410, "session_gone", {"reason": "expired"})
    world.core.retry_requested = True
    world.run(3600)
    del server.refuse["heartbeat"]
    assert world.state() is SeatState.ONLINE
    world.down = True
    world.run(5 * 3600)
    assert world.state() is SeatState.OFFLINE, "the grace of the session before goes on"
    run = World(world.context, world.server, world.clock, down=True)
    run.start()
    assert run.state() is SeatState.OFFLINE, "also after a restart"
    world.run(15 * 3600)
    assert world.state() is SeatState.DEGRADED, "and no longer than it was signed for"


def test_a_start_that_has_earned_nothing_keeps_the_grace_of_the_run_before(
    world: World, again: Callable[[], World], server: FakeServer
) -> None:
    world.start()
    server.grace = 0
    run = again()
    run.down = False
    run.start()
    run.down = True
    run.run(3600)
    assert run.state() is SeatState.OFFLINE


def test_a_grace_of_other_terms_is_not_kept(world: World, again: Callable[[], World], server: FakeServer) -> None:
    world.start()
    server.grace, server.tweak = 0, {"facts_version": 2}
    run = again()
    run.down = False
    run.start()
    run.down = True
    run.run(3600)
    assert run.state() is SeatState.DEGRADED


def test_offline_off_keeps_nothing_and_uses_nothing(
    server: FakeServer, clock: FakeClock, settings: dict[str, Any]
) -> None:
    client = LicenseClient(ISSUER, clock=clock, offline=False, **settings)
    world = World.of(client, server, clock)
    world.start()
    world.give_back()
    assert not client._context.store.path.exists()
    with pytest.raises(ServerUnreachable, match="offline=False"):
        World(client._context, server, clock, down=True).start()


def test_an_impostor_does_not_lock_out_who_has_a_grace_and_is_told_of(
    world: World, again: Callable[[], World], server: FakeServer
) -> None:
    world.start()
    run = again()
    run.down = False
    server.answer_nonce = "x" * 22
    run.start()
    assert run.state() is SeatState.OFFLINE
    assert isinstance(run.core.problem, VerificationFailed) and run.core.problem.check == "nonce"


def test_an_impostor_is_named_where_there_is_no_grace(world: World, server: FakeServer) -> None:
    server.answer_nonce = "x" * 22
    with pytest.raises(VerificationFailed) as caught:
        world.start()
    assert caught.value.check == "nonce"


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_costs_the_offline_start_and_nothing_else(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "write_private", full)
    world.start()
    world.run(1000)
    assert world.state() is SeatState.ONLINE and world.core.problem is None
    problem = world.context.store.problem
    assert problem is not None and "No space left" in problem


def test_a_disk_that_fills_up_while_writing_leaves_what_was_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start()
    before = world.context.store.path.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    world.run(500)
    assert world.state() is SeatState.ONLINE
    assert world.context.store.path.read_bytes() == before
    assert list(world.context.store.path.parent.iterdir()) == [world.context.store.path]


def test_an_unwritable_home_costs_the_offline_start_and_nothing_else(
    server: FakeServer, clock: FakeClock, settings: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a directory, whoever asks")  # also root is refused here
    client = LicenseClient(ISSUER, clock=clock, **settings | {"cache_dir": tmp_path / "file" / "cache"})
    world = World.of(client, server, clock)
    world.start()
    world.run(1000)
    assert world.state() is SeatState.ONLINE
    assert client.store_problem is not None and "cannot be kept" in client.store_problem
    world.down = True
    world.run(400)
    assert world.state() is SeatState.OFFLINE, "the grace of this run is in memory"
    world.give_back()


def test_the_kept_file_lets_nobody_use_the_session(world: World) -> None:
    world.start()
    text = world.context.store.path.read_text()
    lease = world.core.lease
    assert lease is not None and lease.session not in text and world.context.key.text not in text
    assert set(json.loads(text)) == {"token", "certificate", "seen"}
