//! Clocks: one that is wrong takes nothing away.

use license_model::{
    faults::Action,
    model::Bounds,
    play::{Play, answer, end, guards, guards_alone},
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
        let call = play.begin(Action::Acquire { process: 0, other_instance: true });
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
        let join = play.begin(Action::Acquire { process: 1, other_instance: true });
        play.finish(join);
        play.finish(other);
    });
}

#[test]
fn a_redis_clock_that_was_years_ahead_for_one_heartbeat_does_not_lease_other_seats_for_years() {
    guards_alone(Rule::LaterClockIsBounded, &[Rule::LastIsBounded], &one_seat(), &[HELD_FOR_EVER], |play| {
        years_ahead_for_one_heartbeat(play);
        play.release(0);
        play.acquire(2);
        play.must_come_right();
    });
}

#[test]
fn a_redis_clock_that_was_years_ahead_does_not_keep_a_claim_from_being_taken_up_for_years() {
    guards(Rule::LastIsBounded, &one_seat(), &[HELD_FOR_EVER], |play| {
        years_ahead_for_one_heartbeat(play);
        let release = play.sends_release(0);
        play.until(release, end);
        play.dies(release);
        play.must_come_right();
    });
}

#[test]
fn a_redis_clock_that_was_years_ahead_is_forgotten_by_the_next_rebuild() {
    guards(Rule::LastIsBounded, &one_seat(), &[HELD_FOR_EVER], |play| {
        years_ahead_for_one_heartbeat(play);
        play.change(Action::Resume);
        play.heartbeat(0);
        let release = play.sends_release(0);
        play.until(release, end);
        play.dies(release);
        play.must_come_right();
    });
}

fn years_ahead_for_one_heartbeat(play: &mut Play) {
    play.acquire(0);
    play.happen(Action::RedisClock { skew: 10 * WRONG });
    play.heartbeat(0);
    play.happen(Action::RedisClock { skew: 0 });
}
