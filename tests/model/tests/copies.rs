//! The copy in Redis: when it is believed, and how it is rebuilt.

use license_model::{
    faults::Action,
    model::Bounds,
    play::{guards, guards_alone, rebuild},
    properties::{BELIEVER, OVERSOLD, WRONGLY_GONE},
    redis::Key,
    repair::GHOST,
    rules::Rule,
};

/// Processes 0 and 1 are of one machine, process 2 of another.
fn one_seat() -> Bounds {
    Bounds::new(1, &[1, 1, 2])
}

#[test]
fn a_promoted_copy_that_missed_a_grant_is_not_trusted() {
    guards(Rule::Stamp, &one_seat(), &[BELIEVER, OVERSOLD], |play| {
        play.acquire(2);
        play.release(2);
        play.happen(Action::Replicate);
        play.acquire(0);
        play.happen(Action::Failover);
        play.acquire(2);
    });
}

#[test]
fn losing_a_key_loses_nobody_a_seat() {
    guards(Rule::Counts, &one_seat(), &[WRONGLY_GONE], |play| {
        play.acquire(0);
        play.happen(Action::LoseKey { key: Key::N });
        play.heartbeat(0);
    });
}

#[test]
fn a_rebuild_that_read_the_records_before_the_copy_was_lost_again_is_refused() {
    guards(Rule::Nonce, &one_seat(), &[BELIEVER, OVERSOLD], |play| {
        play.acquire(0);
        play.flush();
        let slow = play.sends_heartbeat(0);
        play.until(slow, rebuild);
        play.acquire(2);
        play.wait(4);
        play.acquire(2);
        play.flush();
        play.finish(slow);
        play.heartbeat(0);
    });
}

#[test]
fn a_nonce_that_was_replicated_is_not_good_on_the_node_promoted() {
    guards(Rule::NonceIsOfItsNode, &one_seat(), &[BELIEVER, OVERSOLD], |play| {
        play.acquire(0);
        play.flush();
        let slow = play.sends_heartbeat(0);
        play.until(slow, rebuild);
        play.happen(Action::Replicate);
        play.acquire(2);
        play.wait(4);
        play.acquire(2);
        play.happen(Action::Failover);
        play.finish(slow);
        play.heartbeat(0);
    });
}

#[test]
fn a_rebuild_done_twice_does_not_forget_what_was_granted_in_between() {
    guards_alone(Rule::RebuildRaisesTheEpoch, &[Rule::NonceIsSpent], &one_seat(), &[WRONGLY_GONE], |play| {
        let first = play.asks_for_seat(0);
        play.until(first, rebuild);
        let again = play.duplicate(first);
        play.finish(first);
        play.step(again);
        play.heartbeat(0);
    });
}

#[test]
fn a_rebuild_gives_more_than_a_stale_copy_knew() {
    guards(Rule::RebuildGivesAFullLease, &one_seat(), &[BELIEVER, OVERSOLD], |play| {
        play.acquire(0);
        play.happen(Action::Replicate);
        play.wait(1);
        play.heartbeat(0);
        play.happen(Action::Failover);
        play.acquire(2);
        play.wait(1);
        play.acquire(2);
    });
}

#[test]
fn a_lease_from_a_deposed_primary_is_outlasted_by_the_rebuild() {
    guards(Rule::RebuildLeaseCountsDrain, &one_seat(), &[BELIEVER, OVERSOLD], |play| {
        play.acquire(0);
        play.fail_over();
        play.acquire(2);
        play.wait(1);
        play.heartbeat_on_deposed(0);
        play.wait(1);
        play.acquire(2);
    });
}

#[test]
fn a_heartbeat_does_not_shorten_the_lease_a_rebuild_gave() {
    guards(Rule::LeasesOnlyRise, &one_seat(), &[BELIEVER, OVERSOLD], |play| {
        play.acquire(0);
        play.fail_over();
        play.acquire(2);
        play.heartbeat(0);
        play.wait(1);
        play.heartbeat_on_deposed(0);
        play.wait(1);
        play.acquire(2);
    });
}

#[test]
fn a_deposed_primary_that_does_not_know_a_session_ends_nothing() {
    guards(Rule::UnknownComparesEpochs, &one_seat(), &[WRONGLY_GONE], |play| {
        play.acquire(2);
        play.release(2);
        play.fail_over();
        play.acquire(0);
        play.heartbeat_on_deposed(0);
    });
}

#[test]
fn a_change_redis_did_not_hear_of_is_repaired_by_the_reapers_look_at_the_pool() {
    guards(Rule::ReaperComparesEpochs, &one_seat(), &[GHOST], |play| {
        play.acquire(0);
        play.change_untold(Action::Kick { seat: 0, force: false });
        play.must_come_right();
    });
}
