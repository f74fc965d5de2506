"""Small histories in which somebody is told "full" wrongly: each is seen, and the same without the mistake is not."""

from __future__ import annotations

import math

from .asks import Ask, read_asks, wrongly_told_full

HELD = Ask("one", "acquire", "s1", 10.0, 10.1, 201)


def full(sent: float, answered: float | None = None) -> Ask:
    return Ask("two", "acquire", "", sent, answered or sent + 0.1, 409, "no_seats_available")


def judged(*asks: Ask, seats: int = 1) -> int:
    return len(wrongly_told_full(asks, seats=seats, lease=6.0))


def test_a_seat_is_free_when_it_was_given_back_and_not_before() -> None:
    given_back = Ask("one", "release", "s1", 12.0, 12.2, 200)
    assert judged(HELD, given_back, full(13.1)) == 0
    assert judged(HELD, given_back, full(13.3)) == 1
    assert judged(HELD, given_back, full(13.3), seats=2) == 1
    lost = Ask("one", "release", "s1", 12.0, math.inf, 0)
    assert judged(HELD, lost, full(13.3)) == 0


def test_a_seat_is_free_when_its_last_lease_is_over_and_not_before() -> None:
    assert judged(HELD, full(17.0)) == 0
    assert judged(HELD, full(17.2)) == 1
    renewed = Ask("one", "heartbeat", "s1", 15.0, 15.3, 200)
    assert judged(HELD, renewed, full(22.2)) == 0
    assert judged(HELD, renewed, full(22.4)) == 1
    unheard = Ask("one", "heartbeat", "s1", 15.0, math.inf, 0)
    assert judged(HELD, renewed, unheard, full(31.9)) == 0
    assert judged(HELD, renewed, unheard, full(32.1)) == 1


def test_who_takes_the_seat_meanwhile_may_keep_it_from_others() -> None:
    given_back = Ask("one", "release", "s1", 12.0, 12.2, 200)
    taken = Ask("three", "acquire", "s2", 13.4, 13.5, 201)
    assert judged(HELD, given_back, taken, full(13.3, 13.5)) == 0
    assert judged(HELD, given_back, taken, full(13.3, 13.35)) == 1
    refused = Ask("three", "acquire", "", 13.3, 13.4, 409, "no_seats_available")
    assert judged(HELD, given_back, refused, full(13.3, 13.5)) == 2
    assert judged(HELD, given_back, refused, full(13.3, 13.5), seats=2) == 2


def test_what_a_process_wrote_is_read() -> None:
    lines = [
        "asked 1-1 10.0 acquire -",
        "believe 10.1 16.1",
        "answered 1-1 10.1 201 s1 -",
        "asked 1-2 15.0 heartbeat s1",
        "stop 15.2",
    ]
    assert list(read_asks(lines, "one")) == [HELD, Ask("one", "heartbeat", "s1", 15.0, math.inf, 0)]
    refusal = ["asked 1-1 13.3 acquire -", "answered 1-1 13.4 409 - no_seats_available"]
    assert list(read_asks(refusal, "two")) == [full(13.3, 13.4)]
