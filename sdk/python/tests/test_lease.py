"""What a seat believes, and what it does about it, by clocks that tests move."""

from __future__ import annotations

import itertools

import httpx
import pytest

from coditect_license import (
    LicenseClient,
    SeatState,
    ServerUnreachable,
)

from .conftest import FakeClock
from .fake_server import FakeServer, Signer
from .world import World


@pytest.fixture
def world(client: LicenseClient, server: FakeServer, clock: FakeClock) -> World:
    return World.of(client, server, clock)


def test_the_lease_counts_from_when_the_request_was_sent(world: World) -> None:
    world.delay = 5.0
    world.start()
    assert world.core.lease_left == 350.0
    assert world.state() is SeatState.ONLINE


def test_an_answer_whose_lease_is_over_is_no_lease(world: World) -> None:
    world.delay = 400.0
    world.context.timeout = 10.0
    with pytest.raises(ServerUnreachable, match="after the lease"):
        world.start()
    assert world.core.lease is None


def test_a_lease_longer_than_the_token_says_is_cut_to_it(world: World, server: FakeServer) -> None:
    """Only the token is signed: somebody on the way who writes a longer lease beside it gains nothing."""

    def longer(request: httpx.Request) -> httpx.Response:
        server.broken = None
        answer = server._handle(request)
        server.broken = longer
        return httpx.Response(answer.status_code, json=answer.json() | {"expires_in": 10**6, "heartbeat_in": 10**6})

    server.broken = longer
    world.start()
    assert world.core.lease_left == 355.0
    assert world.core.next_pause() <= 355.0 / 2


def test_heartbeats_are_paced_by_the_server_and_spread(world: World) -> None:
    world.start()
    world.run(3600)
    beats = world.times("heartbeat")
    gaps = [b - a for a, b in itertools.pairwise(beats)]
    assert len(beats) in range(33, 37)
    assert all(108 * 0.93 <= gap <= 108 for gap in gaps)
    assert len(set(gaps)) > 10, "no two seats stay in step"
    assert world.states() == [] and world.state() is SeatState.ONLINE


def test_a_heartbeat_says_which_certificate_it_holds_and_does_not_get_it_again(
    world: World, server: FakeServer
) -> None:
    world.start()
    world.run(300)
    assert {body["certificate_kid"] for body in server.bodies("heartbeat")} == {server.signer.kid}
    assert world.core.lease is not None and world.core.lease.certificate == server.signer.certificate


def test_each_instance_of_the_server_sends_its_certificate_once(world: World, server: FakeServer) -> None:
    now = int(server.now())
    instances = [server.signer, Signer(now, issuer=server.issuer), Signer(now, issuer=server.issuer)]
    sent = []
    world.start()
    for beat in range(12):
        server.signer = instances[beat % 3]
        before = len(server.bodies("heartbeat"))
        while len(server.bodies("heartbeat")) == before:
            world.run(1)
        assert world.core.lease is not None and world.core.lease.certificate == server.signer.certificate
        sent.append(server.signer.kid not in server.bodies("heartbeat")[-1]["certificate_kid"].split())
    assert sent == [False, True, True] + [False] * 9
    assert world.state() is SeatState.ONLINE


def test_no_more_certificates_are_named_than_sixteen_and_none_that_is_over(world: World, server: FakeServer) -> None:
    now = int(server.now())
    short = Signer(now, issuer=server.issuer, exp=now + 600)
    signers = [short, *(Signer(now, issuer=server.issuer) for _ in range(20))]
    world.start()
    for server.signer in signers:
        world.run(110)
    named = [body["certificate_kid"].split() for body in server.bodies("heartbeat")]
    assert max(len(kids) for kids in named) == 16
    assert short.kid in named[2] and short.kid not in named[10]
    assert world.state() is SeatState.ONLINE


def test_every_request_has_a_nonce_of_its_own(world: World, server: FakeServer) -> None:
    world.start()
    world.run(1000)
    nonces = [body["nonce"] for _, body, _ in server.calls]
    assert len(nonces) > 5 and len(set(nonces)) == len(nonces)


def test_on_faults_it_asks_every_10_to_20_seconds_inside_the_lease_and_stays_online(world: World) -> None:
    world.start()
    world.run(150)
    world.down = True
    world.run(200)
    tries = [at for at in world.times("heartbeat") if at > 1150]
    gaps = [b - a for a, b in itertools.pairwise(tries)]
    assert len(gaps) >= 6 and all(10 <= gap - 1 <= 20 for gap in gaps), gaps
    assert world.state() is SeatState.ONLINE
    assert isinstance(world.core.problem, ServerUnreachable)
    world.down = False
    world.run(25)
    assert world.core.problem is None and world.core.lease_left > 300


def test_after_the_lease_it_is_offline_until_the_signed_grace_is_over_and_then_degraded(world: World) -> None:
    world.start()
    world.down = True
    world.run(355.1)
    assert (world.state(), world.states()) == (SeatState.OFFLINE, [SeatState.OFFLINE])
    assert world.core.grace_left == pytest.approx(86400 - 355.1, abs=1)
    world.run(86400)
    assert (world.state(), world.states()) == (SeatState.DEGRADED, [SeatState.OFFLINE, SeatState.DEGRADED])
    assert world.core.grace_left == 0


def test_offline_it_asks_less_and_less_often_down_to_hourly_and_comes_back_by_itself(world: World) -> None:
    world.start()
    world.down = True
    world.run(40000)
    tries = world.times("heartbeat")
    gaps = [b - a for a, b in itertools.pairwise(tries)]
    assert 3600 * 0.9 <= gaps[-1] <= 3600 * 1.1 + 2
    assert len([at for at in tries if at > 20000]) <= 8
    world.down = False
    world.run(3600 * 1.1 + 5)
    assert world.states() == [SeatState.OFFLINE, SeatState.ONLINE]
    assert world.core.problem is None


def test_at_two_days_of_grace_or_less_it_warns_once_per_absence(world: World, server: FakeServer) -> None:
    server.grace = 96 * 3600
    world.start()
    world.down = True
    world.run(47 * 3600)
    assert [event.kind for event in world.events if event.kind == "grace_ending"] == []
    world.run(2 * 3600)
    warnings = [event for event in world.events if event.kind == "grace_ending"]
    assert len(warnings) == 1 and warnings[0].grace_left == pytest.approx(48 * 3600, abs=30)
    world.run(20 * 3600)
    assert len([event for event in world.events if event.kind == "grace_ending"]) == 1


def test_without_grace_it_is_degraded_when_the_lease_is_over(world: World, server: FakeServer) -> None:
    server.grace = 0
    world.start()
    world.down = True
    world.run(356)
    assert world.state() is SeatState.DEGRADED


def test_a_clock_set_back_extends_neither_lease_nor_grace(world: World, clock: FakeClock) -> None:
    world.start()
    world.down = True
    world.run(1000)
    clock.unix -= 30 * 86400
    assert world.core.grace_left == pytest.approx(86400 - 1000, abs=1)
    world.run(86400)
    assert world.state() is SeatState.DEGRADED


def test_a_clock_set_ahead_ends_the_grace_and_not_the_lease(world: World, clock: FakeClock) -> None:
    world.start()
    clock.unix += 30 * 86400
    assert world.state() is SeatState.ONLINE
    world.down = True
    world.run(356)
    assert world.state() is SeatState.DEGRADED


def test_a_laptop_that_slept_does_not_believe_in_its_lease_and_asks_at_once(
    world: World, clock: FakeClock, server: FakeServer
) -> None:
    world.start()
    world.run(50)
    clock.advance(4 * 3600)  # the monotonic clock goes on in sleep
    assert world.state() is SeatState.OFFLINE
    before = len(server.calls)
    world.run(16)
    assert server.verbs()[before:] == ["heartbeat"]
    assert world.state() is SeatState.ONLINE


def test_a_short_sleep_is_noticed_within_a_slice_of_the_wait(
    world: World, clock: FakeClock, server: FakeServer
) -> None:
    world.start()
    world.run(20)
    clock.advance(60)  # slept inside the lease
    before = len(server.calls)
    world.run(16)
    assert server.verbs()[before:] == ["heartbeat"]


def test_nobody_can_wish_a_client_away_for_more_than_an_hour(world: World, server: FakeServer) -> None:
    world.start()
    server.broken = lambda _: httpx.Response(
        503, json={"code": "seats_unavailable"}, headers={"retry-after": "99999999"}
    )
    world.run(20_000)
    server.broken = None
    world.run(3601)
    assert world.state() is SeatState.ONLINE
