"""What ends a session, what only seems to, and how a seat comes back, by clocks that tests move."""

from __future__ import annotations

import itertools
import json

import httpx
import pytest

from coditect_license import (
    InvalidKey,
    LicenseClient,
    LicenseExpired,
    LicenseRevoked,
    LicenseSuspended,
    NoSeats,
    SeatState,
    ServerUnreachable,
    SessionGone,
    VerificationFailed,
)
from coditect_license._errors import Refusal
from coditect_license._seat_view import SeatView

from .conftest import FakeClock
from .fake_server import FakeServer
from .world import World


@pytest.fixture
def world(client: LicenseClient, server: FakeServer, clock: FakeClock) -> World:
    return World.of(client, server, clock)


def test_after_a_410_it_acquires_again_with_a_new_attempt(world: World, server: FakeServer) -> None:
    world.start()
    server.refuse["heartbeat"] = (410, "session_gone", {"reason": "expired"})
    world.run(110)
    del server.refuse["heartbeat"]
    first, second = server.bodies("acquire")
    assert first["attempt"] != second["attempt"]
    assert world.state() is SeatState.ONLINE and world.states() == []
    world.run(120)
    assert server.calls[-1][2] == "handle-1", "heartbeats are of the new session"


def test_with_reacquire_off_a_410_is_the_end(client: LicenseClient, server: FakeServer, clock: FakeClock) -> None:
    world = World.of(client, server, clock, reacquire=False)
    world.start()
    server.refuse["heartbeat"] = (410, "session_gone", {"reason": "expired"})
    world.run(500)
    assert world.state() is SeatState.GONE and server.verbs().count("acquire") == 1
    assert isinstance(world.core.problem, SessionGone) and world.core.problem.reason == "expired"


def test_who_was_kicked_does_not_come_back_by_itself(world: World, server: FakeServer) -> None:
    world.start()
    server.refuse["heartbeat"] = (410, "session_gone", {"reason": "kicked"})
    world.run(5000)
    assert server.verbs() == ["acquire", "heartbeat"]
    assert (world.state(), world.states()) == (SeatState.GONE, [SeatState.GONE])
    assert world.context.store.load() is None, "nor from the kept token"


def test_suspended_keeps_its_lease_keeps_asking_and_has_no_grace(world: World, server: FakeServer) -> None:
    world.start()
    server.refuse["heartbeat"] = (
        403,
        "license_suspended",
        {"license": "1XTSA1CTX2VZP", "since": "2026-11-21T03:10:48Z"},
    )
    world.run(120)
    assert world.state() is SeatState.ONLINE
    assert isinstance(world.core.problem, LicenseSuspended) and world.core.problem.since is not None
    world.run(300)
    assert world.state() is SeatState.DEGRADED, "grace is for being without contact"
    asked = server.verbs().count("heartbeat")
    world.run(600)
    assert server.verbs().count("heartbeat") - asked in range(5, 8)
    del server.refuse["heartbeat"]
    world.run(120)
    assert world.state() is SeatState.ONLINE and world.core.problem is None


@pytest.mark.parametrize(
    ("code", "kind"), [("license_expired", LicenseExpired), ("license_suspended", LicenseSuspended)]
)
def test_a_signed_no_takes_the_kept_token_away(
    world: World, server: FakeServer, code: str, kind: type[Refusal]
) -> None:
    world.start()
    assert world.context.store.load() is not None
    server.refuse["heartbeat"] = (403, code, {})
    world.run(110)
    assert world.context.store.load() is None
    assert isinstance(world.core.problem, kind)


def test_revoked_is_the_end(world: World, server: FakeServer) -> None:
    world.start()
    server.refuse["heartbeat"] = (403, "license_revoked", {})
    world.run(2000)
    assert world.state() is SeatState.GONE and isinstance(world.core.problem, LicenseRevoked)
    assert server.verbs().count("heartbeat") == 1


def test_an_unsigned_refusal_counts_as_unreachable(world: World, server: FakeServer) -> None:
    world.start()
    server.sign_refusals = False
    server.refuse["heartbeat"] = (410, "session_gone", {"reason": "kicked"})
    world.run(150)
    assert world.state() is SeatState.ONLINE and isinstance(world.core.problem, ServerUnreachable)
    world.run(300)
    assert world.state() is SeatState.OFFLINE, "whoever said so is not the server: the grace stands"


def test_a_refusal_of_another_request_counts_as_unreachable(world: World, server: FakeServer) -> None:
    world.start()
    server.answer_nonce = "x" * 22
    server.refuse["heartbeat"] = (403, "license_revoked", {})
    world.run(150)
    assert world.state() is SeatState.ONLINE and isinstance(world.core.problem, ServerUnreachable)


def test_a_refusal_whose_code_was_changed_counts_as_unreachable(world: World, server: FakeServer) -> None:
    world.start()
    server.tweak = {"code": "license_suspended"}
    server.refuse["heartbeat"] = (403, "license_revoked", {})
    world.run(150)
    assert world.state() is SeatState.ONLINE and isinstance(world.core.problem, ServerUnreachable)


def test_a_refusal_whose_reason_was_changed_counts_as_unreachable(world: World, server: FakeServer) -> None:
    """Who was kicked must not be brought back by somebody who writes "expired" over it, nor others be kept away."""
    world.start()
    server.tweak = {"reason": "kicked"}
    server.refuse["heartbeat"] = (410, "session_gone", {"reason": "expired"})
    world.run(150)
    assert world.state() is SeatState.ONLINE and isinstance(world.core.problem, ServerUnreachable)
    assert server.verbs().count("acquire") == 1


def test_a_lease_that_answers_another_request_is_not_believed(world: World, server: FakeServer) -> None:
    world.start()
    server.answer_nonce = "x" * 22
    world.run(356)
    assert world.state() is SeatState.OFFLINE
    assert isinstance(world.core.problem, VerificationFailed) and world.core.problem.check == "nonce"


def test_a_session_the_server_does_not_know_is_acquired_again_with_the_same_attempt(
    world: World, server: FakeServer
) -> None:
    """A 401 of a handle is never signed. Acquiring with the same attempt is right whether it was true or a lie."""
    world.start()
    server.refuse["heartbeat"] = (401, "token_invalid", {})
    server.sign_refusals = False
    world.run(130)
    first, second = server.bodies("acquire")[:2]
    assert first["attempt"] == second["attempt"]
    assert world.state() is SeatState.ONLINE


def test_full_after_a_lost_session_waits_for_a_seat_and_takes_it(world: World, server: FakeServer) -> None:
    world.start()
    server.refuse["heartbeat"] = (410, "session_gone", {"reason": "expired"})
    server.refuse["acquire"] = (
        409,
        "no_seats_available",
        {"seats_total": 5, "seats_used": 5, "next_seat_in": 4, "holders": []},
    )
    world.run(200)
    assert world.state() is SeatState.DEGRADED and isinstance(world.core.problem, NoSeats)
    tries = world.times("acquire")[1:]
    assert all(4 <= b - a <= 5 for a, b in itertools.pairwise(tries)) and len(tries) > 10
    server.refuse.clear()
    world.run(6)
    assert world.state() is SeatState.ONLINE


def test_an_answer_to_a_request_of_before_a_release_is_dropped(world: World) -> None:
    released: list[bool] = []
    world.start()
    world.during = lambda: released.append(world.give_back())
    world.run(200)
    assert world.state() is SeatState.GONE and world.core.lease_left == 0
    assert world.core.lease is None


def test_a_seat_granted_after_the_release_is_given_back(world: World, server: FakeServer) -> None:
    released: list[bool] = []
    world.start()
    server.refuse["heartbeat"] = (410, "session_gone", {"reason": "expired"})

    def let_go_while_acquiring() -> None:
        world.during = lambda: released.append(world.give_back())

    world.during = let_go_while_acquiring
    world.run(200)
    assert server.verbs() == ["acquire", "heartbeat", "acquire", "release"]
    assert server.released == ["handle-1"], "the second session; the first was over already"


def test_a_lease_is_only_ever_raised(world: World) -> None:
    world.start()
    lease = world.core.lease
    assert lease is not None
    world.run(150)
    left = world.core.lease_left
    assert world.core.on_lease(lease, world.core.generation)
    assert world.core.lease_left == left


def test_release_is_said_once_and_ends_belief_before_it_is_sent(world: World, server: FakeServer) -> None:
    world.start()
    world.during = lambda: states.append(world.state())
    states: list[SeatState] = []
    assert world.give_back() and world.give_back()
    assert states == [SeatState.GONE]
    assert server.verbs() == ["acquire", "release"]


def test_a_new_start_after_a_release_draws_a_new_attempt(
    client: LicenseClient, server: FakeServer, clock: FakeClock
) -> None:
    for _ in range(2):
        world = World.of(client, server, clock)
        world.start()
        world.give_back()
    first, second = server.bodies("acquire")
    assert first["attempt"] != second["attempt"]


def test_retries_of_one_start_repeat_its_attempt_also_those_of_a_later_call(world: World, server: FakeServer) -> None:
    server.broken = lambda _: httpx.Response(500, json={"code": "internal", "detail": "x"})
    with pytest.raises(ServerUnreachable):
        world.start()
    server.broken = None
    again = World.of_context(world)
    again.start()
    attempts = {body["attempt"] for body in server.bodies("acquire")}
    assert len(server.bodies("acquire")) == 4 and len(attempts) == 1


def test_a_callback_that_raises_costs_nobody_a_seat(
    client: LicenseClient, server: FakeServer, clock: FakeClock
) -> None:
    world = World.of(client, server, clock)

    def burst(_: object) -> None:
        raise ZeroDivisionError

    world.core._on_event = burst
    world.start()
    world.down = True
    world.run(400)
    world.down = False
    world.run(120)
    assert world.state() is SeatState.ONLINE


def test_a_wrong_key_is_the_end_of_asking_again(world: World, server: FakeServer) -> None:
    world.start()
    server.refuse["heartbeat"] = (410, "session_gone", {"reason": "unknown"})
    server.refuse["acquire"] = (401, "license_key_invalid", {})
    world.run(3000)
    assert world.state() is SeatState.GONE and isinstance(world.core.problem, InvalidKey)


def test_waiting_polls_at_the_smaller_of_next_seat_in_and_15_s_with_jitter(
    world: World, server: FakeServer, clock: FakeClock
) -> None:
    members = {"seats_total": 5, "seats_used": 5, "next_seat_in": 300, "holders": []}
    server.refuse["acquire"] = (409, "no_seats_available", members)
    began = clock.mono
    with pytest.raises(NoSeats):
        world.start(wait=600)
    tries = world.times("acquire")
    gaps = [b - a for a, b in itertools.pairwise(tries)]
    assert 560 <= clock.mono - began <= 600
    assert all(15 <= gap <= 15 * 1.25 for gap in gaps) and len(set(gaps)) > 5
    members["next_seat_in"] = 3
    again = World.of_context(world)
    with pytest.raises(NoSeats):
        again.start(wait=60)
    tries = again.times("acquire")
    assert all(3 <= b - a <= 3 * 1.25 for a, b in itertools.pairwise(tries)) and len(tries) > 12


def test_an_about_box_finds_what_it_shows_online_and_offline(world: World, server: FakeServer) -> None:
    view = SeatView(world.core)
    before = view.metadata
    assert (before["license"], before["tier"], before["state"]) == ("1XTSA1CTX2VZP", None, "degraded")
    world.start()
    shown = view.metadata
    assert (shown["product"], shown["tier"], shown["seat"], shown["state"]) == ("studio", "pro", 0, "online")
    assert shown["features"] == {"cloud": True, "exports": 3, "beta": False} and shown["problem"] is None
    assert shown["license_expires_at"] is None and str(shown["offline_until"]).endswith("Z")
    world.down = True
    world.run(1000)
    offline = view.metadata
    assert offline["state"] == "offline" and "not reached" in offline["problem"]
    lease = world.core.lease
    assert lease is not None and lease.session not in json.dumps(offline) and world.context.key.text not in str(offline)
