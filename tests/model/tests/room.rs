//! Room: caps, resizes, kicks and restores.

use license_model::{
    faults::Action,
    model::Bounds,
    play::{free, grant, guards, guards_alone},
    properties::OVERSOLD,
    repair::{GHOST, NOT_GIVEN, QUARANTINE, SURPLUS},
    rules::Rule,
};

/// Processes 0 and 1 are of one machine, process 2 of another.
fn one_seat() -> Bounds {
    Bounds::new(1, &[1, 1, 2])
}

/// Three machines.
fn two_seats() -> Bounds {
    Bounds::new(2, &[1, 2, 3])
}

#[test]
fn a_pool_full_of_dead_holders_serves_everybody_who_comes() {
    guards(Rule::CapCountsTheLiving, &one_seat(), &[NOT_GIVEN], |play| {
        play.acquire(0);
        play.must_come_right();
    });
}

#[test]
fn a_drained_pool_whose_last_free_was_lost_gives_its_seat_at_once() {
    guards(Rule::CapCountsTheLiving, &two_seats(), &[NOT_GIVEN], |play| {
        play.acquire(0);
        play.acquire(1);
        play.change(Action::Resize { total: 1 });
        play.heartbeat(0);
        play.heartbeat(1);
        let release = play.sends_release(1);
        play.until(release, free);
        play.dies(release);
        play.release(0);
        play.must_come_right();
    });
}

#[test]
fn shrinking_throws_nobody_out_and_does_not_replace_who_leaves() {
    guards(Rule::SurplusIsRetired, &two_seats(), &[SURPLUS], |play| {
        play.acquire(0);
        play.acquire(1);
        play.change(Action::Resize { total: 1 });
        play.heartbeat(0);
        play.heartbeat(1);
        play.release(1);
        play.must_come_right();
    });
}

#[test]
fn shrinking_after_a_kick_leaves_the_quarantine_its_seat() {
    guards(Rule::ShrinkKeepsQuarantines, &two_seats(), &[OVERSOLD], |play| {
        play.acquire(0);
        play.acquire(1);
        play.kick(0);
        play.change(Action::Resize { total: 1 });
    });
}

#[test]
fn a_kicked_seat_is_granted_only_after_the_kicked_clients_lease() {
    guards(Rule::KickQuarantines, &one_seat(), &[OVERSOLD], |play| {
        play.acquire(0);
        play.kick(0);
        play.acquire(2);
    });
}

#[test]
fn the_quarantine_of_a_kick_counts_from_when_redis_learnt_of_it() {
    guards(Rule::QuarantineCountsFromTheRebuild, &one_seat(), &[OVERSOLD], |play| {
        play.acquire(0);
        play.change_untold(Action::Kick { seat: 0, force: false });
        for _ in 0..4 {
            play.wait(1);
            play.heartbeat(0);
        }
        play.flush();
        play.acquire(2);
    });
}

#[test]
fn an_unrelated_rebuild_does_not_renew_a_quarantine_that_was_lifted() {
    guards(Rule::TicketLiftsQuarantine, &one_seat(), &[QUARANTINE], |play| {
        play.acquire(0);
        play.kick(0);
        play.must_come_right();
    });
}

#[test]
fn a_seat_taken_after_its_quarantine_by_who_died_does_not_wait_again_because_of_a_change() {
    guards(Rule::ServedQuarantineIsOver, &one_seat(), &[NOT_GIVEN], |play| {
        play.acquire(0);
        play.kick(0);
        play.acquire(2);
        play.wait(3);
        let takes = play.asks_for_seat(2);
        play.until(takes, grant);
        play.dies(takes);
        play.change(Action::Resume);
        play.must_get_a_seat(1);
    });
}

#[test]
fn who_took_a_kicked_seat_and_is_kicked_too_is_waited_for() {
    guards(Rule::OnlyKnownQuarantinesAreServed, &one_seat(), &[OVERSOLD], |play| {
        play.acquire(0);
        play.kick(0);
        play.acquire(2);
        play.wait(3);
        play.acquire(2);
        play.kick(0);
        play.acquire(1);
    });
}

#[test]
fn a_kicked_seat_nobody_asks_for_is_free_one_rebuild_lease_later() {
    guards(Rule::ReaperLooksAtQuarantines, &one_seat(), &[QUARANTINE], |play| {
        play.acquire(0);
        play.change_untold(Action::Kick { seat: 0, force: false });
        play.flush();
        play.must_come_right();
    });
}

#[test]
fn a_kick_ends_every_session_of_its_seat() {
    guards(Rule::KickEndsTheWholeSeat, &one_seat(), &[OVERSOLD], |play| {
        play.acquire(0);
        play.acquire(1);
        play.kick(0);
        play.heartbeat(1);
        play.release(1);
        play.acquire(2);
    });
}

#[test]
fn a_copy_from_after_the_point_of_a_restore_is_not_believed_for_ever() {
    guards_alone(Rule::RestoreJumpsEpochs, &[Rule::RestoreEmptiesRedis], &one_seat(), &[GHOST], |play| {
        play.acquire(2);
        play.release(2);
        play.happen(Action::Backup);
        play.acquire(0);
        play.happen(Action::Restore);
        play.must_come_right();
    });
}

#[test]
fn a_seat_a_restore_forgot_is_granted_only_after_its_holders_lease() {
    guards_alone(Rule::RestoreQuarantines, &[Rule::RestoreOpensLater], &one_seat(), &[OVERSOLD], |play| {
        play.happen(Action::Backup);
        play.acquire(0);
        play.happen(Action::Restore);
        play.flush();
        play.acquire(2);
    });
}
