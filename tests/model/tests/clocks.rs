//! Clocks: one that is wrong takes nothing away.

use license_model::{
    faults::Action,
    model::Bounds,
    play::{answer, end, guards},
    properties::{BELIEVER, OVERSOLD},
    repair::HELD_FOR_EVER,
    rules::Rule,
    time::WRONG,
};

/// Processes 0 and 1 are of one machine, process 2 of another.
fn one_seat() -> Bounds {
    Bounds::new(1, &[1, 1, 2])
}

#[test]
fn a_redis_clock_that_is_ahead_takes_no_seat_away() {
    guards(Rule::TwoClocksTake, &one_seat(), &[BELIEVER, OVERSOLD], |play| {
        play.acquire(0);
        play.happen(Action::RedisClock { skew: WRONG });
        play.acquire(2);
    });
}

#[test]
fn a_redis_clock_that_is_ahead_hides_no_sibling() {
    guards(Rule::TwoClocksForSessions, &one_seat(), &[BELIEVER, OVERSOLD], |play| {
        play.acquire(0);
        play.acquire(1);
        play.happen(Action::RedisClock { skew: WRONG });
        play.release(0);
        play.acquire(2);
    });
}

#[test]
fn a_redis_clock_put_right_takes_no_seat_away() {
    guards(Rule::LeaseFromTheLaterClock, &one_seat(), &[BELIEVER, OVERSOLD], |play| {
        play.happen(Action::RedisClock { skew: -WRONG });
        play.acquire(0);
        play.happen(Action::RedisClock { skew: 0 });
        play.acquire(2);
    });
}

#[test]
fn a_service_clock_years_ahead_does_not_lease_a_seat_for_years() {
    guards(Rule::LaterClockIsBounded, &one_seat(), &[HELD_FOR_EVER], |play| {
        play.happen(Action::ServiceClock { skew: 10 * WRONG });
        let call = play.begin(Action::Acquire { process: 0, wrong_instance: true });
        play.finish(call);
        play.happen(Action::ServiceClock { skew: 0 });
        play.must_come_right();
    });
}

#[test]
fn a_claimed_session_stays_over_for_an_instance_whose_clock_is_behind() {
    guards(Rule::ClaimedIsOverByAnyClock, &one_seat(), &[BELIEVER], |play| {
        play.acquire(0);
        play.wait(2);
        let sweep = play.sends_reaper();
        play.until(sweep, end);
        play.dies(sweep);
        // One heartbeat is told "gone", which is written down; its answer is slow.
        let slow = play.sends_heartbeat(0);
        play.until(slow, answer);
        let other = play.sends_heartbeat(0);
        play.happen(Action::ServiceClock { skew: -WRONG });
        let join = play.begin(Action::Acquire { process: 1, wrong_instance: true });
        play.finish(join);
        play.finish(other);
    });
}
