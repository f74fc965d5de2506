//! Holes the model found in the engine, each mended since; one by a line in docs/OPERATING.md, because no program can.

use license_model::{
    faults::Action,
    model::Bounds,
    play::{guards, guards_what_people_do, rebuild},
    properties::{BELIEVER, OVERSOLD, WRONGLY_GONE},
    redis::Key,
    repair::NOT_GIVEN,
    rules::Rule,
    time::WRONG,
};

/// Processes 0 and 1 are of one machine, process 2 of another.
fn one_seat() -> Bounds {
    Bounds::new(1, &[1, 1, 2])
}

#[test]
fn a_rebuild_repeated_after_h_was_lost_does_not_forget_what_was_granted_in_between() {
    guards(Rule::NonceIsSpent, &one_seat(), &[WRONGLY_GONE], |play| {
        let first = play.asks_for_seat(0);
        play.until(first, rebuild);
        let again = play.duplicate(first);
        play.finish(first);
        play.happen(Action::LoseKey { key: Key::H });
        play.step(again);
        play.heartbeat(0);
    });
}

#[test]
fn a_resumed_license_nobody_holds_a_seat_of_gives_seats_although_redis_was_not_told() {
    guards(Rule::ReaperLooksAtChangedPools, &one_seat(), &[NOT_GIVEN], |play| {
        play.change(Action::Suspend);
        play.acquire(0);
        play.change_untold(Action::Resume);
        play.must_come_right();
    });
}

#[test]
fn a_drained_pool_full_of_dead_holders_serves_who_comes() {
    guards(Rule::CapCountsTheLiving, &Bounds::new(2, &[1, 2, 3]), &[NOT_GIVEN], |play| {
        play.acquire(0);
        play.acquire(1);
        play.change(Action::Resize { total: 1 });
        play.must_come_right();
    });
}

#[test]
fn a_redis_clock_that_was_ahead_and_put_right_does_not_vouch_for_a_service_clock_that_is() {
    guards(Rule::TakesByTheClockOfNow, &one_seat(), &[BELIEVER, OVERSOLD], |play| {
        play.acquire(0);
        play.happen(Action::RedisClock { skew: WRONG });
        play.sweep();
        play.happen(Action::RedisClock { skew: 0 });
        play.happen(Action::ServiceClock { skew: WRONG });
        let other = play.begin(Action::Acquire { process: 2, other_instance: true });
        play.finish(other);
    });
}

#[test]
fn who_held_a_seat_at_the_point_of_a_restore_does_not_meet_who_held_it_since() {
    guards(Rule::RestoreOpensLater, &one_seat(), &[OVERSOLD], |play| {
        play.acquire(0);
        play.happen(Action::Backup);
        play.release(0);
        play.acquire(2);
        play.happen(Action::Restore);
        play.flush();
        play.acquire(0);
    });
}

#[test]
fn who_is_forgotten_by_a_restore_is_not_told_alive_by_an_old_copy() {
    guards(Rule::RestoreEmptiesRedis, &one_seat(), &[OVERSOLD], |play| {
        play.acquire(0);
        play.happen(Action::Backup);
        play.release(0);
        play.acquire(2);
        play.happen(Action::Restore);
        for _ in 0..4 {
            play.wait(1);
            play.heartbeat(2);
        }
        play.flush();
        play.acquire(0);
    });
}

#[test]
fn who_slept_through_a_restore_does_not_wake_on_a_seat_somebody_else_believes_in() {
    guards_what_people_do(Rule::RestoreOutlastsLeases, &one_seat(), &[OVERSOLD], |play| {
        play.acquire(0);
        play.happen(Action::Backup);
        // Process 0 sleeps, its lease lapses, and another machine takes the seat.
        play.wait(2);
        play.acquire(2);
        play.happen(Action::Restore);
        play.heartbeat(0);
    });
}
